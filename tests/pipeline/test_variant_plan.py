"""Which variants a plan makes, against nested loops."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew import Axis, Prompt, VariantPlan
from stablenew.pipeline.prompt_pack import PromptPack
from stablenew.pipeline.randomizer import MATRIX, SWEEP
from stablenew.pipeline.variant_plan import MODES, SEED
from tests.profiles import by_profile

TIME, PLACE = Axis(MATRIX, "time", ("dawn", "noon", "dusk")), Axis(MATRIX, "place", ("pier", "quay"))
STEPS, CFG = Axis(SWEEP, "txt2img.steps", (10, 20)), Axis(SWEEP, "txt2img.cfg_scale", (5.0, 7.0, 9.0))
TEXTS = ("a [[place]] at [[time]]", "a boat at [[time]]", "a hill")


def plan(texts=TEXTS, sweeps=(), **options):
    return VariantPlan(tuple(map(Prompt, texts)), (TIME, PLACE), tuple(sweeps), **options)


def shown(variants):
    return [(one.prompt.positive, *one.overrides.values()) for one in variants]


def combinations_of(text):
    """Every text that a prompt can become, the last axis fastest."""
    axes = [axis for axis in (TIME, PLACE) if axis.token in text]
    for values in itertools.product(*(axis.values for axis in axes)):
        filled = text
        for axis, value in zip(axes, values, strict=True):
            filled = filled.replace(axis.token, value)
        yield filled


sweeps_of = st.sampled_from([(), (STEPS,), (STEPS, CFG)])


@settings(max_examples=by_profile(few=5, quick=15, ci=40, nightly=400))
@given(
    st.lists(st.sampled_from(TEXTS), max_size=4),
    sweeps_of,
    st.none() | st.integers(0, 4),
    st.none() | st.integers(0, 9),
)
def test_a_fanout_is_all_prompts_all_combinations_all_sweeps(texts, sweeps, most, limit):
    expected = [
        (filled, *values)
        for text in texts
        for filled in list(combinations_of(text))[: most or None]
        for values in itertools.product(*(axis.values for axis in sweeps))
    ]
    made = plan(texts, sweeps, combination_limit=most, limit=limit)
    assert shown(made) == expected[: limit or None]
    assert len(made) == len(expected[: limit or None])
    assert {one.total for one in made} <= {len(made)}


@settings(max_examples=by_profile(few=5, quick=15, ci=40, nightly=400))
@given(st.lists(st.sampled_from(TEXTS), max_size=6), sweeps_of, st.sampled_from([None, 1, 2, 3]))
def test_in_sequence_each_prompt_goes_on_where_the_one_before_left_off(texts, sweeps, picks):
    expected = []
    for number, text in enumerate(texts):
        every = list(combinations_of(text))
        count = min(len(every), picks or 1)
        for place in range(number * count, (number + 1) * count):
            swept = itertools.product(*(axis.values for axis in sweeps))
            expected += [(every[place % len(every)], *values) for values in swept]
    assert shown(plan(texts, sweeps, mode="sequential", combination_limit=picks)) == expected


@settings(max_examples=by_profile(few=5, quick=15, ci=40, nightly=400))
@given(sweeps_of, st.integers(0, 2**64), st.integers(1, 40))
def test_at_random_no_combination_with_a_sweep_comes_twice(sweeps, seed, limit):
    everything = set(shown(plan(TEXTS[:1], sweeps)))
    drawn = shown(plan(TEXTS[:1], sweeps, mode="random", limit=limit, seed=seed))
    assert len(drawn) == len(set(drawn)) == min(limit, len(everything))
    assert set(drawn) <= everything


def test_a_limit_of_random_variants_is_shared_by_the_prompts():
    drawn = plan(TEXTS, mode="random", limit=7)
    assert len(drawn) == 7
    assert [one.prompt.positive for one in drawn].count("a hill") == 1


@pytest.mark.parametrize(("name", "mode"), MODES.items())
def test_a_mode_has_several_names(name, mode):
    assert plan(mode=name).mode == mode


def test_each_prompt_draws_one_seed_for_all_its_variants():
    made = plan(sweeps=[CFG], draws_seeds=True, seed=3)
    seeds = {
        text: {one.overrides[SEED] for one in made if one.prompt.positive.startswith(text)}
        for text in ("a boat", "a hill")
    }
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 2
    assert all(0 <= seed < 2**32 for found in seeds.values() for seed in found)
    assert (
        shown(made)
        == shown(plan(sweeps=[CFG], draws_seeds=True, seed=3))
        != shown(plan(sweeps=[CFG], draws_seeds=True))
    )


def test_a_sweep_over_seeds_wins_over_those_that_are_drawn():
    seeds = Axis(SWEEP, SEED, (1, 2))
    assert [one.overrides[SEED] for one in plan(TEXTS[2:], [seeds], draws_seeds=True)] == [1, 2]


def test_a_pack_brings_axes_mode_and_limit_and_what_is_asked_for_comes_on_top():
    pack = PromptPack("p", "P", (Prompt("a [[place]] at [[time]]"),), (PLACE,), mode="sequential", combination_limit=2)
    own = VariantPlan.for_pack(pack)
    assert (own.mode, shown(own)) == ("sequential", [("a pier at [[time]]",), ("a quay at [[time]]",)])
    more = VariantPlan.for_pack(pack, axes=[TIME], sweeps=[STEPS], mode="fanout", limit=3, seed=5, draws_seeds=True)
    assert (more.mode, len(more), more.seed) == ("fanout", 3, 5)
    assert more[0].prompt.positive == "a pier at dawn"


@pytest.mark.parametrize("index", [-1, -3, 0, 2])
def test_places_are_counted_from_either_end(index):
    made = plan(limit=3)
    assert made[index] == list(made)[index]
    assert made[::-1] == list(made)[::-1]


def test_without_prompts_there_is_nothing():
    assert (list(plan(())), len(plan((), mode="random", limit=5)), plan(()).combinations) == ([], 0, 0)


def test_a_sweep_is_labelled_and_counted_with_the_rest():
    made = plan(TEXTS[1:2], [STEPS])
    assert made[0].label == "[time]=dawn; txt2img.steps=10"
    assert made.combinations == 6
    assert plan(TEXTS[1:2], [STEPS], mode="random").combinations == 6
