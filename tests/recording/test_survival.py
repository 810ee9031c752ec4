"""Processes that record and rate, killed at random moments: what they acknowledged is there, nothing is in the way."""

import os
import random
import signal
import time

import pytest

from stablenew import (
    Axis,
    FeedbackManager,
    PipelineConfig,
    PipelineRunner,
    Prompt,
    RunOptions,
    RunRecorder,
    RunStore,
    RunVerifier,
    SketchEngine,
    VariantPlan,
)
from stablenew.pipeline.randomizer import SWEEP
from stablenew.store.upkeep.run_repair import repair_run, repair_store
from tests.profiles import by_profile
from tests.samples import png, sealed_run

KILLS = by_profile(few=40, quick=100, ci=100, nightly=200)
PIPELINE_KILLS = by_profile(few=12, quick=24, ci=24, nightly=60)
AT_ONCE = 4

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here, to have many quickly"),
]


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


def run_until_killed(root, acknowledgements):
    """Runs of the pipeline without end; what it says is on the disk is written to the pipe."""

    def follow(event):
        if event.kind == "variant_recorded":
            os.write(acknowledgements, f"record {event.run_id} {event.variant}\n".encode())

    plan = VariantPlan((Prompt("a lake"),), sweeps=(Axis(SWEEP, "txt2img.cfg_scale", tuple(range(1, 9))),))
    config = PipelineConfig(txt2img={"width": 16, "height": 16, "steps": 1}, upscale={"factor": 2})
    while True:
        options = RunOptions(on_event=follow)
        PipelineRunner(SketchEngine(), run_store=RunStore(root)).run(config, plan=plan, options=options)


def kill_workers(root, rng, count, work):
    """What `count` workers acknowledged that were killed, a few at once: at any moment, or after a first word."""
    lines = []
    for _ in range(0, count, AT_ONCE):
        workers = [start_worker(root, work) for _ in range(AT_ONCE)]
        rng.shuffle(workers)
        for child, file in workers:
            first = file.readline() if rng.random() < 0.75 else b""
            time.sleep(rng.uniform(0.001, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with file:
                lines += [line.split() for line in (first + file.read()).decode().splitlines()]
    return lines


def start_worker(root, work):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            work(root, writer)
        finally:
            os._exit(1)
    os.close(writer)
    return child, os.fdopen(reader, "rb")


@pytest.fixture(scope="module")
def after_the_kills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    before = os.environ.get("STABLENEW_STATE_DIR")
    os.environ["STABLENEW_STATE_DIR"] = str(folder / "state")
    store = RunStore(folder / "runs")
    sealed_run(store, "rated")
    yield store, kill_workers(store.root, random.Random(5), KILLS, work_until_killed)
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
    assert len(lines) > KILLS // 2
    assert all(int(number) in recorded[run_id] for _, run_id, number in lines)
    assert states["sealed"] > 0
    assert states["interrupted"] > KILLS // 4


def test_what_the_pipeline_says_is_on_the_disk_is_there(store):
    lines = kill_workers(store.root, random.Random(6), PIPELINE_KILLS, run_until_killed)
    recorded = {}
    for run in store.iter_runs():
        report = RunVerifier(run).verify()
        assert {finding.severity for finding in report.findings} <= {"info", "warning"}, (run.run_id, report.findings)
        recorded[run.run_id] = {one.variant.index for one in run.iter_records()}
    assert len(lines) > PIPELINE_KILLS // 2
    assert all(int(number) in recorded[run_id] for _, run_id, number in lines)
    for run in store.iter_runs():
        repair_run(run)
    found = {finding.code for run in store.iter_runs() for finding in RunVerifier(run).verify().findings}
    assert found <= {"output-unrecorded"}


def test_no_acknowledged_rating_is_lost(after_the_kills):
    store, acknowledged = after_the_kills
    said = {line[1] for line in acknowledged if line[0] == "event"}
    reading = FeedbackManager(store, replica="nobody").read("rated")
    assert len(said) > KILLS // 20  # a busy machine comes to few within the time
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
