"""Times as they are written, and the clock that feedback is ordered by."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.clock import (
    SYSTEM_CLOCK,
    Clock,
    format_timestamp,
    latest_sound_clock,
    next_hybrid_clock,
    parse_timestamp,
)
from tests.samples import fake_clock

MOMENT = datetime(2026, 11, 21, 7, 10, 9, 123999, UTC)
WRITTEN = "2026-11-21T07:10:09.123Z"
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))


def test_timestamps_are_cut_to_milliseconds_in_utc():
    assert format_timestamp(MOMENT) == WRITTEN
    assert format_timestamp(MOMENT.astimezone(timezone(timedelta(hours=-5)))) == WRITTEN
    assert parse_timestamp(WRITTEN) == MOMENT.replace(microsecond=123000)


@given(MOMENTS, MOMENTS)
def test_timestamps_sort_as_text_in_the_order_of_time_and_read_back(one, other):
    first, second = sorted((one, other))
    assert format_timestamp(first) <= format_timestamp(second)
    assert timedelta(0) <= first - parse_timestamp(format_timestamp(first)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text", ["", "2026-11-21", "2026-11-21T07:10:09.123", "2026-11-21T07:10:09Z", "2026-02-30T07:10:09.123Z"]
)
def test_what_is_no_timestamp_has_no_moment(text):
    with pytest.raises(ValueError, match="does not match|day is out of range"):
        parse_timestamp(text)


def test_a_clock_tells_the_present_as_documents_write_it():
    assert Clock(now=lambda: MOMENT).timestamp() == WRITTEN
    clock = fake_clock()
    assert clock.timestamp() < clock.timestamp()
    assert clock.monotonic() < clock.monotonic()


def test_the_clock_of_the_system_knows_its_zone_and_its_seconds_never_run_back():
    before = datetime.now(UTC)
    assert before <= SYSTEM_CLOCK.now() <= datetime.now(UTC)
    assert SYSTEM_CLOCK.monotonic() <= SYSTEM_CLOCK.monotonic()


def test_the_first_clock_of_a_run_is_the_wall_clock():
    assert next_hybrid_clock(MOMENT, None) == f"{WRITTEN}-0000"
    assert next_hybrid_clock(MOMENT, "2026-11-21T07:10:09.122Z-00ff") == f"{WRITTEN}-0000"


@pytest.mark.parametrize(
    ("seen", "following"),
    [
        (f"{WRITTEN}-0000", f"{WRITTEN}-0001"),
        ("2026-11-21T07:10:09.999Z-0009", "2026-11-21T07:10:09.999Z-000a"),
        ("2026-11-21T07:10:09.999Z-00ff", "2026-11-21T07:10:09.999Z-0100"),
        ("2026-11-21T07:10:09.999Z-fffe", "2026-11-21T07:10:09.999Z-ffff"),
        ("2026-11-21T07:10:09.999Z-ffff", "2026-11-21T07:10:10.000Z-0000"),
        ("2026-12-31T23:59:59.999Z-ffff", "2027-01-01T00:00:00.000Z-0000"),
    ],
)
def test_after_a_clock_that_is_ahead_the_counter_goes_on_and_runs_over(seen, following):
    assert next_hybrid_clock(MOMENT, seen) == following > seen


@given(st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=20))
def test_hybrid_clock_only_moves_forward_whatever_the_wall_clock_does(skews):
    latest = None
    for skew in skews:
        following = next_hybrid_clock(MOMENT + timedelta(milliseconds=skew), latest)
        assert latest is None or following > latest
        latest = following


def test_a_machine_may_be_a_day_ahead_and_no_more():
    sound = latest_sound_clock(MOMENT)
    assert next_hybrid_clock(MOMENT + timedelta(hours=23, minutes=59), None) < sound
    assert next_hybrid_clock(MOMENT + timedelta(days=1), f"2026-11-22{WRITTEN[10:]}-fffe") == sound
    assert next_hybrid_clock(MOMENT + timedelta(days=1, milliseconds=1), None) > sound
