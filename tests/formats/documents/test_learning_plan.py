"""LearningPlan: what it compares, in which order, and what is no plan."""

import copy

import pytest

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.learning_plan import LearningPlan, step_of
from tests.formats.documents.field_contract import (
    ANY_JSON,
    EXTENSIONS,
    NAME,
    OBJECT,
    SEED,
    SLUG,
    TEXT,
    TIME,
    WHEN,
    FieldContract,
)

FULL = {
    "kind": "stablenew.learning_plan", "schema_version": "1.0", "name": "cfg", "created_at": TIME, "method": "grid",
    "config": {"txt2img": {"steps": 20}}, "prompts": [{"positive": "a quay", "negative": "fog", "prompt_id": "p/0"}],
    "seeds": [1, str(2**64 - 1)],
    "axes": [{"name": "txt2img.cfg_scale", "values": [5, 7.5]}, {"name": "txt2img.sampler", "values": ["a", "b"]}],
    "presets": [{"name": "soft", "overrides": {"txt2img.cfg_scale": 4}}], "engine": "sketch",
    "ext": {"org.example": 1},
}  # fmt: skip
SWEEP = FULL | {"method": "sweep", "axes": FULL["axes"][:1], "presets": []}
GRID = FULL | {"presets": []}
PRESETS = FULL | {
    "method": "presets",
    "axes": [],
    "presets": [{"name": "soft", "overrides": {"txt2img.cfg_scale": 4}}, {"name": "hard", "overrides": {}}],
}


class TestEveryField(FieldContract):
    model, full = LearningPlan, FULL
    takes = {  # noqa: RUF012
        "name": NAME, "created_at": WHEN, "method": SLUG, "config": OBJECT,
        "prompts.0.positive": (["", "a"], [None, 1]),
        "prompts.0.negative": TEXT, "prompts.0.prompt_id": NAME, "seeds.0": SEED, "axes.0.name": NAME,
        "axes.0.values": ([[], [1, None, "a", {"b": []}]], [1, None]), "axes.0.values.0": ANY_JSON,
        "presets.0.name": NAME, "presets.0.overrides": OBJECT, "engine": TEXT, "ext": EXTENSIONS,
        "prompts": ([[]], [{}, None]), "seeds": ([[]], [1, None]),
    }  # fmt: skip
    needed = {  # noqa: RUF012
        "": ["kind", "schema_version", "name", "created_at", "method", "config", "prompts", "seeds", "axes", "presets"],
        "prompts.0": ["positive"], "axes.0": ["name", "values"], "presets.0": ["name", "overrides"],
    }  # fmt: skip


def plan(base=SWEEP, **fields):
    return LearningPlan.from_dict(base | fields)


@pytest.mark.parametrize("fields", [SWEEP, GRID, PRESETS], ids=lambda fields: fields["method"])
def test_a_plan_that_compares_what_its_method_says_passes(fields):
    plan(fields).check()


def test_a_sweep_compares_the_values_of_one_setting_in_their_order():
    assert plan().cells == (
        (0, "txt2img.cfg_scale=5", {"txt2img.cfg_scale": 5}),
        (1, "txt2img.cfg_scale=7.5", {"txt2img.cfg_scale": 7.5}),
    )


def test_the_last_axis_of_a_grid_is_the_fastest():
    cells = plan(GRID).cells
    assert [cell.number for cell in cells] == [0, 1, 2, 3]
    assert [tuple(cell.overrides.values()) for cell in cells] == [(5, "a"), (5, "b"), (7.5, "a"), (7.5, "b")]
    assert cells[1].label == "txt2img.cfg_scale=5; txt2img.sampler=b"


def test_presets_are_compared_as_a_whole():
    assert [(cell.label, cell.overrides) for cell in plan(PRESETS).cells] == [
        ("preset=soft", {"txt2img.cfg_scale": 4}),
        ("preset=hard", {}),
    ]


def test_a_cell_that_is_changed_changes_no_plan():
    presets = plan(PRESETS)
    presets.cells[0].overrides["txt2img.steps"] = 1
    assert presets.cells[0].overrides == {"txt2img.cfg_scale": 4}


@pytest.mark.parametrize(
    ("base", "fields", "words"),
    [
        (SWEEP, {"method": "walk"}, "no method 'walk' of a plan; there are sweep, grid, presets"),
        (SWEEP, {"axes": []}, "expected a sweep to have 1 axes and no presets, found 0 axes and 0 presets"),
        (GRID, {"axes": GRID["axes"][:1]}, "expected a grid to have 2 axes and no presets, found 1 axes"),
        (SWEEP, {"presets": PRESETS["presets"]}, "expected a sweep to have 1 axes and no presets, found .* 2 presets"),
        (PRESETS, {"axes": GRID["axes"]}, "expected presets to have no axes, found 2"),
        (PRESETS, {"presets": PRESETS["presets"][:1]}, "compares two things or more"),
        (PRESETS, {"presets": []}, "compares two things or more"),
        (SWEEP, {"axes": [{"name": "x", "values": [1]}]}, "compares two things or more"),
        (GRID, {"axes": [{"name": "x", "values": []}, GRID["axes"][1]]}, "compares two things or more"),
        (SWEEP, {"prompts": []}, "needs a prompt and a seed"),
        (SWEEP, {"seeds": []}, "needs a prompt and a seed"),
    ],
)
def test_what_is_no_plan_is_refused_with_what_is_wrong(base, fields, words):
    with pytest.raises(InvalidDocument, match=words):
        plan(base, **fields).check()


def test_every_prompt_is_run_with_every_seed():
    wanted = plan(prompts=[{"positive": "a"}, {"positive": "b"}], seeds=[7, 8])
    steps = [(step.number, step.prompt.positive, step.seed) for step in wanted.steps]
    assert steps == [(0, "a", 7), (1, "a", 8), (2, "b", 7), (3, "b", 8)]
    assert {step.tags[0] for step in wanted.steps} == {wanted.tag}
    assert [step_of(step.tags) for step in wanted.steps] == [0, 1, 2, 3]


def test_another_plan_has_another_id_and_the_same_one_keeps_it():
    ids = {plan(GRID).plan_id, plan().plan_id, plan(name="other").plan_id, plan(seeds=[2]).plan_id}
    assert len(ids) == 4
    again = LearningPlan.from_json(plan(copy.deepcopy(GRID)).to_json())
    assert (again.plan_id, again.tag) == (plan(GRID).plan_id, f"plan:{plan(GRID).plan_id}")
    assert plan(GRID).plan_id == "b4a49e4595a3"


@pytest.mark.parametrize(
    ("tags", "step"),
    [
        ((), None),
        (("plan-step:0",), 0),
        (("mine", "plan:abc", "plan-step:12"), 12),
        (("plan-step:", "plan-step:x", "plan-step:3"), 3),
        (("plan-step:-1",), None),
        (("plan-step:1.5",), None),
        (("plan-step:٣",), None),
        (("7",), None),
    ],
)
def test_a_run_tells_by_its_tags_which_step_it_was(tags, step):
    assert step_of(tags) == step
