"""Scores that programs give: a batch a line in this machine's own file."""

import pytest

from stablenew.errors import WriteFailed
from stablenew.formats.documents.metric import Metric, MetricBatch
from stablenew.store.change_hints import hints_path, read_hints
from stablenew.store.feedback.score_log import append_scores
from tests.samples import digest_of


def batch(value, replica="r1"):
    score = Metric(image_id=digest_of(1), metric="aesthetic", value=value)
    at = "2026-11-21T08:00:00.000Z"
    return MetricBatch(run_id="run", replica=replica, scored_at=at, scores=(score,))


@pytest.fixture
def run_path(tmp_path):
    path = tmp_path / "runs" / "run"
    path.mkdir(parents=True)
    return path


def test_each_batch_is_a_line_behind_those_before(run_path):
    batches = [batch(1.0), batch(2.0)]
    for one in batches:
        append_scores(run_path, one)
    lines = (run_path / "metrics.r1.jsonl").read_bytes().splitlines()
    assert [MetricBatch.from_json(line) for line in lines] == batches


def test_machines_write_files_of_their_own(run_path):
    append_scores(run_path, batch(1.0))
    append_scores(run_path, batch(1.0, replica="r2"))
    assert sorted(path.name for path in run_path.iterdir()) == ["metrics.r1.jsonl", "metrics.r2.jsonl"]


def test_a_line_that_a_crash_cut_off_does_not_swallow_the_next(run_path):
    (run_path / "metrics.r1.jsonl").write_bytes(b'{"kind":')
    append_scores(run_path, batch(1.0))
    *_, last = (run_path / "metrics.r1.jsonl").read_bytes().splitlines()
    assert MetricBatch.from_json(last) == batch(1.0)


def test_whoever_watches_the_store_is_told(run_path):
    append_scores(run_path, batch(1.0))
    before = run_path.stat().st_mtime_ns
    append_scores(run_path, batch(2.0))
    assert run_path.stat().st_mtime_ns > before
    assert read_hints(hints_path(run_path.parent), "")[0] == ["run"]


def test_what_could_not_be_added_is_said(run_path):
    with pytest.raises(WriteFailed):
        append_scores(run_path / "missing", batch(1.0))
