"""RunRequest: what a person types, made into config and plan; and a run that was, run again."""

from dataclasses import replace

import pytest

from stablenew import PipelineConfig, PipelineRunner, RunRecorder, SketchEngine
from stablenew.errors import ConfigError
from stablenew.pipeline.pack_library import build_typed_pack
from stablenew.pipeline.run_request import RunRequest, check_plan_size, plan_again, plan_pack, warnings_about

SMALL = {"width": 32, "height": 32, "steps": 4}
PACK = build_typed_pack("a [[kind]] boat\n\na pier")


def test_settings_sweeps_and_what_varies_are_put_in():
    request = RunRequest(
        settings=["txt2img.steps=30", "upscale.factor=2", "txt2img.sampler=DDIM"],
        sweeps=["txt2img.cfg_scale=5,7"],
        randomize=["kind: red | blue"],
        seed=9,
        action="test",
        tags=["t"],
    )
    config, plan = plan_pack(PACK, request)
    assert (config.txt2img.steps, config.txt2img.sampler, config.txt2img.seed) == (30, "DDIM", 9)
    assert [name for name, _ in config.stages] == ["txt2img", "upscale"]
    assert (config.one_click_action, config.learning_tags, len(plan)) == ("test", ("t",), 6)
    assert warnings_about(plan) == []
    assert warnings_about(plan_pack(PACK, RunRequest())[1]) == ["[[kind]] has no values; it is sent as it stands"]


def test_a_million_variants_are_meant_only_when_a_limit_says_so():
    request = RunRequest(sweeps=["txt2img.seed=" + ",".join(map(str, range(1001)))])
    with pytest.raises(ConfigError, match="--limit"):
        check_plan_size(plan_pack(PACK, request)[1], request)
    limited = RunRequest(sweeps=request.sweeps, limit=1500)
    check_plan_size(plan_pack(PACK, limited)[1], limited)


@pytest.fixture
def recorded(store):
    pack = replace(build_typed_pack("a boat\n\na pier", "boats"), name="Boats", digest="xxh128:" + "1" * 32)
    config = PipelineConfig(txt2img=SMALL, upscale={"factor": 2}, one_click_action="first", learning_tags=("a",))
    return store.open(PipelineRunner(SketchEngine(), run_store=store).run(config, pack=pack).run_id)


def again(store, recorded, request=None, **options):
    config, plan, pack = plan_again(recorded, request or RunRequest(), **options)
    return config, plan, PipelineRunner(SketchEngine(), run_store=store).run(config, plan=plan, pack=pack)


def digests(result):
    return [output.digest for output in result.outputs]


def test_a_run_runs_again_byte_for_byte(store, recorded):
    config, plan, result = again(store, recorded)
    assert digests(result) == [output.digest for _, output in recorded.iter_outputs()]
    assert (config.one_click_action, config.learning_tags, plan.combinations) == ("first", ("a",), 2)
    summary = store.open(result.run_id).metadata.variant_plan
    assert (summary.mode, summary.size) == ("again", 2)
    assert store.open(result.run_id).metadata.packs == recorded.metadata.packs
    named = [(record.prompt.pack_name, record.prompt.prompt_id) for record in result.records]
    assert named == [("Boats", "boats/0"), ("Boats", "boats/1")]


def test_a_run_runs_again_with_other_seeds_or_settings(store, recorded):
    first = [output.digest for _, output in recorded.iter_outputs()]
    _, _, varied = again(store, recorded, has_new_seeds=True)
    assert not set(digests(varied)) & set(first)
    assert varied.variants[0].actual["seed"] != next(recorded.iter_records()).actual.seed
    _, _, seeded = again(store, recorded, RunRequest(seed=5))
    assert {variant.actual["seed"] for variant in seeded.variants} == {5}
    request = RunRequest(sweeps=["txt2img.cfg_scale=4,9"], settings=["txt2img.steps=6"], limit=3, action="second")
    config, plan, swept = again(store, recorded, request)
    assert [variant.label for variant in plan] == [f"txt2img.cfg_scale={value}" for value in (4, 9, 4)]
    assert [variant.actual["cfg_scale"] for variant in swept.variants] == [4, 9, 4]
    assert (config.one_click_action, swept.variants[0].actual["steps"]) == ("second", 6)


def test_a_run_of_another_program_runs_again_as_far_as_it_is_known(store):
    with RunRecorder(store.root, config={"their": "own"}, engine="theirs") as run:
        run.record_variant(prompt="a lake", images=[], settings={"steps": 11, "sampler": "DDIM", "seed": 4})
    config, plan, pack = plan_again(store.open(run.run_id), RunRequest())
    assert pack is None
    assert (config.txt2img.steps, config.txt2img.sampler, plan[0].overrides) == (11, "DDIM", {"txt2img.seed": 4})
    assert plan[0].prompt.positive == "a lake"


def test_a_run_without_variants_cannot_run_again(store):
    with RunRecorder(store.root, config={"their": "own"}) as run:
        pass
    with pytest.raises(ConfigError, match="no records"):
        plan_again(store.open(run.run_id), RunRequest())


def test_a_sweep_is_recorded_under_the_standard_name_of_its_setting(store):
    config, plan = plan_pack(build_typed_pack("a boat"), RunRequest(sweeps=["txt2img.cfg=5,7"]))
    assert [axis.name for axis in plan.sweeps] == ["txt2img.cfg_scale"]
    config = config.with_overrides({f"txt2img.{name}": value for name, value in SMALL.items()})
    run = store.open(PipelineRunner(SketchEngine(), run_store=store).run(config, plan=plan).run_id)
    records, _ = run.read_records()
    assert [record.variant.overrides["txt2img.cfg_scale"] for record in records] == [5, 7]
    _, plan, _ = plan_again(run, RunRequest(sweeps=["txt2img.hr_second_pass_steps=3"]))
    assert [axis.name for axis in plan.sweeps] == ["txt2img.hr_steps"]


def seeds_of(plan):
    return [variant.overrides.get("txt2img.seed") for variant in plan]


def test_a_sweep_draws_one_seed_for_each_prompt():
    pack = build_typed_pack("a lake\n\na hill")
    _, plan = plan_pack(pack, RunRequest(sweeps=["txt2img.cfg_scale=5,7"]))
    lake, same, hill, also = seeds_of(plan)
    assert lake == same != hill == also
    assert seeds_of(plan) == seeds_of(plan), "a plan says the same whenever it is asked"
    assert [variant.label for variant in plan[:2]] == ["txt2img.cfg_scale=5", "txt2img.cfg_scale=7"], (
        "the seed is what does not vary"
    )
    for kept in (RunRequest(), RunRequest(sweeps=["txt2img.cfg_scale=5,7"], seed=9)):
        assert set(seeds_of(plan_pack(pack, kept)[1])) == {None}
    _, swept = plan_pack(pack, RunRequest(sweeps=["txt2img.seed=1,2"]))
    assert seeds_of(swept) == [1, 2, 1, 2]


def test_other_seeds_are_shared_by_what_shared_one_before(store):
    with RunRecorder(store.root, config={"their": "own"}) as run:
        for cfg_scale, seed in ((5, 1), (7, 1), (5, 2)):
            run.record_variant(prompt="a lake", images=[], settings={"cfg_scale": cfg_scale, "seed": seed})
    _, plan, _ = plan_again(store.open(run.run_id), RunRequest(), has_new_seeds=True)
    first, second, third = seeds_of(plan)
    assert first == second != third
    assert {first, third}.isdisjoint({1, 2})
