"""Texts that put things in order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from stablenew.controller.light_table.order_keys import is_order_key, keys_between

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12).filter(is_order_key)


@given(st.one_of(st.just(""), KEYS), st.one_of(st.none(), KEYS), st.integers(0, 20))
def test_there_is_room_for_any_number_of_keys_between_two(low, high, count):
    if high is not None and high <= low:
        low, high = ("" if high == low else high), (high if high == low else low)
    keys = keys_between(low, high, count)
    assert len(keys) == count
    assert all(map(is_order_key, keys))
    assert [low, *keys, *([high] if high else [])] == sorted({low, *keys, *([high] if high else [])})


def test_keys_stay_short_when_things_move_to_any_place_for_a_long_time():
    moved = random.Random(7)
    keys = [f"2026-11-29T07:10:09.{number:03}Z-0000/run" for number in range(300)]
    for _ in range(3000):
        keys.pop(moved.randrange(len(keys)))
        place = moved.randrange(len(keys) + 1)
        around = ["", *keys, None]
        keys.insert(place, *keys_between(around[place], around[place + 1], 1))
    assert keys == sorted(set(keys))
    assert max(map(len, keys)) < 60
    for _ in range(1000):
        keys.insert(0, *keys_between("", keys[0], 1))
        keys.pop()
    assert max(map(len, keys)) < 400
