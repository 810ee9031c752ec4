"""Groups and stacks of images, beside lists of keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.index.asking.columns.image_groups import gather_groups, group_keys, hash_rows, keep_first, stack_keys
from tests.index.entries import image, run, variant

KEYS = st.lists(st.integers(0, 5), max_size=15)
HOUR = 3_600_000
DAY_START_MS = 1_800_057_600_000
"""A midnight in UTC."""


@given(KEYS)
def test_equal_keys_stand_together_in_the_order_of_their_first(keys):
    order, starts = gather_groups(np.array(keys, np.int64))
    ranks = list(dict.fromkeys(keys))
    assert order.tolist() == sorted(range(len(keys)), key=lambda place: ranks.index(keys[place]))
    gathered = [keys[place] for place in order]
    assert starts.tolist() == [gathered.index(key) for key in ranks]


@given(KEYS)
def test_of_each_key_the_first_row_is_kept_and_counted(keys):
    places, counts = keep_first(np.array(keys, np.int64), np.arange(len(keys)) + 100)
    assert places.tolist() == [100 + keys.index(key) for key in dict.fromkeys(keys)]
    assert counts.tolist() == [keys.count(key) for key in dict.fromkeys(keys)]


NUMBERS = st.none() | st.integers(0, 3) | st.floats(0, 9, width=32)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=10))
def test_rows_have_one_number_exactly_where_they_are_equal(rows):
    columns = [np.array([np.nan if row[place] is None else row[place] for row in rows]) for place in (0, 1)]
    found = hash_rows(columns, len(rows)).tolist()
    assert all((found[a] == found[b]) == (rows[a] == rows[b]) for a in range(len(rows)) for b in range(len(rows)))
    assert all(number >= 0 for number in found)


def grouped(filled, by, offset=0):
    """The images of each group, oldest first."""
    places = filled.table.row_order
    order, starts = gather_groups(group_keys(filled.table, places, by, offset))
    numbers = {image(number): number for number in range(9)}
    found = [numbers[digest] for digest in filled.digests(places[order])]
    return [part.tolist() for part in np.split(np.array(found), starts[1:])]


@pytest.fixture
def several(filled):
    """Four images in two runs, with two prompts and two seeds, one of them unknown."""
    filled.put(
        run(1, variant(image(1), seed=2**64 - 1), variant(image(2), prompt="boats", seed=2**64 - 1)),
        run(2, variant(image(3), seed=2**64 - 1), variant(image(4))),
    )
    return filled


@pytest.mark.parametrize(
    ("by", "expected"),
    [("job", [[1, 2], [3, 4]]), ("prompt", [[1, 3, 4], [2]]), ("seed", [[1, 3], [2], [4]]), ("day", [[1, 2, 3, 4]])],
)
def test_images_are_grouped_by_what_was_asked_and_a_seed_only_with_its_prompt(several, by, expected):
    assert grouped(several, by) == expected


@pytest.mark.parametrize(("offset", "expected"), [(0, [[1], [2]]), (2 * HOUR, [[1, 2]]), (-2 * HOUR, [[1, 2]])])
def test_a_day_is_that_of_whoever_looks(filled, offset, expected):
    made = [variant(image(1), made_ms=DAY_START_MS - HOUR), variant(image(2), made_ms=DAY_START_MS + HOUR)]
    filled.put(run(1, *made))
    assert grouped(filled, "day", offset) == expected


def test_images_that_differ_in_the_seed_alone_are_one_stack(filled):
    same = {"steps": 20, "cfg_scale": 7.0, "sampler": "Euler", "negative": "blur"}
    changes = [{"seed": 1}, {"seed": 2}, {}, {"steps": 21}, {"sampler": "Heun"}, {"negative": None}, {"prompt": "sea"}]
    filled.put(run(1, *(variant(image(number), **same | change) for number, change in enumerate(changes))))
    keys = stack_keys(filled.table, np.arange(len(changes))).tolist()
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 5
