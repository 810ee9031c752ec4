"""Counting the values of columns, beside sets of pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.index.asking.columns.arrays import code_column
from stablenew.index.asking.columns.facet_codes import Rows, UnitRows, count_different, join_codes, pair_mixed

ROWS = st.lists(st.tuples(st.integers(-1, 6), st.booleans(), st.booleans(), *[st.integers(-1, 4)] * 3), max_size=30)


@pytest.mark.parametrize("is_contiguous", [True, False])
@given(rows=ROWS)
def test_a_unit_counts_once_for_each_value_of_its_rows_that_fit(is_contiguous, rows):
    if is_contiguous:
        rows.sort(key=lambda row: row[0])
    found = np.array(rows, np.int64).reshape(-1, 6).astype(np.int32)
    units, is_there, fits = found[:, 0], found[:, 1].astype(bool) & (found[:, 0] >= 0), found[:, 2].astype(bool)
    columns = {f"c{place}": code_column(found[:, 3 + place]) for place in range(3)}
    of_units = UnitRows(units, is_there, is_contiguous=is_contiguous)
    chosen = Rows(fits & is_there, of_units)
    for joint in join_codes(list(columns.items())):
        counts = chosen.count(joint.codes, of_units.totals(joint.codes, joint.size))
        for name, count in joint.counts_of(counts):
            values, codes = columns[name]
            mixed = None if is_contiguous else pair_mixed(codes, of_units)
            several = chosen.count_several(codes, len(values), mixed)
            pairs = {(unit, codes[row]) for row, unit in enumerate(units.tolist()) if fits[row] and is_there[row]}
            expected = np.bincount([code for _, code in pairs], minlength=len(values))
            assert (count + several)[1:].tolist() == expected[1:].tolist()


@pytest.mark.parametrize("size", [3, 1_024, 40_000])
def test_units_in_many_blocks_are_counted_as_in_one(size):
    random = np.random.default_rng(1)
    units = np.sort(random.integers(0, 5_000, 20_000).astype(np.int32))
    codes = random.integers(0, size, 20_000).astype(np.uint16)
    expected = np.zeros(size, np.int64)
    for _, code in set(zip(units.tolist(), codes.tolist(), strict=True)):
        expected[code] += 1
    assert count_different(units, codes, size).tolist() == expected.tolist()
