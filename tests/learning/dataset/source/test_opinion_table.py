"""What people said of images as columns, against a plain reading of the events."""

from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.documents.feedback import build_event, merge_events
from stablenew.formats.strict_json import encode_json
from stablenew.learning.dataset.columns import FEEDBACK_COLUMNS, OWN_METRICS
from stablenew.learning.dataset.source.metric_table import add_later_metrics, digest_metrics
from stablenew.learning.dataset.source.opinion_table import (
    RunOpinions,
    build_feedback_columns,
    build_image_columns,
    build_job_columns,
    fold_run_opinions,
)
from stablenew.learning.dataset.source.run_source import RunFiles
from tests.samples import digest_of
from tests.strategies import event_lists

IMAGE, OTHER, THIRD = map(digest_of, range(3))


def clock(second):
    return f"2026-11-21T08:00:{second:02d}.000Z-0000"


def say(*events):
    """What comes of events, each given as (operation, fields, rater), one a second."""
    built = [
        build_event(clock=clock(second), replica="r1", rater=rater, op=op, **fields)
        for second, (op, fields, rater) in enumerate(events)
    ]
    return fold_run_opinions(merge_events(built))


def row_of(opinions, image=IMAGE):
    """The columns of one image."""
    return {name: column.to_pylist()[0] for name, column in build_image_columns([(opinions, image)]).items()}


def rate(image, rating, rater="anna"):
    return "rate", {"image_id": image, "rating": rating}, rater


def prefer(winner, loser, outcome="win"):
    return "prefer", {"winner": winner, "loser": loser, "outcome": outcome}, "anna"


def test_stars_are_the_mean_of_the_latest_of_each_rater():
    row = row_of(say(rate(IMAGE, 1), rate(IMAGE, 4), rate(IMAGE, 5, "ben"), rate(OTHER, 0)))
    assert (row["rating"], row["rating_count"]) == (4.5, 2)
    moment = [datetime(2026, 11, 21, 8, 0, second, tzinfo=UTC) for second in range(3)]
    assert row["ratings"] == [
        {"rater": "anna", "rating": 4, "rated_at": moment[1]}, {"rater": "ben", "rating": 5, "rated_at": moment[2]},
    ]  # fmt: skip
    assert row["earlier_ratings"] == [{"rater": "anna", "rating": 1, "rated_at": moment[0]}]


def test_stars_that_were_taken_away_are_not_there():
    row = row_of(say(rate(IMAGE, 4), rate(IMAGE, None), rate(IMAGE, 2, "ben")))
    assert (row["rating"], row["rating_count"], row["earlier_ratings"]) == (2.0, 1, [])


def test_tags_flags_notes_and_aspects_of_all_raters_are_together():
    row = row_of(
        say(
            ("tag", {"image_id": IMAGE, "tag": "keeper", "present": True}, "anna"),
            ("tag", {"image_id": IMAGE, "tag": "keeper", "present": True}, "ben"),
            ("tag", {"image_id": IMAGE, "tag": "blue", "present": True}, "ben"),
            ("flag", {"image_id": IMAGE, "flag": "pick"}, "anna"),
            ("flag", {"image_id": IMAGE, "flag": "reject"}, "ben"),
            ("note", {"image_id": IMAGE, "note_id": "n1", "text": "good hands"}, "anna"),
            ("rate", {"image_id": IMAGE, "rating": 3, "aspect": "anatomy"}, "anna"),
        )
    )
    assert (row["tags"], row["pick_count"], row["reject_count"], row["notes"]) == (
        ["blue", "keeper"],
        1,
        1,
        ["good hands"],
    )
    assert [(one["rater"], one["aspect"], one["rating"]) for one in row["aspects"]] == [("anna", "anatomy", 3)]
    assert (row["rating"], row["rating_count"]) == (None, 0), "stars for an aspect are none for the image"


def test_comparisons_are_won_lost_or_neither():
    opinions = say(prefer(IMAGE, OTHER), prefer(IMAGE, THIRD), prefer(OTHER, IMAGE, "tie"), prefer(OTHER, THIRD))
    counts = [
        [row_of(opinions, image)[f"{word}_count"] for word in ("win", "loss", "tie")] for image in (IMAGE, OTHER, THIRD)
    ]
    assert counts == [[2, 0, 1], [1, 1, 1], [0, 2, 0]]


def test_what_is_in_the_trash_or_was_removed_is_marked():
    opinions = say(
        ("trash", {"image_id": IMAGE, "present": True}, "anna"),
        ("remove", {"digest": OTHER, "sha256": "0" * 64, "size_bytes": 9, "reason": "x"}, "anna"),
    )
    rows = [row_of(opinions, image) for image in (IMAGE, OTHER, THIRD)]
    assert [row["trashed"] for row in rows] == [True, False, False]
    assert [row["removed"] for row in rows] == [False, True, False]
    assert opinions.subjects == {IMAGE, OTHER}


@given(event_lists())
def test_any_events_give_every_column_its_type_and_counts_that_agree(events):
    opinions = fold_run_opinions(merge_events(events))
    images = sorted(opinions.subjects - {""})
    columns = build_image_columns((opinions, image) for image in images)
    assert {column.name: column.type for column in FEEDBACK_COLUMNS if column.name in columns} == {
        name: column.type for name, column in columns.items()
    }
    stars, rated = columns["ratings"].to_pylist(), columns["rating"].to_pylist()
    for said, mean, count in zip(stars, rated, columns["rating_count"].to_pylist(), strict=True):
        assert count == len(said)
        assert mean == (pytest.approx(sum(one["rating"] for one in said) / count) if said else None)
    compared = sum(sum(columns[f"{word}_count"].to_pylist()) for word in ("win", "loss", "tie"))
    sides = [{comparison["winner"], comparison["loser"]} for comparison in opinions.preferences]
    assert compared == sum(map(len, sides)), "an image that was compared with itself is one"


@given(event_lists())
def test_the_digest_is_that_of_the_set_of_events(events):
    merged = merge_events(events)
    assert RunOpinions(merged).digest == RunOpinions(merged[::-1]).digest
    assert not merged or RunOpinions(merged[1:]).digest != RunOpinions(merged).digest


def test_images_that_nobody_spoke_of_have_noughts_and_nulls():
    opinions = say(rate(IMAGE, 4))
    columns = build_feedback_columns([(1, opinions, IMAGE)], 3)
    assert columns["rating"].to_pylist() == [None, 4.0, None]
    assert columns["rating_count"].to_pylist() == [0, 1, 0]
    assert columns["trashed"].to_pylist() == [False] * 3
    assert build_feedback_columns([], 2)["win_count"].to_pylist() == [0, 0]


def test_a_whole_job_has_stars_and_tags_of_its_own():
    tag = ("tag", {"image_id": None, "tag": "x", "present": True}, "anna")
    opinions = say(rate(None, 2), rate(None, 4, "ben"), tag, rate(IMAGE, 5))
    columns = {name: column.to_pylist() for name, column in build_job_columns([opinions, RunOpinions()]).items()}
    assert columns == {"job_rating": [3.0, None], "job_rating_count": [2, 0], "job_tags": [["x"], []]}


def run_with(run_id, *batches):
    """A run with later scores; each batch is (second, scorer, (image, metric, value) ...)."""
    lines = []
    for second, scorer, *scores in batches:
        found = [{"image_id": image, "metric": metric, "value": value} for image, metric, value in scores]
        head = {"kind": "stablenew.metric_batch", "schema_version": "1.0", "run_id": run_id, "replica": "r1"}
        named = {"scorer": {"name": scorer}} if scorer else {}
        lines.append(encode_json(head | {"scored_at": f"2026-11-22T00:00:{second:02d}.000Z", "scores": found} | named))
    data = b"".join(line + b"\n" for line in lines)
    return RunFiles(run_id, "sha256:x", b"", b"", (), (("metrics.r1.jsonl", data),) if lines else ())


def metrics_of(recorded, *runs, images=(IMAGE, OTHER), origins=(0, 0)):
    rows = [
        None if row is None else [{"name": name, "value": value} for name, value in row.items()] for row in recorded
    ]
    found = add_later_metrics(pa.array(rows, OWN_METRICS), pa.array(images), np.array(origins), runs)
    return [row and {entry["name"]: entry["value"] for entry in row} for row in found.to_pylist()]


def test_later_scores_stand_beside_recorded_ones_and_in_their_place():
    run = run_with(
        "a", (1, "", (IMAGE, "sharpness", 0.5), (IMAGE, "aesthetic", 6.0)), (2, "", (IMAGE, "sharpness", 0.75))
    )
    assert metrics_of([{"sharpness": 0.1, "clip": 0.3}, {"clip": 0.4}], run) == [
        {"aesthetic": 6.0, "clip": 0.3, "sharpness": 0.75}, {"clip": 0.4},
    ]  # fmt: skip


def test_a_score_of_a_whole_run_is_that_of_each_of_its_images_unless_they_have_a_later_one():
    run = run_with("a", (1, "", (None, "time", 1.0), (IMAGE, "time", 3.0)), (2, "", (OTHER, "time", 2.0)))
    assert [row["time"] for row in metrics_of([None, None], run)] == [3.0, 2.0]


def test_scores_are_of_their_own_run_only():
    runs = (run_with("a"), run_with("b", (1, "", (IMAGE, "x", 1.0))))
    assert metrics_of([None, None], *runs, images=(IMAGE, IMAGE), origins=(0, 1)) == [None, {"x": 1.0}]
    assert metrics_of([{"y": 1.0}, None], run_with("a")) == [{"y": 1.0}, None]


def test_scores_have_one_digest_exactly_where_they_are_equal():
    one = (1, "", (IMAGE, "x", 1.0))
    assert digest_metrics(run_with("a")) is None
    assert digest_metrics(run_with("a", one)) == digest_metrics(run_with("a", one, one))
    changed = [(1, "", (IMAGE, "x", 2.0)), (2, "", (IMAGE, "x", 1.0)), (1, "", (OTHER, "x", 1.0))]
    assert len({digest_metrics(run_with("a", batch)) for batch in (one, *changed)}) == 4


scores_said = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([None, IMAGE, OTHER]), st.sampled_from("xy"), st.floats(0, 1)),
    max_size=8,
)
"""Of each score the second, the image, the metric, the value."""


@given(scores_said)
def test_the_newest_score_counts_in_whatever_order_they_stand(scores):
    scores = list(
        {(second, metric): (second, image, metric, value) for second, image, metric, value in scores}.values()
    )
    plain = defaultdict(dict)
    for _, image, metric, value in sorted(scores, key=lambda score: score[0]):
        for row in (IMAGE, OTHER) if image is None else (image,):
            plain[row][metric] = value
    batches = [(second, "", (image, metric, value)) for second, image, metric, value in scores]
    found = metrics_of([None, None], run_with("a", *batches))
    assert found == [plain[image] or None for image in (IMAGE, OTHER)]
