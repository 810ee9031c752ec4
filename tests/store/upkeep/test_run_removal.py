"""Removing a run: in one step, and never what people said without being told to."""

import os

import pytest

from stablenew.errors import RunLocked
from stablenew.store.run import Run
from stablenew.store.run_lock import RunLock
from stablenew.store.upkeep.run_removal import HasFeedback, remove_run
from tests.samples import add_event, digest_of
from tests.store.run_files import held_output, record_line, seal_run, write_run

A = held_output("outputs/a.png", b"a")


@pytest.fixture
def run(tmp_path):
    return seal_run(write_run(tmp_path / "runs", [record_line(0, [A])], files={A["path"]: b"a"}))


def test_a_run_goes_with_all_that_it_holds_and_nothing_stays(run):
    for path in run.path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    remove_run(run)
    assert os.listdir(run.path.parent) == []


def test_what_people_said_is_kept_unless_that_may_go_too(run):
    add_event(run, "rate", image_id=digest_of(1), rating=5)
    with pytest.raises(HasFeedback, match="run run has feedback; it was kept"):
        remove_run(run)
    assert Run(run.path).find_output("0/0").path == A["path"]
    remove_run(run, with_feedback=True)
    assert not run.path.exists()


def test_a_run_that_is_being_written_stays(run):
    lock = RunLock(run.path.parent, "run")
    lock.acquire()
    with pytest.raises(RunLocked):
        remove_run(run)
    lock.release()
    assert run.path.is_dir()
    remove_run(run)
    assert not lock.was_acquired_here(), "nobody will write it again"


def test_a_run_that_is_gone_cannot_be_removed_and_leaves_no_lock(run):
    remove_run(run)
    with pytest.raises(FileNotFoundError):
        remove_run(run)
    assert not RunLock(run.path.parent, "run").is_held()
