"""A recording process killed at random moments: what it acknowledged is there, and nothing is in the way."""

import os
import random
import signal
import time

import pytest

from stablenew import RunRecorder, RunStore, RunVerifier
from tests.samples import png

KILLS = 100

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here, to have many quickly")


def record_until_killed(root, acknowledgements):
    """Runs of five variants without end; a run id and a number are written once a record is acknowledged."""
    while True:
        with RunRecorder(root, strict=True) as run:
            for number in range(5):
                run.record_variant(prompt=f"lake {number}", images=[png(os.urandom(20_000)), png(b"%d" % number)])
                os.write(acknowledgements, f"{run.run_id} {number}\n".encode())


def kill_one_recorder(root, rng):
    """What a recorder acknowledged before it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            record_until_killed(root, writer)
        finally:
            os._exit(1)
    os.close(writer)
    time.sleep(rng.uniform(0.005, 0.12))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as file:
        return [line.split() for line in file.read().decode().splitlines()]


def test_a_hundred_kills_lose_no_acknowledged_record(tmp_path):
    store = RunStore(tmp_path / "runs")
    rng = random.Random(5)
    acknowledged = [line for _ in range(KILLS) for line in kill_one_recorder(store.root, rng)]
    assert len(acknowledged) > KILLS
    recorded = {}
    states = {"sealed": 0, "interrupted": 0, "incomplete": 0}
    for run in store.iter_runs():
        report = RunVerifier(run).verify()
        states[report.state] += 1
        assert {finding.severity for finding in report.findings} <= {"info", "warning"}, (run.run_id, report.findings)
        recorded[run.run_id] = {one.variant.index for one in run.iter_records()}
    assert all(int(number) in recorded[run_id] for run_id, number in acknowledged)
    assert states["sealed"] > 0
    assert states["interrupted"] + states["incomplete"] > KILLS // 4
    with RunRecorder(store.root, strict=True) as run:
        run.record_variant(prompt="after", images=[png()])
    assert RunVerifier(run.run).verify().is_ok
