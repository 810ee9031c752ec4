"""So many in so many seconds, beside a list of all times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.web.lan.rate_limit import RateLimit
from tests.web.lan.hand_clock import HandClock

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), max_size=30)


@given(STEPS, st.integers(1, 4))
def test_so_many_are_let_through_in_any_span_of_the_seconds(steps, count):
    clock = HandClock()
    limit, taken = RateLimit(count, 5, now=clock), {"a": [], "b": []}
    for key, waited in steps:
        clock.time += waited
        is_full = len([at for at in taken[key] if clock.time - at < 5]) >= count
        assert limit.is_used_up(key) == is_full
        assert limit.take(key) != is_full
        if not is_full:
            taken[key].append(clock.time)


def test_who_is_refused_is_let_through_again_when_the_seconds_are_over():
    clock = HandClock()
    limit = RateLimit(1, 60, now=clock)
    assert [limit.take("a"), limit.take("a"), limit.take("b")] == [True, False, True]
    clock.time = 59.9
    assert not limit.take("a")
    clock.time = 60
    assert limit.take("a")


def test_whoever_asked_longest_ago_is_forgotten_first():
    limit = RateLimit(1, 60, now=HandClock())
    for number in range(4097):
        assert limit.take(str(number))
    assert not limit.is_used_up("0")
    assert limit.is_used_up("1")
    assert limit.is_used_up("4096")


@pytest.mark.parametrize("key", ["", "::1", "192.168.1.1"])
def test_nobody_is_used_up_before_asking(key):
    assert not RateLimit(1, 1).is_used_up(key)
