"""Runs that are moved away and back by another program hide none that stay, whoever reads the store meanwhile."""

import pytest

from stablenew import AppController, DatasetBuilder, JobHistory, LearningLog, RunStore, merge_stores
from tests import restless, samples

STAYING = {f"2026112{number}-000000-000-aaaaaaaaaa" for number in range(5)}
MOVING = {f"2026111{number}-000000-000-aaaaaaaaaa" for number in range(5)}
ROUNDS = 60


@pytest.fixture
def root(tmp_path):
    store = RunStore(tmp_path / "runs")
    for run_id in STAYING | MOVING:
        samples.sealed_run(store, run_id, variants=1)
    (tmp_path / "aside").mkdir()
    with restless.repeating(restless.MOVE_AWAY_AND_BACK, store.root, tmp_path / "aside", *MOVING):
        yield store.root


def test_verify(root):
    controller = AppController(runs_dir=root)
    seen = set()
    for _ in range(ROUNDS):
        reports = [report for report, _, _ in controller.iter_verify()]
        assert {one.subject for one in reports if one.is_ok} >= STAYING
        seen |= {finding.code for one in reports for finding in one.findings}
    assert seen == {"run-vanished"}


def test_repair(root):
    controller = AppController(runs_dir=root)
    for _ in range(ROUNDS):
        reports = [report for report, _, _ in controller.iter_repair()]
        assert {one.subject for one in reports if not one.actions} >= STAYING


def test_survey(root):
    controller = AppController(runs_dir=root)
    for _ in range(ROUNDS):
        assert {survey.run_id for survey, _, _ in controller.iter_survey() if survey.file_count} >= STAYING


def test_merge(root, tmp_path):
    for number in range(ROUNDS // 4):
        report = merge_stores(RunStore(tmp_path / f"other-{number}"), RunStore(root))
        assert {item.run_id for item in report.items if item.outcome == "added"} >= STAYING


def test_history(root):
    history = JobHistory(root)
    for _ in range(ROUNDS):
        history.refresh()
        assert {row["run_id"] for row in history.recent(100).rows} >= STAYING
    history.close()


def test_learning_log(root):
    for _ in range(ROUNDS):
        assert {record.run_id for record in LearningLog(root).iter_records()} >= STAYING


def test_dataset(root, tmp_path):
    for number in range(ROUNDS // 10):
        ledger = DatasetBuilder(root).build_learning_dataset(tmp_path / f"dataset-{number}")
        assert ledger.counts.runs_joined >= len(STAYING)
        assert {one.run_id for one in ledger.left_out} <= MOVING
