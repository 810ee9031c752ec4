"""Ranges of very many numbers: every value is in one of them, none says more than was there."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.query_language import parse_query
from stablenew.learning.evidence.setting_factors import Factor
from stablenew.learning.evidence.value_ranges import MOST_NUMBERS, RANGES, ValueRange, group_values, value_order

numbers = st.floats(0.1, 30).map(lambda one: round(one, 2))
many = st.sets(numbers, min_size=MOST_NUMBERS + 1, max_size=80).map(sorted)


def factor_of(values, codes):
    return Factor("txt2img.cfg_scale", list(values), np.array(codes, np.int32))


@given(many, st.data())
def test_every_value_is_in_its_range_and_ranges_do_not_overlap(values, data):
    codes = data.draw(st.lists(st.integers(0, len(values)), min_size=1, max_size=200))
    grouping = group_values(factor_of([*values, None], codes))
    ranges = grouping.values[:-1]
    assert 1 <= len(ranges) <= RANGES
    assert grouping.values[-1] is None
    assert grouping.of_code[-1] == len(ranges)
    for value, place in zip(values, grouping.of_code.tolist()[:-1], strict=True):
        low, _, high = ranges[place].partition("..")
        assert float(low) <= value <= float(high or low)
    lows = [one.low for one in ranges]
    assert lows == sorted(set(lows))
    assert grouping.of_code.tolist() == sorted(grouping.of_code.tolist())


def test_ranges_have_about_as_many_images_each():
    chance = np.random.default_rng(5)
    values = np.unique(chance.lognormal(2, 0.5, 2_000).round(2))
    factor = factor_of(values.tolist(), chance.integers(0, len(values), 20_000))
    counts = np.bincount(group_values(factor).apply(factor).codes)
    assert len(counts) == RANGES
    assert counts.max() < 1.2 * counts.min()


def test_a_few_numbers_and_any_texts_stay_as_they_are():
    for values in ([float(one) for one in range(MOST_NUMBERS)], [f"model {one}" for one in range(100)]):
        factor = factor_of(values, range(len(values)))
        grouping = group_values(factor)
        assert grouping.values == values
        assert grouping.apply(factor).codes.tolist() == factor.codes.tolist()


def test_a_range_is_what_the_query_language_takes():
    one = ValueRange.between(5.0, 6.25)
    assert (one, one.low) == ("5..6.25", 5.0)
    parse_query(f"cfg:{one}", datetime.now(UTC))
    assert ValueRange.between(7.0, 7.0) == "7"


def test_values_are_in_the_order_of_people():
    values = [None, ValueRange.between(10.0, 12.0), ValueRange.between(9.0, 9.5)]
    assert sorted(values, key=value_order) == ["9..9.5", "10..12", None]
    assert sorted(["b", None, "a"], key=value_order) == ["a", "b", None]
