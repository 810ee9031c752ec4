"""Scores of images by programs: the newest of each counts."""

import random

from stablenew.formats.documents.metric import Metric, MetricBatch, fold_metrics
from tests.formats.documents.field_contract import (
    DIGEST,
    DIGESTS,
    EXTENSIONS,
    NAME,
    NUMBER,
    RUN_ID,
    SLUG,
    TIME,
    WHEN,
    FieldContract,
)
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


class TestEveryField(FieldContract):
    model = MetricBatch
    full = {  # noqa: RUF012
        "kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": "run", "replica": "r1", "scored_at": TIME,
        "scores": [{"image_id": DIGEST, "metric": "aesthetic", "value": 5.5, "scorer": "judge"}],
        "ext": {"org.example": 1},
    }  # fmt: skip
    takes = {  # noqa: RUF012
        "run_id": RUN_ID, "replica": NAME, "scored_at": WHEN, "scores": ([[]], [[{}], None]), "ext": EXTENSIONS,
        "scores.0.image_id": DIGESTS, "scores.0.metric": SLUG, "scores.0.value": NUMBER, "scores.0.scorer": NAME,
    }  # fmt: skip
    needed = {  # noqa: RUF012
        "": ["kind", "schema_version", "run_id", "replica", "scored_at", "scores"], "scores.0": ["metric", "value"],
    }  # fmt: skip


def test_of_two_scores_at_one_time_the_greater_one_counts_whichever_is_read_first():
    low, high = batch(1, ("aesthetic", 5.0)), batch(1, ("aesthetic", 6.0), replica="r2")
    for batches in ([low, high], [high, low]):
        assert [score.value for score in fold_metrics(batches).values()] == [6.0]
    assert fold_metrics([]) == {}
