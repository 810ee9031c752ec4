"""Learning plans: what can be one, what it keeps in its file, and its runs and images found again from the store."""

import pytest

from stablenew import PipelineConfig, PipelineRunner, Prompt, SketchEngine
from stablenew.controller.app_controller import AppController
from stablenew.controller.experiments.plan_controller import PlanController, build_plan, load_plan, save_plan
from stablenew.controller.experiments.tuned_pack import save_tuned_pack
from stablenew.errors import ConfigError
from stablenew.pipeline.prompt_pack import read_prompt_pack
from tests.controller.light_table_stores import Machine

CONFIG = PipelineConfig(txt2img={"width": 64, "height": 64, "steps": 1})
CFG = ("txt2img.cfg_scale", [4.0, 7.0])
SAMPLERS = ("txt2img.sampler", ["Euler", "Heun"])


def plan_of(*sweeps, **options):
    return build_plan("mine", CONFIG, [Prompt("a quay", "fog")], sweeps=sweeps, **options)


@pytest.mark.parametrize(
    ("sweeps", "options", "labels"),
    [
        ([CFG], {}, 2),
        ([CFG, SAMPLERS], {}, 4),
        ([], {"presets": [("soft", {"txt2img.cfg_scale": 3.0}), ("hard", {"txt2img.cfg_scale": 9.0})]}, 2),
    ],
)
def test_a_plan_is_a_sweep_a_grid_or_presets(sweeps, options, labels):
    plan = plan_of(*sweeps, **options, seeds=(1, 2))
    assert len(plan.cells) == labels
    assert [step.seed for step in plan.steps] == [1, 2]


@pytest.mark.parametrize(
    ("sweeps", "options", "words"),
    [
        ([], {}, "a plan varies one setting, two settings, or compares presets"),
        ([CFG, SAMPLERS, CFG], {}, "a plan varies"),
        ([CFG], {"presets": [("a", {})]}, "a plan varies"),
        ([("cfg", [1])], {}, "no setting 'cfg'; write STAGE.KEY"),
        ([("txt2img.cfg_scale", ["much", "more"])], {}, "cfg_scale"),
        ([("txt2img.cfg_scale", [4.0])], {}, "a plan compares two things or more"),
        ([CFG], {"seeds": ()}, "a plan needs a prompt and a seed"),
        ([], {"presets": [("a", {"txt2img.steps": -1}), ("b", {})]}, "steps"),
    ],
)
def test_what_is_no_plan_is_refused_and_says_why(sweeps, options, words):
    with pytest.raises(ConfigError, match=words):
        plan_of(*sweeps, **options)


def test_a_plan_comes_back_from_its_file_and_never_replaces_one(tmp_path):
    path, plan = tmp_path / "plan.json", plan_of(CFG, engine="sketch")
    save_plan(plan, path)
    assert load_plan(path) == plan
    with pytest.raises(FileExistsError):
        save_plan(plan, path)


@pytest.mark.parametrize("data", [None, b"", b"{", b"[]", b'{"kind": "stablenew.learning_record"}', b"\xff"])
def test_another_file_is_no_plan_and_is_named(tmp_path, data):
    path = tmp_path / "plan.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"plan\.json"):
        load_plan(path)


@pytest.fixture
def plans(tmp_path):
    """A plan of two images that was worked through."""
    app = AppController(runs_dir=tmp_path / "runs")
    plans = PlanController(app, plan_of(CFG, engine="sketch"))
    pipeline = PipelineRunner(SketchEngine(), run_store=app.run_store)
    plans.runner = plans.build_runner(lambda config, variants: pipeline.run(config, plan=variants))
    list(plans.runner.iter_results())
    plans.machine = Machine(tmp_path / "runs")
    yield plans
    plans.machine.history.close()


def test_the_runs_of_a_plan_are_found_from_the_store_alone_and_done_once(plans):
    assert [(result.step, result.status) for result in plans.find_results()] == [(0, "completed")]
    assert plans.runner.status().is_done
    assert list(plans.runner.iter_results()) == []


def test_every_cell_has_its_image_with_the_mean_of_its_stars_until_it_is_removed(plans):
    (run,) = plans.machine.store.iter_runs()
    first, second = [output.digest for _, output in run.iter_outputs()]
    plans.machine.say(run.run_id, first, rating=4)
    plans.machine.say(run.run_id, first, rating=5, rater="you")
    cells = plans.read_cells()
    assert {place: cell.rating for place, cell in cells.items()} == {(0, 0): 4.5, (0, 1): None}
    assert cells[0, 1].data.startswith(b"\x89PNG")
    plans.machine.say(run.run_id, second, trashed=True)
    plans.machine.empty()
    assert list(plans.read_cells()) == [(0, 0)]


def test_the_config_of_a_step_says_what_it_belongs_to(plans):
    (step,) = plans.plan.steps
    config = plans.build_config(step)
    assert plans.plan.tag in config.learning_tags
    assert config.txt2img.seed == step.seed
    variants = plans.build_variants(step)
    assert [variant.prompt.positive for variant in variants.variants] == ["a quay", "a quay"]


# Packs of the best settings


def test_a_tuned_pack_has_the_prompts_and_the_settings_as_its_preset(tmp_path):
    path = save_tuned_pack(tmp_path / "new", "my best", {"txt2img.cfg_scale": 6.5}, [Prompt("a quay", "fog")])
    pack = read_prompt_pack(path)
    assert path == tmp_path / "new" / "my best.json"
    assert [(prompt.positive, prompt.negative) for prompt in pack.prompts] == [("a quay", "fog")]
    assert '"cfg_scale": 6.5' in path.read_text()


@pytest.mark.parametrize("name", ["", ".", "../x", "a/b", "a\\b", "x" * 81, "a\n", " a", "a:b"])
def test_a_name_that_is_no_files_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a name of letters"):
        save_tuned_pack(tmp_path, name, {}, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [{"steps": 3}, {"txt2img.steps": -1}, {"txt2img.nothing": 1}])
def test_settings_that_do_not_fit_make_no_pack(tmp_path, settings):
    with pytest.raises(ConfigError):
        save_tuned_pack(tmp_path, "a", settings, [])
    assert list(tmp_path.iterdir()) == []


def test_a_pack_is_never_replaced(tmp_path):
    save_tuned_pack(tmp_path, "a", {}, [Prompt("one")])
    with pytest.raises(ConfigError, match=r"there is a pack a\.json already; choose another name"):
        save_tuned_pack(tmp_path, "a", {}, [Prompt("two")])
