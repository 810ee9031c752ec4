"""Merging scores: lines that are there and not here come into our own file, once."""

import pytest

from stablenew.formats.documents.metric import Metric, MetricBatch
from stablenew.store.local_state import replica_id
from stablenew.store.upkeep.metrics_merge import merge_metrics


def line(value, run_id="run"):
    score = Metric(metric="aesthetic", value=value)
    at = "2026-11-21T08:00:00.000Z"
    return MetricBatch(run_id=run_id, replica="r1", scored_at=at, scores=(score,)).encode_line() + b"\n"


@pytest.fixture
def sides(tmp_path):
    """The folder of a run here and the one there."""
    for side in ("ours", "theirs"):
        (tmp_path / side / "run").mkdir(parents=True)
    return tmp_path / "ours" / "run", tmp_path / "theirs" / "run"


def own(path):
    return path / f"metrics.{replica_id()}.jsonl"


def test_what_is_new_comes_once_and_what_is_known_does_not(sides):
    ours, theirs = sides
    (ours / "metrics.r2.jsonl").write_bytes(line(1.0))
    (theirs / "metrics.r1.jsonl").write_bytes(line(1.0) + line(2.0) + line(3.0) + line(2.0))
    assert merge_metrics(ours, theirs, dry_run=True) == 2
    assert not own(ours).exists()
    assert merge_metrics(ours, theirs, dry_run=False) == 2
    assert own(ours).read_bytes() == line(2.0) + line(3.0)
    assert merge_metrics(ours, theirs, dry_run=False) == merge_metrics(ours, theirs, dry_run=True) == 0
    assert (ours / "metrics.r2.jsonl").read_bytes() == line(1.0)


@pytest.mark.parametrize("bad", [b"{}\n", b"rubbish\n", line(9.0, run_id="other"), line(9.0)[:-1], b"\n"])
def test_what_is_no_batch_of_this_run_stays_there(sides, bad):
    ours, theirs = sides
    (theirs / "metrics.r1.jsonl").write_bytes(line(1.0) + bad)
    assert merge_metrics(ours, theirs, dry_run=False) == 1
    assert own(ours).read_bytes() == line(1.0)


def test_what_lies_behind_a_link_or_has_another_name_is_not_read(sides, tmp_path):
    ours, theirs = sides
    (tmp_path / "elsewhere").write_bytes(line(1.0))
    (theirs / "metrics.r1.jsonl").symlink_to(tmp_path / "elsewhere")
    (theirs / "metrics.r1.jsonl.tmp").write_bytes(line(2.0))
    assert merge_metrics(ours, theirs, dry_run=False) == 0


def test_a_run_that_is_not_here_yet_would_get_all_of_them(sides, tmp_path):
    _, theirs = sides
    (theirs / "metrics.r1.jsonl").write_bytes(line(1.0) + line(2.0))
    assert merge_metrics(tmp_path / "missing" / "run", theirs, dry_run=True) == 2
