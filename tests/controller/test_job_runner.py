"""JobRunner: runs in the background, one after the other."""

import threading
import time

import pytest

from stablenew import PipelineConfig, RunStore
from stablenew.controller.app_controller import AppController
from stablenew.controller.job_runner import JobRunner
from stablenew.errors import EngineError, RunNotFound
from stablenew.pipeline.pack_library import build_typed_pack
from stablenew.pipeline.variant_plan import VariantPlan

CONFIG = PipelineConfig(txt2img={"width": 32, "height": 32, "steps": 4}, upscale={"factor": 2})


@pytest.fixture
def controller(tmp_path):
    made = AppController(runs_dir=tmp_path / "runs")
    made.steps = []
    made.subscribe_progress(lambda job: made.steps.append(job.to_dict()))
    yield made
    made.jobs.stop()
    made.history.close()


def start(controller, text="a lake\n\na hill", *, learning=True):
    pack = build_typed_pack(text)
    return controller.jobs.start(CONFIG, plan=VariantPlan.for_pack(pack), pack=pack, learning=learning)


def wait(job):
    until = time.monotonic() + 60
    while not job.is_over:
        assert time.monotonic() < until
        time.sleep(0.01)
    return job


def test_the_id_is_known_from_the_start_and_is_the_id_of_the_run(controller):
    job = start(controller)
    assert controller.jobs.get(job.run_id) is job
    assert wait(job).status == "completed"
    assert RunStore(controller.root).open(job.run_id).status == "completed"


def test_progress_rises_to_the_end_and_shows_what_was_made(controller):
    job = wait(start(controller))
    progress = [step["progress"] for step in controller.steps]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0, 1)
    assert {step["stage"] for step in controller.steps} == {None, "txt2img", "upscale"}
    assert [step["revision"] for step in controller.steps] == list(range(1, len(progress) + 1))
    assert [one.image.width for one in job.previews.values()] == [32, 64, 32, 64]
    recorded = [output.digest for _, output in controller.run_store.open(job.run_id).iter_outputs()]
    assert [one["digest"] for one in job.to_dict()["previews"]] == recorded
    assert any(one["digest"] is None for step in controller.steps for one in step["previews"])
    assert all(one["is_recorded"] for one in job.to_dict()["previews"])
    assert any(step["eta_seconds"] is not None for step in controller.steps)
    assert job.to_dict()["eta_seconds"] is None


def test_jobs_wait_for_each_other(controller):
    first, second = start(controller), start(controller)
    wait(second)
    assert first.ended <= second.started
    assert [job.run_id for job in controller.jobs.jobs()] == [first.run_id, second.run_id]


def test_what_was_not_to_be_recorded_leaves_nothing(controller):
    job = wait(start(controller, learning=False))
    assert (job.status, job.previews != {}) == ("completed", True)
    assert not controller.root.exists()


class Slow:
    """Stands in for a pipeline that takes its time."""

    def __init__(self):
        self.entered = threading.Event()

    def __call__(self, _config, *, options, **_):
        self.entered.set()
        while not options.cancel.is_cancelled:
            time.sleep(0.005)
        raise EngineError("the server went away")


def test_a_waiting_job_is_cancelled_without_being_run_and_a_failing_one_says_why():
    slow = Slow()
    jobs = JobRunner(slow)
    pack = build_typed_pack("x")
    first, second = (jobs.start(CONFIG, plan=VariantPlan.for_pack(pack), pack=pack, learning=False) for _ in range(2))
    slow.entered.wait()
    jobs.cancel(second.run_id)
    assert jobs.cancel(first.run_id).to_dict()["is_cancelling"]
    wait(second)
    assert (first.status, first.error) == ("failed", "EngineError: the server went away")
    assert (second.status, second.started) == ("cancelled", None)
    jobs.stop()


def test_an_unknown_job_is_an_error(controller):
    with pytest.raises(RunNotFound):
        controller.jobs.get("20200101-000000-000-aaaaaaaaaa")
