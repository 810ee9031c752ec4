"""Scores of images by programs: the newest of each counts."""

import random

from stablenew.formats.documents.metric import Metric, MetricBatch, fold_metrics
from tests.samples import digest_of


def batch(minute, *scores, replica="r1"):
    return MetricBatch(
        run_id="sample-run",
        replica=replica,
        scored_at=f"2026-11-21T08:{minute:02d}:00.000Z",
        scores=tuple(Metric(image_id=digest_of(1), metric=metric, value=value) for metric, value in scores),
    )


def test_the_newest_score_of_a_metric_counts_in_whatever_order_the_files_are_read():
    batches = [batch(1, ("aesthetic", 5.0), ("safety", 0.1)), batch(2, ("aesthetic", 6.5)), batch(0, ("safety", 0.9))]
    for seed in range(6):
        random.Random(seed).shuffle(batches)
        scores = {score.metric: score.value for score in fold_metrics(batches).values()}
        assert scores == {"aesthetic": 6.5, "safety": 0.1}


def test_scores_of_different_scorers_stand_beside_each_other():
    image = digest_of(1)
    scores = tuple(Metric(image_id=image, metric="aesthetic", value=value, scorer=str(value)) for value in (1.0, 2.0))
    found = fold_metrics([MetricBatch(run_id="r", replica="x", scored_at="2026-11-21T08:00:00.000Z", scores=scores)])
    assert [score.value for score in found.values()] == [1.0, 2.0]
