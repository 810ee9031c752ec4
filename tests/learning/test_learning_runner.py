"""Learning plans: what they compare, and that a runner goes on where it was stopped."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.learning_plan import LearningPlan, LearningRunResult, step_of
from stablenew.learning.learning_runner import LearningRunner
from stablenew.learning.plans.result_sheet import SheetImage, build_result_sheet
from tests import samples


def plan(**fields):
    return LearningPlan.from_dict(
        {
            "kind": "stablenew.learning_plan",
            "schema_version": "1.0",
            "name": "cfg",
            "created_at": samples.STARTED,
            "method": "sweep",
            "config": {},
            "prompts": [{"positive": "a quiet harbour"}, {"positive": "a bridge", "negative": "blurry"}],
            "seeds": [1, 2, 3],
            "axes": [{"name": "txt2img.cfg_scale", "values": [5, 7, 9]}],
            "presets": [],
        }
        | fields
    )


GRID = {
    "method": "grid",
    "axes": [{"name": "txt2img.steps", "values": [10, 20]}, {"name": "txt2img.cfg_scale", "values": [5, 7, 9]}],
}
PRESETS = {
    "method": "presets",
    "axes": [],
    "presets": [{"name": "soft", "overrides": {"txt2img.cfg_scale": 4}}, {"name": "hard", "overrides": {}}],
}


def test_a_sweep_compares_every_value_over_every_prompt_and_seed():
    one = plan()
    assert [(cell.label, cell.overrides) for cell in one.cells] == [
        (f"txt2img.cfg_scale={value}", {"txt2img.cfg_scale": value}) for value in (5, 7, 9)
    ]
    assert [(step.prompt.positive, step.seed) for step in one.steps] == [
        (prompt, seed) for prompt in ("a quiet harbour", "a bridge") for seed in (1, 2, 3)
    ]
    assert one.steps[4].tags == (f"plan:{one.plan_id}", "plan-step:4")
    assert step_of(one.steps[4].tags) == 4
    assert step_of(("plan-step:x", "other")) is None


def test_a_grid_and_presets_name_their_cells():
    assert [cell.label for cell in plan(**GRID).cells][:2] == [
        "txt2img.steps=10; txt2img.cfg_scale=5",
        "txt2img.steps=10; txt2img.cfg_scale=7",
    ]
    assert [(cell.label, cell.overrides) for cell in plan(**PRESETS).cells] == [
        ("preset=soft", {"txt2img.cfg_scale": 4}),
        ("preset=hard", {}),
    ]


def test_another_plan_has_another_id():
    assert plan().plan_id == plan().plan_id != plan(seeds=[1, 2]).plan_id


@pytest.mark.parametrize(
    "fields",
    [
        {"axes": []},
        {"method": "grid"},
        {"axes": [{"name": "txt2img.cfg_scale", "values": [5]}]},
        {"prompts": []},
        {"seeds": []},
        PRESETS | {"axes": GRID["axes"][:1]},
    ],
)
def test_a_plan_that_compares_nothing_is_refused(fields):
    with pytest.raises(InvalidDocument):
        plan(**fields).check()


class Runs:
    """Runs of a plan that an injected callable makes; it can be stopped."""

    def __init__(self):
        self.found = []

    def runner(self, one, outcomes=()):
        outcomes = iter(outcomes)

        def run(step):
            status = next(outcomes, "completed")
            if status == "killed":
                raise KeyboardInterrupt
            self.found.append(LearningRunResult(step.number, f"run-{len(self.found)}", status))
            return self.found[-1]

        return LearningRunner(one, run_step=run, find_results=lambda: self.found)


def test_every_step_is_run_once():
    runs = Runs()
    assert [one.step for one in runs.runner(plan()).iter_results()] == [0, 1, 2, 3, 4, 5]
    assert runs.runner(plan()).status().is_done
    assert list(runs.runner(plan()).iter_results()) == []


@given(st.lists(st.lists(st.sampled_from(["completed", "failed", "partial", "cancelled", "killed"]), max_size=7)))
def test_however_often_it_is_stopped_every_step_is_completed_exactly_once(attempts):
    runs = Runs()
    for outcomes in attempts:
        try:
            for result in runs.runner(plan(), outcomes).iter_results():
                if result.status == "cancelled":
                    break
        except KeyboardInterrupt:
            pass
    list(runs.runner(plan()).iter_results())
    done = [one.step for one in runs.found if one.status == "completed"]
    assert sorted(done) == [0, 1, 2, 3, 4, 5]
    status = runs.runner(plan()).status()
    assert [one.step for one in status.done] == [0, 1, 2, 3, 4, 5]
    assert len(status.undone) == len(runs.found) - 6


def picture(data):
    return Image.open(io.BytesIO(data))


def test_a_sheet_shows_every_image_in_its_place():
    red = SheetImage(samples.png(b"red", 64, 64, (200, 30, 30)), 4.5)
    one = plan(**GRID)
    columns, rows = 3, 2 * len(one.steps)
    sheet = picture(build_result_sheet(one, {(1, 5): red}, cell_size=64))
    empty = picture(build_result_sheet(one, {}, cell_size=64))
    assert sheet.size == empty.size
    where = [(x, y) for x in range(sheet.width) for y in range(0, sheet.height, 8) if sheet.getpixel((x, y)) == (200, 30, 30)]  # fmt: skip  # noqa: E501
    xs, ys = {x for x, _ in where}, {y for _, y in where}
    width = (sheet.width - 190 - 16) / columns
    height = (sheet.height - 94 - 16) / rows
    assert 190 + 2 * width <= min(xs) < max(xs) <= sheet.width
    assert 94 + 3 * height - 8 <= min(ys) < max(ys) <= 94 + 4 * height, "the second row of the second step"


def test_a_sheet_lives_with_images_that_cannot_be_decoded():
    cells = {(0, 0): SheetImage(b"no image"), (0, 1): SheetImage(samples.huge_png(20_000, 20_000))}
    assert picture(build_result_sheet(plan(), cells, cell_size=64)).format == "PNG"
