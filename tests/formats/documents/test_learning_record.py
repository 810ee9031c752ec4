"""LearningRecord: each field, the short ways to what it holds, and records of pipelines that are not ours."""

import pytest

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.learning_record import GenerationSettings, LearningRecord
from tests.formats.documents.field_contract import (
    ANY_JSON,
    COUNT,
    DIGEST,
    DIGESTS,
    EXTENSIONS,
    INTEGER,
    NAME,
    NAMES,
    NUMBER,
    OBJECT,
    OUTPUT_PATH,
    RUN_ID,
    SECONDS,
    SEED,
    SHA256,
    SHA256S,
    SLUG,
    TEXT,
    TEXTS,
    TIME,
    WHEN,
    FieldContract,
)
from tests.samples import record

OUTPUT = {
    "path": "outputs/a.png", "digest": DIGEST, "sha256": SHA256, "size_bytes": 9, "media_type": "image/png",
    "width": 8, "height": 6, "stage": "txt2img", "role": "final", "seed": 1, "node": "9", "pixel_digest": DIGEST,
    "parents": [DIGEST],
}  # fmt: skip
FULL = {
    "kind": "stablenew.learning_record", "schema_version": "1.0", "run_id": "run-1", "source": {"name": "StableNew"},
    "correlation": {"job_id": "7"}, "one_click_action": "moody", "learning_tags": ["a"], "config_digest": DIGEST,
    "variant": {"index": 0, "total": 4, "mode": "fanout", "label": "x=1", "overrides": {"txt2img.steps": 9}},
    "started_at": TIME, "finished_at": TIME, "duration_seconds": 1.5, "status": "completed",
    "error": {"message": "m", "type": "OSError", "stage": "txt2img"},
    "prompt": {"positive": "a lake", "negative": "fog", "loras": [{"name": "ink", "weight": 0.5}]},
    "requested": {"steps": 30, "seed": -1}, "actual": {"steps": 30},
    "stages": [{
        "name": "txt2img", "status": "completed", "started_at": TIME, "finished_at": TIME, "duration_seconds": 1,
        "input_count": 0, "output_count": 1, "requested": {}, "actual": {}, "error": {"message": "m"},
    }],
    "outputs": [OUTPUT], "given_names": {"cfg_scale": "cfg"}, "odd": {"seed": "x"},
    "reconstructed": {"tool": "a1111", "reader": "a1111", "reader_version": "1", "raw": "Steps: 20"},
    "metrics": [{"metric": "aesthetic", "value": 5.5}], "ext": {"org.example": 1},
}  # fmt: skip
NEEDED = {
    "": ["kind", "schema_version", "run_id", "variant", "started_at", "status", "prompt", "requested", "stages",
         "outputs"],
    "source": ["name"], "variant": ["index", "total"], "prompt": ["positive"], "prompt.loras.0": ["name"],
    "requested": [], "error": ["message"], "stages.0.error": ["message"],
    "stages.0": ["name", "status", "started_at", "duration_seconds", "output_count"],
    "outputs.0": ["digest", "size_bytes", "media_type", "stage", "path"],
    "reconstructed": ["tool", "reader", "reader_version"], "metrics.0": ["metric", "value"],
}  # fmt: skip
TAKES = {
    "run_id": RUN_ID, "source.name": NAME, "one_click_action": TEXT, "learning_tags": NAMES, "config_digest": DIGESTS,
    "variant.index": COUNT, "variant.total": COUNT, "variant.mode": SLUG, "variant.label": TEXT,
    "variant.overrides": OBJECT, "started_at": WHEN, "finished_at": WHEN, "duration_seconds": SECONDS, "status": SLUG,
    "error.message": TEXT, "error.stage": SLUG, "prompt.positive": (["", "x" * 100_000], [None, 1]),
    "prompt.negative": TEXT, "prompt.pack_id": NAME, "prompt.pack_name": NAME, "prompt.prompt_id": NAME,
    "prompt.loras.0.name": NAME, "prompt.loras.0.weight": NUMBER, "prompt.embeddings": NAMES,
    **{f"requested.{name}": TEXT for name in ("model", "model_hash", "vae", "sampler", "scheduler")},
    **{f"requested.{name}": INTEGER for name in ("steps", "clip_skip")},
    **{f"requested.{name}": COUNT for name in ("width", "height")},
    **{f"requested.{name}": NUMBER for name in ("cfg_scale", "denoising_strength", "eta")},
    "requested.seed": SEED, "requested.my_own": ANY_JSON, "actual": ([{}, None], [[], "x"]),
    "stages.0.name": SLUG, "stages.0.status": SLUG, "stages.0.started_at": WHEN, "stages.0.finished_at": WHEN,
    "stages.0.duration_seconds": SECONDS, "stages.0.input_count": COUNT, "stages.0.output_count": COUNT,
    "stages.0.requested": OBJECT, "stages.0.actual": OBJECT, "stages": ([[]], [{}, [{}], None]),
    "outputs.0.path": (OUTPUT_PATH[0], OUTPUT_PATH[1]), "outputs.0.digest": DIGESTS, "outputs.0.sha256": SHA256S,
    "outputs.0.size_bytes": COUNT, "outputs.0.width": COUNT, "outputs.0.height": COUNT, "outputs.0.stage": SLUG,
    "outputs.0.media_type": (["image/png", "image/svg+xml", "x/" + "a" * 125], ["png", "Image/png", "x/" + "a" * 126]),
    "outputs.0.role": SLUG, "outputs.0.seed": SEED, "outputs.0.node": NAME, "outputs.0.pixel_digest": DIGESTS,
    "outputs.0.parents": ([[], [DIGEST]], [[""], DIGEST]), "given_names": TEXTS, "odd": TEXTS, "ext": EXTENSIONS,
    "reconstructed.tool": NAME, "reconstructed.reader": NAME, "reconstructed.reader_version": TEXT,
    "reconstructed.raw": ANY_JSON, "reconstructed.raw_path": OUTPUT_PATH,
    "metrics.0.image_id": DIGESTS, "metrics.0.metric": SLUG, "metrics.0.value": NUMBER, "metrics.0.scorer": NAME,
}  # fmt: skip


class TestEveryField(FieldContract):
    model, full, takes, needed = LearningRecord, FULL, TAKES, NEEDED


def test_settings_are_written_in_the_order_of_the_format_and_only_those_that_were_given():
    settings = GenerationSettings.model_validate({"my_own": 1, "seed": 3, "steps": 20, "model": None})
    assert settings.to_json() == '{"model":null,"steps":20,"seed":3,"my_own":1}'


def test_a_record_of_one_variant_has_no_config_of_a_whole_run():
    plain = record(variant={"index": 1, "total": 5, "mode": "random"})
    assert (plain.base_config, plain.variant_configs, plain.output_paths) == (None, [], [])
    assert (plain.randomizer_mode, plain.randomizer_plan_size) == ("random", 5)


def test_a_record_of_a_whole_run_gives_back_its_configs():
    whole = LearningRecord.from_pipeline_context(
        {"run_id": "mine", "started_at": TIME, "steps": 9},
        [{"steps": 9}, {"steps": 20}],
        {"mode": "fanout", "size": 2},
    )
    assert whole.base_config["steps"] == 9
    assert whole.variant_configs == [{"steps": 9}, {"steps": 20}]
    assert LearningRecord.from_json(whole.to_json()).variant_configs == whole.variant_configs


def test_an_output_is_named_by_its_path_and_else_as_it_was_given():
    given = {"run_id": "mine", "started_at": TIME, "output_paths": ["/home/a/x.png"]}
    assert LearningRecord.from_pipeline_context({}, given).output_paths == ["/home/a/x.png"]
    inside = LearningRecord.from_pipeline_context({}, {**given, "outputs": [OUTPUT]})
    assert inside.output_paths == ["outputs/a.png"]


def test_a_record_that_was_completed_needs_not_say_so():
    made = LearningRecord.from_pipeline_context({}, {"run_id": "mine", "started_at": TIME})
    assert (made.status, made.stages, made.outputs) == ("completed", (), ())
    failed = LearningRecord.from_pipeline_context({}, {"run_id": "mine", "started_at": TIME, "status": "failed"})
    assert failed.status == "failed"


@pytest.mark.parametrize("context", [{"run_id": "con"}, {"run_id": "mine", "started_at": "yesterday"}])
def test_a_context_that_does_not_fit_the_format_is_refused(context):
    with pytest.raises(InvalidDocument, match="not a valid 'stablenew.learning_record' document"):
        LearningRecord.from_pipeline_context({}, {"started_at": TIME, **context})
