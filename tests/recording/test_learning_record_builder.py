import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew import (
    LearningContext,
    LearningRecord,
    PipelineConfig,
    PipelineRunResult,
    VariantResult,
    build_learning_record,
)
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.pipeline_result import VariantPrompt
from stablenew.recording.image_content import build_image
from tests.samples import STARTED, png

CONFIG = PipelineConfig(one_click_action="moody", learning_tags=("experiment:steps",))
CONTEXT = LearningContext(run_id="my-run", source={"name": "StableNew"})


def variant(index=0, **fields):
    image = build_image(png(), variant=index, stage="txt2img", number=0, seed=5, role="final")
    defaults = {
        "index": index,
        "total": 3,
        "mode": "fanout",
        "label": "[time]=dawn",
        "overrides": {"txt2img.steps": 30},
        "prompt": VariantPrompt(
            "a lake <lora:ink:0.5>", "blurry", "pack", "Pack", "pack/0", (("ink", 0.5), ("x", None))
        ),
        "requested": {"steps": 30, "seed": -1, "model": None},
        "actual": {"steps": 30, "seed": 2**64 - 1},
        "status": "completed",
        "started_at": STARTED,
        "finished_at": STARTED,
        "duration_seconds": 1.5,
        "images": (image,),
    }
    return VariantResult(**(defaults | fields))


def result(*variants):
    return PipelineRunResult("my-run", "completed", STARTED, STARTED, 1.0, len(variants), "fanout", variants)


def test_a_record_says_what_was_asked_and_what_ran():
    one = build_learning_record(CONFIG, variant(), CONTEXT)
    assert (one.run_id, one.variant.label, one.one_click_action) == ("my-run", "[time]=dawn", "moody")
    assert (one.requested.seed, one.actual.seed) == (-1, 2**64 - 1)
    assert one.config_digest == digest_json(CONFIG.to_dict())
    assert one.prompt.loras[0].name == "ink"
    assert one.outputs[0].seed == 5
    assert LearningRecord.from_json(one.to_json()) == one


def test_a_one_variant_run_needs_no_index_and_several_do():
    assert build_learning_record(CONFIG, result(variant(0))).run_id == "my-run"
    several = result(variant(0), variant(1))
    with pytest.raises(ValueError, match="found 2 in run my-run"):
        build_learning_record(CONFIG, several)
    assert build_learning_record(CONFIG, several, LearningContext(variant_index=1)).variant.index == 1


def test_a_record_without_a_run_id_is_refused():
    with pytest.raises(ValueError, match="id of its run"):
        build_learning_record(CONFIG, variant())
    assert build_learning_record(PipelineConfig(run_id="own"), variant()).run_id == "own"


def test_building_changes_nothing_and_gives_the_same_twice():
    one = variant()
    before = copy.deepcopy((one.requested, one.overrides))
    first, second = (build_learning_record(CONFIG, one, CONTEXT) for _ in range(2))
    assert first == second
    assert (one.requested, one.overrides) == before


def test_tags_of_config_and_context_are_joined_once_each():
    context = LearningContext(run_id="r", learning_tags=("experiment:steps", "style:ink"))
    assert build_learning_record(CONFIG, variant(), context).learning_tags == ("experiment:steps", "style:ink")


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.floats() | st.text(max_size=5) | st.integers() | st.binary(max_size=3) | st.none(),
            st.lists,
            max_leaves=4,
        ),
        max_size=4,
    )
)
def test_whatever_an_engine_reports_becomes_json(strange):
    strange = {f"x{key}": value for key, value in strange.items()}
    one = build_learning_record(CONFIG, variant(requested=strange, actual=strange), CONTEXT)
    assert LearningRecord.from_json(one.to_json()) == one
