"""Seeds of any size, found in two columns, beside plain integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.query_language import Range
from stablenew.index.asking.columns.arrays import Arrays
from stablenew.index.asking.columns.split_seeds import find_seeds, join_seed, seed_columns
from stablenew.index.stored_values import store_seed

EDGES = (0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
SEEDS = st.sampled_from(EDGES) | st.integers(0, 2**64 - 1)
BOUNDS = st.none() | SEEDS | st.floats(0, 2.0**40, allow_nan=False) | st.just(float("inf"))
RANGES = st.builds(Range, BOUNDS, BOUNDS, st.booleans(), st.booleans())


def rows_of(seeds):
    rows = Arrays({"seed_high": np.float64, "seed_low": np.uint32})
    rows.append(seed_columns([store_seed(seed) for seed in seeds]))
    return rows


@given(st.lists(SEEDS, max_size=5))
def test_a_seed_comes_back_exactly(seeds):
    rows = rows_of(seeds)
    assert [join_seed(high, low) for high, low in zip(rows["seed_high"], rows["seed_low"], strict=True)] == seeds


@given(st.lists(st.none() | SEEDS, max_size=9), st.lists(RANGES, max_size=3))
def test_a_seed_is_found_where_a_range_holds_it_and_an_unknown_one_nowhere(seeds, ranges):
    expected = [seed is not None and any(span.matches(seed) for span in ranges) for seed in seeds]
    assert find_seeds(rows_of(seeds), ranges).tolist() == expected


@pytest.mark.parametrize("seed", EDGES)
def test_one_seed_is_found_and_not_its_neighbours(seed):
    near = [max(seed - 1, 0), seed, seed + 1]
    assert find_seeds(rows_of(near), [Range(seed, seed)]).tolist() == [near[0] == seed, True, False]
