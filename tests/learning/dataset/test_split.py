"""A split that does not leak: no prompt family, seed or lineage in two splits, and no image ever moves."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.formats.digest import digest_bytes
from stablenew.learning.dataset.columns import IMAGES_SCHEMA, SPLITS
from stablenew.learning.dataset.split import build_prompt_family, build_ties, name_splits, resolve_splits
from stablenew.learning.dataset.split_plan import SplitPlan

HALVES = SplitPlan(0.4, 0.3, 0.3)


def digest(number):
    return digest_bytes(f"image {number}".encode())


def table(images):
    """Images given as (prompt family, seed, own number, numbers of parents)."""
    columns = {
        "prompt_family": [f"family {family}" for family, *_ in images],
        "seed": [seed for _, seed, *_ in images],
        "image_id": [digest(own) for *_, own, _ in images],
        "parents": [[digest(one) for one in parents] for *_, parents in images],
    }
    arrays = [pa.array(columns[one.name], one.type) if one.name in columns else pa.nulls(len(images), one.type) for one in IMAGES_SCHEMA]  # fmt: skip  # noqa: E501
    return pa.table(arrays, schema=IMAGES_SCHEMA)


def split(parts, plan=HALVES):
    found = resolve_splits([build_ties(table(part), plan) for part in parts])
    return [name for part in found for name in name_splits(part).to_pylist()]


images = st.tuples(
    st.integers(0, 12),
    st.one_of(st.none(), st.integers(0, 10), st.just(2**64 - 1)),
    st.integers(0, 30),
    st.lists(st.integers(0, 30), max_size=2),
)
stores = st.lists(st.lists(images, max_size=8), max_size=5)


@given(stores)
def test_nothing_leaks(parts):
    owners = {}
    for (family, seed, own, parents), where in zip([one for part in parts for one in part], split(parts), strict=True):
        if where is not None:
            keys = [("family", family), ("image", own), *(("image", one) for one in parents)]
            keys += [] if seed is None else [("seed", seed)]
            for key in keys:
                assert owners.setdefault(key, where) == where


@given(stores, st.lists(images, min_size=1, max_size=8))
def test_newer_runs_move_no_older_image(parts, newer):
    before = split(parts)
    assert split([*parts, newer])[: len(before)] == before


@given(stores)
def test_how_runs_are_cut_into_parts_makes_no_difference(parts):
    whole = [one for part in parts for one in part]
    assert split(parts) == (split([whole]) if whole else [])


def test_without_shared_seeds_and_parents_nothing_is_held_out():
    found = split([[(number, number, number, []) for number in range(3000)]], SplitPlan())
    shares = [found.count(name) / 3000 for name in SPLITS]
    assert None not in found
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)


def test_ties_that_nobody_asked_for_do_not_count():
    one_seed = [[(number, 42, number, []) for number in range(200)]]
    assert split(one_seed).count(None) > 50
    assert None not in split(one_seed, SplitPlan(0.4, 0.3, 0.3, by=("prompt", "lineage")))


def test_salt_makes_another_split():
    many = [[(number, number, number, []) for number in range(100)]]
    assert split(many) != split(many, SplitPlan(0.4, 0.3, 0.3, salt="other"))
    assert split(many) == split(many, SplitPlan(0.4, 0.3, 0.3))


@pytest.mark.parametrize("shares", [(0.5, 0.1, 0.1), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5)])
def test_shares_come_to_one(shares):
    with pytest.raises(ConfigError):
        SplitPlan(*shares)
    with pytest.raises(ConfigError):
        SplitPlan(by=("seed",))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a quiet harbour at dawn", "[time]=dawn"), ("a quiet harbour at noon", "[time]=noon")),
        (("a man on a pier", "person->man"), ("a woman on a pier", "person->woman")),
        (("oil painting, Harbour", None), ("harbour, (oil:1.2) painting <lora:ink:0.5>", None)),
        (("a sad dog; calm", "__mood__=sad; [a]=dog"), ("a happy cat; calm", "__mood__=happy; [a]=cat")),
        (("a boat", "txt2img.cfg_scale=7"), ("a boat", "txt2img.cfg_scale=9")),
    ],
)
def test_prompts_that_differ_in_what_was_put_in_are_one_family(one, other):
    assert build_prompt_family(*one) == build_prompt_family(*other)


def test_other_prompts_are_other_families():
    prompts = ["a quiet harbour", "a quiet lake", "a harbour", ""]
    assert len({build_prompt_family(prompt) for prompt in prompts}) == 4
    assert build_prompt_family("a man and a woman", "person->man") == build_prompt_family("a man and a woman", "x->man")
