"""A store whose images with a CFG scale of 7 were rated better."""

import pytest

from stablenew import FeedbackManager, PipelineConfig, PipelineRunner, Prompt, RunStore, SketchEngine, VariantPlan
from stablenew.controller.app_controller import AppController
from stablenew.pipeline.randomizer import SWEEP, Axis


@pytest.fixture
def rated_controller(tmp_path):
    store = RunStore(tmp_path / "runs")
    runner = PipelineRunner(SketchEngine(), run_store=store)
    config = PipelineConfig(txt2img={"width": 64, "height": 64, "steps": 2, "seed": 1}, one_click_action="test")
    axes = (Axis(SWEEP, "txt2img.cfg_scale", (4.0, 7.0)), Axis(SWEEP, "txt2img.sampler", ("Euler a", "Heun")))
    for number in range(6):
        runner.run(config, plan=VariantPlan((Prompt(f"a pond, the {number}th"),), sweeps=axes))
    manager = FeedbackManager(store, rater="anna")
    for run in store.iter_runs():
        for record, output in run.iter_outputs():
            manager.record_feedback(run.run_id, output.digest, 4 if record.actual.cfg_scale == 7.0 else 2)
    return AppController(runs_dir=store.root)
