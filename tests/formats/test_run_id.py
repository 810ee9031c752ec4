"""Names of runs: those that are made, those that people choose, and those that no file system should see."""

import random
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.formats.clock import format_timestamp
from stablenew.formats.run_id import check_run_id, is_generated_run_id, is_run_id, new_run_id, stamp_of

MOMENT = datetime(2026, 11, 21, 7, 10, 9, 123999, UTC)
GENERATED = "20261121-071009-123-k3v9q2m4xw"
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))


def test_run_id_reads_as_a_date_in_utc():
    eastern = MOMENT.astimezone(timezone(timedelta(hours=-5)))
    assert new_run_id(eastern, lambda bits: 0) == "20261121-071009-123-0000000000"
    assert new_run_id(MOMENT, lambda bits: 2**bits - 1) == "20261121-071009-123-zzzzzzzzzz"


def test_every_random_bit_is_in_the_name():
    assert new_run_id(MOMENT, lambda bits: 0b10_00011).endswith("-0000000023")
    names = {new_run_id(MOMENT, lambda bits, place=place: 1 << place) for place in range(50)}
    assert len(names) == 50


def test_run_ids_are_valid_distinct_and_in_order_of_time():
    rng = random.Random(3)
    ids = [new_run_id(MOMENT + timedelta(milliseconds=n), rng.getrandbits) for n in range(500)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-hjkmnp-tv-z]{10}", one) for one in ids)
    assert all(map(is_run_id, ids))


@given(MOMENTS, st.integers(0, 2**50 - 1))
def test_the_time_in_a_generated_id_is_when_the_run_began(moment, bits):
    run_id = new_run_id(moment, lambda _: bits)
    assert is_generated_run_id(run_id)
    assert stamp_of(run_id) == format_timestamp(moment)


@pytest.mark.parametrize(
    "text",
    ["", "my-run", GENERATED[:-1], GENERATED + "w", GENERATED + "\n", GENERATED.upper(), GENERATED.replace("k", "l"),
     "20261121-071009-k3v9q2m4xw", f"x{GENERATED}"],
)  # fmt: skip
def test_a_name_that_somebody_chose_has_no_time(text):
    assert not is_generated_run_id(text)
    assert stamp_of(text) is None


@pytest.mark.parametrize("text", ["a", "my-run_1", "0", "con1", "a" * 64, "com", "lpt10", GENERATED])
def test_people_may_choose_ids(text):
    assert check_run_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "A", "-a", "a-", "_a", "a_", "a.b", "a/b", "a\\b", "..", "../x", "con", "prn", "aux", "nul", "com0", "com9",
     "lpt9", "a\n", "\na", "a" * 65, "é", "a b", "٣", "a\0"],
)  # fmt: skip
def test_dangerous_ids_are_refused(text):
    assert not is_run_id(text)
    with pytest.raises(ConfigError, match="cannot name a run: use 1 to 64 of a-z, 0-9"):
        check_run_id(text)


@given(st.text("ab1-_.A", max_size=70))
def test_a_name_is_taken_by_one_rule_alone(text):
    begins_and_ends = text[:1].isalnum() and text[-1:].isalnum()
    is_plain = all(letter in "ab1-_" for letter in text)
    assert is_run_id(text) == (begins_and_ends and is_plain and len(text) <= 64)
