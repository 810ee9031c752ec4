"""Times as other programs write them, and whether there is anything to take over."""

from datetime import UTC, datetime

import pytest

from stablenew.importing.stars.foreign_opinion import (
    ForeignOpinion,
    from_milliseconds,
    from_seconds,
    from_text,
    from_ticks,
)

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
ODD = [None, True, "x", b"x", [], float("nan"), float("inf"), -1, 0, 10**400, -(10**400)]


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:20])
def test_what_is_no_time_is_none(value):
    assert from_seconds(value) is from_milliseconds(value) is None
    assert from_ticks(value) is None
    assert from_text(value) is None


@pytest.mark.parametrize("seconds", [1_704_067_200, 1_704_067_200.0])
def test_seconds_are_counted_from_1970(seconds):
    assert from_seconds(seconds) == from_milliseconds(seconds * 1_000) == NEW_YEAR
    assert from_seconds(0.5).microsecond == 500_000


def test_ticks_are_a_local_time_since_year_one():
    local = NEW_YEAR.astimezone().replace(tzinfo=None)
    ticks = int((local - datetime(1, 1, 1)).total_seconds()) * 10_000_000
    assert from_ticks(ticks) == NEW_YEAR


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01 00:00:00", NEW_YEAR), ("2024-01-01", NEW_YEAR), (" 2024-01-01T02:00:00+02:00 ", NEW_YEAR),
        ("2024-01-01T00:00:00Z", NEW_YEAR), ("", None), ("0001-01-01T00:00:00+14:00", None), ("2024-13-01", None),
    ],
)  # fmt: skip
def test_a_text_without_an_offset_is_utc(text, expected):
    assert from_text(text) == expected


@pytest.mark.parametrize(
    ("said", "is_something"),
    [({}, False), ({"rating": 1}, True), ({"flag": "pick"}, True), ({"tags": ("a",)}, True), ({"note": "n"}, True),
     ({"note": "", "tags": (), "flag": ""}, False), ({"said_at": NEW_YEAR, "size_bytes": 3}, False)],
)  # fmt: skip
def test_only_words_are_taken_over(said, is_something):
    assert ForeignOpinion("a.png", "x", **said).says_something == is_something
