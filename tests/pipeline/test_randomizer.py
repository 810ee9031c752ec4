import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew import Axis, Prompt, VariantPlan, parse_randomization
from stablenew.errors import ConfigError, PromptPackError
from stablenew.pipeline.randomizer import MATRIX, REPLACE, SWEEP, WILDCARD, permute

TEXT = """
# moods and times
time: dawn | noon
__mood__: calm | sad
person => man | woman
"""
PROMPT = Prompt("a person at [[time]], __mood__ sea")


def plan(prompts=(PROMPT,), text=TEXT, **options):
    return VariantPlan(tuple(prompts), parse_randomization(text), **options)


def test_the_three_forms_are_read_and_put_in_order():
    assert parse_randomization(TEXT) == (
        Axis(REPLACE, "person", ("man", "woman")),
        Axis(WILDCARD, "mood", ("calm", "sad")),
        Axis(MATRIX, "time", ("dawn", "noon")),
    )


@pytest.mark.parametrize("text", ["no colon here", "name:", "=> a", ": a | b", "x => | "])
def test_a_line_that_is_none_of_them_is_named(text):
    with pytest.raises(PromptPackError, match="line 2"):
        parse_randomization(f"a: b\n{text}")


def test_fanout_makes_every_combination_with_the_last_axis_fastest():
    variants = list(plan())
    assert len(variants) == 8
    assert [one.label for one in variants[:3]] == [
        "person->man; __mood__=calm; [time]=dawn",
        "person->man; __mood__=calm; [time]=noon",
        "person->man; __mood__=sad; [time]=dawn",
    ]
    assert variants[7].prompt.positive == "a woman at noon, sad sea"
    assert [one.index for one in variants] == list(range(8))
    assert {one.total for one in variants} == {8}


def test_sweeps_run_inside_each_combination():
    sweep = Axis(SWEEP, "txt2img.cfg_scale", (5, 7))
    variants = list(plan(sweeps=(sweep,), text="time: dawn | noon"))
    assert [one.label for one in variants] == [
        "[time]=dawn; txt2img.cfg_scale=5",
        "[time]=dawn; txt2img.cfg_scale=7",
        "[time]=noon; txt2img.cfg_scale=5",
        "[time]=noon; txt2img.cfg_scale=7",
    ]
    assert variants[1].overrides == {"txt2img.cfg_scale": 7}


def test_only_axes_that_stand_in_a_prompt_vary_it():
    variants = list(plan([Prompt("a lake"), Prompt("a lake at [[time]]")]))
    assert [one.prompt.positive for one in variants] == ["a lake", "a lake at dawn", "a lake at noon"]


def test_a_value_may_bring_another_token_in():
    variants = plan([Prompt("a person")], "person => man at [[time]] | woman\ntime: dawn | noon")
    assert [one.prompt.positive for one in variants] == ["a man at dawn", "a man at noon", "a woman", "a woman"]


def test_sequential_gives_each_prompt_the_next_combination():
    prompts = [Prompt(f"{n} [[time]]") for n in range(5)]
    for mode in ("sequential", "rotate"):
        texts = [one.prompt.positive for one in plan(prompts, "time: dawn | noon | dusk", mode=mode)]
        assert texts == ["0 dawn", "1 noon", "2 dusk", "3 dawn", "4 noon"]


def test_random_draws_distinct_combinations_that_the_seed_repeats():
    first = [one.label for one in plan(mode="random", limit=5, seed=9)]
    assert first == [one.label for one in plan(mode="random", limit=5, seed=9)]
    assert len(set(first)) == 5
    assert first != [one.label for one in plan(mode="random", limit=5, seed=10)]
    assert len(plan(mode="random", seed=9)) == 1
    assert {one.label for one in plan(mode="random", limit=99)} == {one.label for one in plan()}


def test_limits_cut_the_plan_and_the_combinations_of_a_prompt():
    assert [one.label for one in plan(limit=3)] == [one.label for one in plan()][:3]
    assert len(plan([PROMPT, PROMPT], combination_limit=3)) == 6
    assert len(plan([PROMPT, PROMPT], combination_limit=3, limit=4)) == 4
    assert len(plan(limit=0)) == 8


def test_a_pick_out_of_twenty_to_the_fifth_builds_nothing_else():
    """Counted, not timed: only the values that are picked are ever looked at."""

    class Counting(tuple):
        looked = 0
        __slots__ = ()

        def __getitem__(self, index):
            Counting.looked += 1
            return super().__getitem__(index)

        def __iter__(self):
            Counting.looked += 1
            return iter(["value"])

    axes = tuple(Axis(MATRIX, f"s{n}", Counting(f"v{i}" for i in range(20))) for n in range(5))
    big = VariantPlan((Prompt(" ".join(axis.token for axis in axes)),), axes, mode="random", limit=3, seed=1)
    assert (len(big), big.combinations) == (3, 20**5)
    before = Counting.looked
    assert big[2].label.count("=v") == 5
    assert Counting.looked - before == 5


def test_a_space_beyond_any_machine_integer_is_no_problem():
    axes = tuple(Axis(MATRIX, f"s{n}", tuple(str(i) for i in range(50))) for n in range(40))
    huge = VariantPlan((Prompt(" ".join(axis.token for axis in axes)),), axes, mode="random", limit=1000, seed=1)
    assert huge.combinations == 50**40
    assert len({one.label for one in huge}) == 1000
    assert huge.summary().combinations is None


@given(st.integers(1, 3000), st.integers(0, 2**64))
def test_a_shuffle_gives_every_number_once(size, seed):
    assert sorted(permute(index, size, seed) for index in range(size)) == list(range(size))


@given(st.sampled_from(["fanout", "sequential", "random"]), st.integers(0, 12), st.integers(0, 4), st.integers(0, 9))
def test_a_plan_is_a_sequence_however_it_is_read(mode, limit, combination_limit, seed):
    one = plan([PROMPT, Prompt("b [[time]]")], mode=mode, limit=limit, combination_limit=combination_limit, seed=seed)
    everything = list(one)
    assert [one[index] for index in range(len(one))] == everything == one[:]
    assert not limit or len(one) <= limit
    assert one[-1] == everything[-1]
    with pytest.raises(IndexError):
        one[len(one)]


def test_a_plan_that_cannot_be_is_refused():
    for wrong in ({"mode": "sideways"}, {"limit": -1}, {"sweeps": (Axis(SWEEP, "txt2img.stepz", (1,)),)}):
        with pytest.raises(ConfigError):
            plan(**wrong)
    with pytest.raises(ConfigError, match="no values"):
        plan(sweeps=(Axis(SWEEP, "txt2img.steps", ()),))


def test_the_summary_says_how_to_make_the_same_variants_again():
    summary = plan(mode="random", limit=4, seed=2**64 - 1, sweeps=(Axis(SWEEP, "txt2img.steps", (5, 9)),)).summary()
    assert (summary.mode, summary.size, summary.combinations, summary.seed) == ("random", 4, 16, 2**64 - 1)
    assert [axis.name for axis in summary.axes] == ["person", "__mood__", "[[time]]", "txt2img.steps"]
