"""Masks over columns, beside lists that are gone through row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.query_language import Range
from stablenew.index.asking.columns.masks import choose_codes, in_ranges, is_in, iter_blocks, look_up, spread

LONG = 70_000
"""Rows that take more than one block."""


@pytest.mark.parametrize("count", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_blocks_cover_every_row_once_in_order(count):
    rows = [row for block in iter_blocks(count) for row in range(count)[block]]
    assert rows == list(range(count))


def test_a_place_of_minus_one_is_the_last_of_the_table_in_every_block():
    table, places = np.array([10, 20, 30], np.int16), np.arange(LONG) % 4 - 1
    found = look_up(table, places)
    assert found.dtype == np.int16
    assert found.tolist() == [table[place] for place in places]


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.lists(st.integers(0, 11), max_size=12))
def test_rows_are_chosen_by_the_mark_of_their_code_however_many_are_marked(chosen, codes):
    codes = [code % len(chosen) for code in codes]
    found = choose_codes(np.array(chosen, np.bool_), np.array(codes, np.uint8))
    assert found.tolist() == [chosen[code] for code in codes]


def test_no_rows_have_no_marks():
    empty = np.empty(0, np.int32)
    assert is_in(empty, [1]).tolist() == is_in(empty, range(9)).tolist() == []
    assert in_ranges(empty.astype(np.float32), [Range(1, 2)]).tolist() == []
    assert spread(empty, empty, 3).tolist() == [False] * 3


def test_ids_beyond_those_of_the_column_are_looked_for_in_vain():
    assert is_in(np.array([0, 3, -1], np.int32), [3, 50, 60, 70, 80, 90]).tolist() == [False, True, False]


def test_a_range_reaches_over_all_blocks():
    column = np.arange(LONG, dtype=np.float32)
    found = in_ranges(column, [Range(65_530, 65_540, is_high_open=True), Range(5, 5)])
    assert np.flatnonzero(found).tolist() == [5, *range(65_530, 65_540)]


def test_a_range_without_ends_holds_every_number_and_no_nan():
    assert in_ranges(np.array([np.nan, -np.inf, 0, np.inf]), [Range()]).tolist() == [False, True, True, True]


@given(st.lists(st.integers(-1, 20), max_size=15), st.lists(st.integers(0, 40), max_size=9, unique=True))
def test_an_id_is_found_however_many_are_looked_for(column, ids):
    assert is_in(np.array(column, np.int32), ids).tolist() == [value in ids for value in column]


@pytest.mark.parametrize("count", [1, 4, 5, 12])
def test_an_unknown_id_is_never_found(count):
    assert is_in(np.array([-1, 0, count - 1], np.int32), list(range(count))).tolist() == [False, True, True]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5))
def test_spans_cover_from_the_first_to_before_the_end_short_or_long(spans):
    spans = [(min(span), max(span)) for span in spans]
    firsts, ends = (np.array([span[part] for span in spans], np.int64) for part in (0, 1))
    covered = [any(first <= place < end for first, end in spans) for place in range(40)]
    assert spread(firsts, ends, 40).tolist() == covered


RANGES = st.builds(Range, st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3), st.booleans(), st.booleans())


@given(st.lists(st.none() | st.integers(-4, 4), max_size=12), st.lists(RANGES, max_size=3))
def test_a_number_lies_in_a_range_where_the_range_says_so_and_nan_in_none(column, ranges):
    values = np.array([np.nan if value is None else value for value in column], np.float32)
    expected = [value is not None and any(span.matches(value) for span in ranges) for value in column]
    assert in_ranges(values, ranges).tolist() == expected
