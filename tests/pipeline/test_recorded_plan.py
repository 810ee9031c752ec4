"""RecordedPlan: the variants of an earlier run as they ran, or with other seeds and settings; the config they had."""

import pytest

from stablenew.errors import ConfigError
from stablenew.pipeline.randomizer import SWEEP, Axis
from stablenew.pipeline.recorded_plan import RecordedPlan, config_of
from stablenew.pipeline.variant_plan import SEED, SEED_BITS
from tests.samples import STARTED, metadata, record

CFG = Axis(SWEEP, "txt2img.cfg_scale", (4, 9))
STEPS = Axis(SWEEP, "txt2img.steps", (10, 20))


def made(index=0, seed=123, **fields):
    return record(index=index, actual={"seed": seed}, **fields)


def seeds_of(plan):
    return [variant.overrides.get(SEED) for variant in plan]


def test_a_variant_has_the_seed_that_ran_and_what_was_asked_of_it():
    fields = {
        "prompt": {"positive": "a quay", "negative": "blurry", "prompt_id": "boats/0"},
        "variant": {"index": 3, "total": 4, "label": "[time]=dawn", "overrides": {"txt2img.steps": 5}},
    }
    plan = RecordedPlan.from_records([made(**fields)], parent_run_id="first")
    (variant,) = plan
    assert (variant.index, variant.total, variant.label) == (0, 1, "[time]=dawn")
    assert (variant.mode, variant.overrides) == ("again", {"txt2img.steps": 5, SEED: 123})
    assert (variant.prompt.positive, variant.prompt.negative, variant.prompt.prompt_id) == (
        "a quay",
        "blurry",
        "boats/0",
    )
    assert (plan.parent_run_id, plan.combinations, plan[0], plan[:1]) == ("first", 1, variant, (variant,))


def test_without_a_seed_that_ran_the_one_that_was_asked_for_counts():
    asked = {"requested": {"seed": 7}}
    assert seeds_of(RecordedPlan.from_records([record(**asked, actual={"steps": 3}), made(1, seed=8, **asked)])) == [
        7,
        8,
    ]
    without = record(requested={"steps": 3}, actual=None, prompt={"positive": "a quay"})
    (variant,) = RecordedPlan.from_records([without])
    assert (SEED in variant.overrides, variant.prompt.negative) == (False, "")
    assert len(set(seeds_of(RecordedPlan.from_records([without, without], seed=-1)))) == 2


def test_a_seed_among_the_overrides_gives_way_to_the_one_that_ran():
    overridden = {"index": 0, "total": 1, "overrides": {SEED: 7}}
    assert seeds_of(RecordedPlan.from_records([made(variant=overridden)])) == [123]


def test_one_seed_for_all_takes_the_place_of_those_that_ran():
    assert seeds_of(RecordedPlan.from_records([made(0, 1), made(1, 2)], seed=5)) == [5, 5]


def test_new_seeds_are_equal_where_they_were_and_are_never_drawn_by_the_engine():
    records = [made(0, 1), made(1, 2), made(2, 1), made(3, -1), made(4, -1)]
    seeds = seeds_of(RecordedPlan.from_records(records, seed=-1))
    assert seeds[0] == seeds[2]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**SEED_BITS for seed in seeds)
    assert {1, 2}.isdisjoint(seeds)


def test_every_variant_gets_every_value_of_every_sweep_until_the_limit():
    overridden = {"index": 0, "total": 1, "overrides": {"txt2img.steps": 5}}
    plan = RecordedPlan.from_records([made(variant=overridden), made(1)], sweeps=[CFG, STEPS])
    assert len(plan) == plan.combinations == 8
    assert [variant.total for variant in plan] == [8] * 8
    assert [variant.index for variant in plan] == list(range(8))
    swept = [(variant.overrides["txt2img.cfg_scale"], variant.overrides["txt2img.steps"]) for variant in plan[:4]]
    assert swept == [(4, 10), (4, 20), (9, 10), (9, 20)]
    assert plan[0].label == "txt2img.cfg_scale=4; txt2img.steps=10"
    assert plan[4].label == "[time]=dawn; txt2img.cfg_scale=4; txt2img.steps=10"
    assert [variant.total for variant in RecordedPlan.from_records([made()], sweeps=[CFG, STEPS], limit=3)] == [3] * 3
    assert len(RecordedPlan.from_records([made()], sweeps=[CFG], limit=0)) == 2


def test_its_summary_says_mode_size_and_what_was_swept():
    summary = RecordedPlan.from_records([made()], sweeps=[CFG]).summary().to_dict()
    assert summary == {"mode": "again", "size": 2, "axes": [{"name": "txt2img.cfg_scale", "values": [4, 9]}]}


def test_a_sweep_over_what_is_no_setting_is_refused():
    with pytest.raises(ConfigError):
        RecordedPlan.from_records([made()], sweeps=[Axis(SWEEP, "txt2img.nosuch", (1,))])


OURS = {"txt2img": {"steps": 30, "cfg_scale": 7.5, "subseed_strength": 0.5}, "upscale": {"factor": 2.0}}


def test_a_run_has_the_config_it_had_but_not_its_id():
    config = config_of(metadata(config={**OURS, "run_id": "sample-run"}), [])
    assert (config.txt2img.steps, config.txt2img.subseed_strength, config.upscale.factor) == (30, 0.5, 2.0)
    assert config.run_id is None


def test_what_the_program_chose_for_itself_is_left_to_it_again():
    chosen = {"steps": 30, "sampler": "DDIM", "hr_steps": 9, "subseed_strength": 0.5}
    done = {"status": "completed", "started_at": STARTED, "duration_seconds": 1.0, "output_count": 1}

    def found(*stages, **config):
        later = made(1, stages=[{**done, "name": "txt2img", "requested": {"subseed_strength": 0.5}}])
        asked = [{**done, "name": name, "requested": requested} for name, requested in stages]
        return config_of(metadata(config={"txt2img": chosen, **config}), [made(stages=asked), later])

    asked = ("txt2img", {"steps": 30, "sampler": "DDIM"})
    other = ("upscale", {"subseed_strength": 0.5})
    for config in ({}, {"upscale": None}):
        settings = found(other, asked, **config).txt2img
        assert "subseed_strength" not in settings.model_fields_set
        assert (settings.steps, settings.sampler, settings.hr_steps) == (30, "DDIM", 9)
    for unknown in ([other], [other, ("txt2img", {})]):
        assert found(*unknown).txt2img.subseed_strength == 0.5, "what was asked is not known"


def test_another_program_s_run_has_the_settings_of_its_first_variant_as_far_as_known():
    first = made(requested={"steps": 11, "sampler": "DDIM", "cfg_scale": None, "their_own": 3})
    later = made(1, requested={"steps": 99})
    config = config_of(metadata(config={"their": "own"}, one_click_action="theirs"), [first, later])
    assert (config.txt2img.steps, config.txt2img.sampler, config.one_click_action) == (11, "DDIM", "theirs")
    assert not {"cfg_scale", "their_own"} & config.txt2img.model_fields_set


def test_without_config_and_records_there_is_nothing_to_run_again():
    with pytest.raises(ConfigError, match="run sample-run has no records and no config that could run again"):
        config_of(metadata(config={"their": "own"}), [])
