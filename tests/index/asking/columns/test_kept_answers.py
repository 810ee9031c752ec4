"""How many answers are kept, and which go first."""

import pytest

from stablenew.index.asking.columns.kept_answers import make_room, most_masks


@pytest.mark.parametrize(("rows", "expected"), [(0, 32 << 20), (1 << 20, 31), (10_000_000, 4), (10**12, 4)])
def test_masks_take_32_mib_in_all_but_a_few_are_always_kept(rows, expected):
    assert most_masks(rows) == expected


def test_the_oldest_answers_make_room_for_one_more():
    kept = dict.fromkeys("abcd")
    make_room(kept, 3)
    assert list(kept) == ["c", "d"]
    make_room(kept, 3)
    assert list(kept) == ["c", "d"]
