"""Times as they are written, the clock that code is given, and the hybrid logical clock of feedback.

A timestamp is RFC 3339 UTC with milliseconds: `2026-11-21T07:10:09.123Z`. A hybrid clock is a timestamp and a
counter, `2026-11-21T08:00:00.000Z-0000`; both sort as text in the order of time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_COUNTER_LIMIT = 0x10000
_MOST_DRIFT = timedelta(days=1)


def _system_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where code gets the time from: `now` is the wall clock (aware, UTC), `monotonic` counts seconds for durations."""

    now: Callable[[], datetime] = _system_now
    monotonic: Callable[[], float] = time.monotonic

    def timestamp(self) -> str:
        """The present moment as it is written in documents."""
        return format_timestamp(self.now())


SYSTEM_CLOCK = Clock()


def format_timestamp(moment: datetime) -> str:
    """`moment` (aware) as `2026-11-21T07:10:09.123Z`, cut to milliseconds."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def parse_timestamp(text: str) -> datetime:
    """The moment a written timestamp means, aware, in UTC."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def latest_sound_clock(now: datetime) -> str:
    """The greatest hybrid clock that can be right: a day after `now`, for machines whose wall clocks differ."""
    return f"{format_timestamp(now + _MOST_DRIFT)}-ffff"


def next_hybrid_clock(now: datetime, latest_seen: str | None) -> str:
    """A clock later than `latest_seen`: the wall time if that is later, else the last one plus one.

    So an edit made after seeing another sorts after it, whatever the wall clocks of the two machines say
    (Kulkarni et al., "Logical Physical Clocks", 2014).
    """
    wall = format_timestamp(now) + "-0000"
    if latest_seen is None or wall > latest_seen:
        return wall
    stamp, _, counter = latest_seen.rpartition("-")
    following = int(counter, 16) + 1
    if following < _COUNTER_LIMIT:
        return f"{stamp}-{following:04x}"
    return format_timestamp(parse_timestamp(stamp) + timedelta(milliseconds=1)) + "-0000"
