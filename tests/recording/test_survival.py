"""Processes that record and rate, killed at random moments: what they acknowledged is there, nothing is in the way."""

import os
import random
import signal
import time

import pytest

from stablenew import FeedbackManager, RunRecorder, RunStore, RunVerifier
from stablenew.store.run_repair import repair_run, repair_store
from tests.samples import png, sealed_run

KILLS = 200

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here, to have many quickly")


def work_until_killed(root, acknowledgements):
    """Runs of five variants without end, and ratings in between; what is acknowledged is written to the pipe."""
    manager = FeedbackManager(root, rater="alice")
    for act in range(1_000_000):
        with RunRecorder(root, strict=True) as run:
            for number in range(3):
                run.record_variant(prompt=f"lake {number}", images=[png(os.urandom(20_000)), png(b"%d" % number)])
                os.write(acknowledgements, f"record {run.run_id} {number}\n".encode())
                document = manager.record_feedback("rated", f"{number % 2}/0", act % 6, tags=["a"])
                os.write(acknowledgements, "".join(f"event {one.id}\n" for one in document.events[-2:]).encode())


def kill_one_worker(root, rng):
    """What a worker acknowledged before it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            work_until_killed(root, writer)
        finally:
            os._exit(1)
    os.close(writer)
    time.sleep(rng.uniform(0.005, 0.09))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as file:
        return [line.split() for line in file.read().decode().splitlines()]


@pytest.fixture(scope="module")
def after_the_kills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    before = os.environ.get("STABLENEW_STATE_DIR")
    os.environ["STABLENEW_STATE_DIR"] = str(folder / "state")
    store = RunStore(folder / "runs")
    sealed_run(store, "rated")
    rng = random.Random(5)
    yield store, [line for _ in range(KILLS) for line in kill_one_worker(store.root, rng)]
    os.environ["STABLENEW_STATE_DIR"] = before or ""


def test_no_acknowledged_record_is_lost_and_no_run_is_damaged(after_the_kills):
    store, acknowledged = after_the_kills
    recorded, states = {}, {"sealed": 0, "interrupted": 0}
    for run in store.iter_runs():
        report = RunVerifier(run).verify()
        assert {finding.severity for finding in report.findings} <= {"info", "warning"}, (run.run_id, report.findings)
        recorded[run.run_id] = {one.variant.index for one in run.iter_records()}
        if run.run_id != "rated":
            states["sealed" if report.state == "sealed" else "interrupted"] += 1
    lines = [line for line in acknowledged if line[0] == "record"]
    assert len(lines) > KILLS
    assert all(int(number) in recorded[run_id] for _, run_id, number in lines)
    assert states["sealed"] > 0
    assert states["interrupted"] > KILLS // 4


def test_no_acknowledged_rating_is_lost(after_the_kills):
    store, acknowledged = after_the_kills
    said = {line[1] for line in acknowledged if line[0] == "event"}
    reading = FeedbackManager(store, replica="nobody").read("rated")
    assert len(said) > KILLS
    assert said <= {one.id for one in reading.events}
    assert all(problem.is_torn for problem in reading.problems)


def test_repair_finishes_everything_and_the_next_start_works(after_the_kills):
    store, _ = after_the_kills
    repair_store(store)
    for run in store.iter_runs():
        repair_run(run, force=True)
    for run in store.iter_runs():
        report = RunVerifier(run).verify()
        assert {finding.code for finding in report.findings} <= {"output-unrecorded", "feedback-torn"}, report.findings
    with RunRecorder(store.root, strict=True) as run:
        run.record_variant(prompt="after", images=[png()])
    assert RunVerifier(run.run).verify().is_ok
