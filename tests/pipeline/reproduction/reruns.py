"""A run, and the same run again, as a test wants them."""

from stablenew import PipelineConfig, PipelineController, RunStore
from stablenew.pipeline.reproduction.run_facts import reproduction_of
from stablenew.pipeline.run_options import RunOptions
from stablenew.pipeline.run_request import RunRequest, plan_again

RECORDED = RunOptions(learning=True, keep_images=False)


def run_once(engine, root, *, prompt="a quiet harbour at dawn", **settings):
    """The folder of a new run."""
    config = PipelineConfig(prompt=prompt, txt2img={"width": 64, "height": 64, "seed": 7, **settings})
    result = PipelineController(engine=engine, runs_dir=root).run(config, options=RECORDED)
    assert result.succeeded, result.error
    return RunStore(root).open(result.run_id)


def run_again(run, engine, *settings):
    """What running it again with this engine proves."""
    config, plan, pack = plan_again(run, RunRequest(settings))
    root = run.path.parent
    result = PipelineController(engine=engine, runs_dir=root).run(config, plan=plan, pack=pack, options=RECORDED)
    assert result.succeeded, result.error
    store = RunStore(root)
    return reproduction_of(store, store.open(result.run_id))
