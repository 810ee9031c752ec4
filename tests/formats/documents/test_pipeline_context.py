"""Records from what other pipelines call things."""

from pathlib import Path

import pytest

from stablenew import LearningRecord
from stablenew.errors import InvalidDocument
from tests.samples import STARTED


def test_a_variant_by_the_names_that_pipelines_use():
    record = LearningRecord.from_pipeline_context(
        {"prompt": "a quay", "negative_prompt": "fog", "num_inference_steps": 20, "guidance_scale": 7},
        {
            "run_id": "run-a",
            "variant_index": 2,
            "variant_total": 5,
            "timestamp": "2026-03-01T12:00:00+01:00",
            "error": "boom",
            "output_paths": ["out/a.png", "out/b.png"],
        },
    )
    assert (record.variant.index, record.variant.total, record.started_at) == (2, 5, "2026-03-01T11:00:00.000Z")
    assert (record.status, record.error.message) == ("failed", "boom")
    assert (record.prompt.positive, record.prompt.negative) == ("a quay", "fog")
    assert (record.requested.steps, record.requested.cfg_scale) == (20, 7.0)
    assert record.output_paths == ["out/a.png", "out/b.png"]
    assert LearningRecord.from_json(record.to_json()) == record


def test_seconds_since_1970_are_a_time_too():
    record = LearningRecord.from_pipeline_context({}, {"run_id": "run-a", "timestamp": 0})
    assert record.started_at == "1970-01-01T00:00:00.000Z"


def test_a_whole_run_in_one_record():
    base = {"txt2img": {"prompt": "a quay", "steps": 30, "sampler_name": "Euler"}, "upscale": {"factor": 2}}
    variants = [{"txt2img": {"cfg_scale": 5}}, {"txt2img": {"cfg_scale": 7}}]
    randomizer = {"mode": "fanout", "plan_size": 2}
    by_place = LearningRecord.from_pipeline_context(base, variants, randomizer, {"run_id": "run-a", "knob": 1})
    by_name = LearningRecord.from_pipeline_context(
        base_config=base, variant_configs=variants, randomizer_metadata=randomizer, knobs_metadata={"run_id": "run-a"}
    )
    for record in (by_place, by_name):
        assert (record.run_id, record.randomizer_mode, record.randomizer_plan_size) == ("run-a", "fanout", 2)
        assert (record.base_config, record.variant_configs) == (base, variants)
        assert (record.requested.steps, record.requested.sampler) == (30, "Euler")
        assert record.prompt.positive == "a quay"
        assert LearningRecord.from_json(record.to_json()) == record


def test_a_run_without_an_id_gets_one_and_a_variant_does_not():
    assert LearningRecord.from_pipeline_context({"steps": 3}, [{}], {}, {}).run_id
    with pytest.raises(InvalidDocument, match="run_id"):
        LearningRecord.from_pipeline_context({"steps": 3}, {"timestamp": 0})


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"started_at": 1e20}, "started_at"),
        ({"started_at": float("inf")}, "started_at"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"variant_index": None}, "variant.index"),
        ({"variant_index": "1"}, "variant.index"),
        ({"variant_total": "4"}, "variant.total"),
        ({"error": 5}, "error"),
        ({"ext": [1], "output_paths": ["a.png"]}, "ext"),
    ],
)
def test_what_does_not_fit_the_format_is_refused_by_the_name_of_its_field(fields, place):
    with pytest.raises(InvalidDocument, match=rf"document: {place}: "):
        LearningRecord.from_pipeline_context({}, {"run_id": "run-a", "started_at": STARTED} | fields)


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        ("out/a.png", ["out/a.png"]),
        (Path("out/a.png"), ["out/a.png"]),
        ((Path("a.png"), "b.png"), ["a.png", "b.png"]),
        (iter(["a.png"]), ["a.png"]),
        ([], []),
        (None, []),
    ],
)
def test_one_path_may_stand_without_a_list_around_it(paths, kept):
    context = {"run_id": "run-a", "timestamp": 0, "output_paths": paths}
    assert LearningRecord.from_pipeline_context({}, context).output_paths == kept


def test_a_total_is_never_less_than_the_variants_it_counts():
    for index, total, counted in ((0, None, 1), (4, 2, 5), (4, 9, 9)):
        given = {"run_id": "run-a", "timestamp": 0, "variant_index": index, "variant_total": total}
        assert LearningRecord.from_pipeline_context({}, given).variant.total == counted
