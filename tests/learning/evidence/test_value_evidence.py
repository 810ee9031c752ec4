"""Values of settings and how images with them were rated, counted one by one; and the values in use."""

from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.learning.evidence.evidence_table import build_evidence_table
from stablenew.learning.evidence.setting_factors import Factor
from stablenew.learning.evidence.value_evidence import build_cells, build_values, pair_up, runs_behind
from stablenew.learning.evidence.values_in_use import most_used, values_in_use
from tests.learning.simulated_user import build_images

rated = st.lists(
    st.tuples(
        st.sampled_from(["r1", "r2", "r3"]), st.integers(0, 3), st.sampled_from([5.0, 7.0, 9.0]), st.integers(0, 5)
    ),
    min_size=1,
    max_size=25,
)
"""Of each image its run, its prompt, its CFG scale and its stars."""


def table_of(rows, tags=()):
    """A table of (run, prompt, cfg scale, stars); every other image has another sampler."""
    settings = [{"model": "m", "sampler": ("DDIM", "Euler")[number % 2]} for number in range(len(rows))]
    images = [
        (run, prompt, own | {"cfg_scale": scale}, stars)
        for own, (run, prompt, scale, stars) in zip(settings, rows, strict=True)
    ]
    return build_evidence_table(build_images(images, tags))


def scales(*values, tags=()):
    """A table with an image of each of these CFG scales."""
    return table_of([(f"r{number}", number, value, 3) for number, value in enumerate(values)], tags)


@given(rated)
def test_images_of_each_value_are_counted_as_one_by_one(rows):
    table = table_of(rows)
    found = build_values(table, table.factors["txt2img.cfg_scale"])
    plain = defaultdict(list)
    for run, _, scale, stars in rows:
        plain[scale].append((run, stars))
    assert {one.value for one in found} == plain.keys()
    for one in found:
        stars = [star for _, star in plain[one.value]]
        assert (one.image_count, one.controlled_count) == (len(stars), 0)
        assert one.stars == [stars.count(number) for number in range(6)]
        assert one.raw_mean == pytest.approx(fmean(stars))
        assert one.run_ids == tuple(sorted({run for run, _ in plain[one.value]}))
        assert 0 <= one.mean.low <= one.mean.high <= 5
    estimates = [one.mean.estimate for one in found]
    assert estimates == sorted(estimates, reverse=True)


def test_only_the_images_that_are_asked_for_are_counted():
    table = table_of([("a", 0, 5.0, 1), ("b", 1, 5.0, 5), ("c", 2, 9.0, 4)])
    (only,) = build_values(table, table.factors["txt2img.cfg_scale"], np.array([1]))
    assert (only.value, only.raw_mean, only.run_ids) == (5.0, 5.0, ("b",))
    assert build_values(table, table.factors["txt2img.cfg_scale"], np.array([], np.int64)) == []


def test_images_of_a_learning_plan_are_told():
    table = table_of([("a", 0, 5.0, 1), ("a", 1, 5.0, 2)], tags=["plan:0123456789ab"])
    assert build_values(table, table.factors["txt2img.cfg_scale"])[0].controlled_count == 2


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=20))
def test_two_settings_as_one_have_the_values_of_both(pairs):
    first = Factor("a", ["x", "y", None], np.array([one for one, _ in pairs], np.int32))
    second = Factor("b", [1, 2, 3, None], np.array([other for _, other in pairs], np.int32))
    both = pair_up(first, second)
    assert [both.values[code] for code in both.codes.tolist()] == [
        [first.values[one], second.values[other]] for one, other in pairs
    ]
    assert len(both.values) == len(set(pairs))
    assert both.name == "a and b"


def test_cells_are_those_of_the_values_that_were_used_most():
    rows = [("r", number, scale, 3) for number, scale in enumerate([5.0] * 4 + [7.0] * 3 + [9.0] * 2)]
    cells = build_cells(table_of(rows), "txt2img.cfg_scale", "txt2img.sampler", 2)
    assert {(tuple(one.value), one.image_count) for one in cells} == {
        ((5.0, "DDIM"), 2), ((5.0, "Euler"), 2), ((7.0, "DDIM"), 2), ((7.0, "Euler"), 1),
    }  # fmt: skip


def test_runs_are_named_once_and_in_order():
    table = table_of([("b", 0, 5.0, 1), ("a", 0, 5.0, 1), ("b", 0, 5.0, 1)])
    assert runs_behind(table, np.array([0, 1, 2])) == ("a", "b")
    assert runs_behind(table, np.array([], np.int64)) == ()


def test_in_use_is_what_most_images_have_and_what_is_known_before_what_is_not():
    assert most_used(scales(5.0, 7.0, 7.0))["txt2img.cfg_scale"] == 7.0
    assert most_used(scales(5.0, None, None))["txt2img.cfg_scale"] == 5.0
    assert most_used(scales(None, None))["txt2img.cfg_scale"] is None
    assert most_used(scales(5.0))["txt2img.steps"] is None


def test_without_images_nothing_is_in_use():
    assert set(most_used(table_of([])).values()) == {None}


@pytest.mark.parametrize(
    ("values", "used"),
    [
        ((4.0, 5.5, 6.0, 8.0, 9.0), 7.0),
        ((8.0, 9.0, 10.0, 11.0, 12.0), 8.0),
        ((4.0, 9.0, 9.0, 9.0), 9.0),
        ((4.0, 9.0, 6.0), 4.0),
    ],
    ids=["the default lies within", "it lies outside", "one was used often", "few values"],
)
def test_where_a_plan_tried_values_all_over_a_range_its_default_is_in_use(values, used):
    assert most_used(scales(*values, tags=["plan:0123456789ab"]))["txt2img.cfg_scale"] == used


def test_what_is_in_use_now_takes_the_place_of_what_was_by_any_of_its_names():
    table = scales(5.0, 7.0, 7.0)
    assert values_in_use(table, None) == most_used(table)
    assert values_in_use(table, {"cfg": 11.0, "sampler": "LMS"}) == most_used(table) | {
        "txt2img.cfg_scale": 11.0, "txt2img.sampler": "LMS",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="no setting 'tempo'"):
        values_in_use(table, {"tempo": 1})
