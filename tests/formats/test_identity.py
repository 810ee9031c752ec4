"""Digests, run ids and clocks."""

import random
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import ConfigError
from stablenew.formats.clock import format_timestamp, next_hybrid_clock, parse_timestamp
from stablenew.formats.digest import DoubleHash, digest_bytes, digest_json, short_digest
from stablenew.formats.run_id import check_run_id, is_run_id, new_run_id

MOMENT = datetime(2026, 11, 21, 7, 10, 9, 123999, UTC)


@pytest.mark.skipif(not shutil.which("xxh128sum"), reason="xxh128sum is not installed")
def test_digest_is_what_xxh128sum_prints(tmp_path):
    (tmp_path / "a").write_bytes(b"harbour at dawn" * 999)
    printed = subprocess.run(["xxh128sum", tmp_path / "a"], capture_output=True, text=True, check=True).stdout
    assert digest_bytes((tmp_path / "a").read_bytes()) == f"xxh128:{printed.split()[0]}"


def test_digest_of_json_does_not_depend_on_the_order_of_keys():
    assert digest_json({"a": 1, "b": 2.0}) == digest_json({"b": 2, "a": 1.0})


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_double_hash_is_the_hash_of_the_whole(chunks):
    hashes = DoubleHash()
    for chunk in chunks:
        hashes.update(chunk)
    assert hashes.digest == digest_bytes(b"".join(chunks))
    assert hashes.size_bytes == sum(map(len, chunks))
    assert short_digest(hashes.digest) == hashes.digest[7:19]


def test_run_id_reads_as_a_date_in_utc():
    eastern = MOMENT.astimezone(timezone(timedelta(hours=-5)))
    assert new_run_id(eastern, lambda bits: 0) == "20261121-071009-123-0000000000"
    assert new_run_id(MOMENT, lambda bits: 2**bits - 1) == "20261121-071009-123-zzzzzzzzzz"


def test_run_ids_are_valid_distinct_and_in_order_of_time():
    rng = random.Random(3)
    ids = [new_run_id(MOMENT + timedelta(milliseconds=n), rng.getrandbits) for n in range(500)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-hjkmnp-tv-z]{10}", one) for one in ids)
    assert all(map(is_run_id, ids))


@pytest.mark.parametrize("text", ["a", "my-run_1", "0", "con1", "a" * 64])
def test_people_may_choose_ids(text):
    assert check_run_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "A", "-a", "a-", "a.b", "a/b", "..", "../x", "con", "nul", "lpt9", "a\n", "a" * 65, "é", "a b", "٣"]
)
def test_dangerous_ids_are_refused(text):
    assert not is_run_id(text)
    with pytest.raises(ConfigError, match="cannot name a run"):
        check_run_id(text)


def test_timestamps_are_cut_to_milliseconds_in_utc():
    assert format_timestamp(MOMENT) == "2026-11-21T07:10:09.123Z"
    assert parse_timestamp("2026-11-21T07:10:09.123Z") == MOMENT.replace(microsecond=123000)


@given(st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=20))
def test_hybrid_clock_only_moves_forward_whatever_the_wall_clock_does(skews):
    latest = None
    for skew in skews:
        following = next_hybrid_clock(MOMENT + timedelta(milliseconds=skew), latest)
        assert latest is None or following > latest
        latest = following


def test_hybrid_clock_counter_runs_over_into_the_next_millisecond():
    assert next_hybrid_clock(MOMENT, "2026-11-21T07:10:09.999Z-ffff") == "2026-11-21T07:10:10.000Z-0000"
    assert next_hybrid_clock(MOMENT, "2026-11-21T07:10:09.999Z-0009") == "2026-11-21T07:10:09.999Z-000a"
