"""What all exports share: JSON that every reader takes, and files that know their digest."""

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.digest import digest_bytes
from stablenew.learning.dataset.exports.export_writer import CountingFile, to_plain_json
from tests.strategies import json_values


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_a_file_knows_size_and_digest_of_what_was_written(parts):
    target = io.BytesIO()
    file = CountingFile(target)
    assert [file.write(part) for part in parts] == [len(part) for part in parts]
    whole = b"".join(parts)
    assert target.getvalue() == whole
    assert (file.size_bytes, file.tell(), file.digest, file.writable()) == (
        len(whole),
        len(whole),
        digest_bytes(whole),
        True,
    )


def test_a_buffer_counts_by_its_bytes():
    file = CountingFile(io.BytesIO())
    assert file.write(memoryview(b"12345678").cast("I")) == 8
    assert file.size_bytes == 8


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime(2026, 11, 21, 8, 0, 0, 123_000, UTC), "2026-11-21T08:00:00.123Z"), (2**53 - 1, 2**53 - 1),
        (2**53, str(2**53)), (-(2**53), str(-(2**53))), (True, True), (1.5, 1.5), ("a", "a"), (None, None),
        ([2**64 - 1, {"a": None, "b": 2**60}], [str(2**64 - 1), {"b": str(2**60)}]), ({}, {}),
    ],
)  # fmt: skip
def test_numbers_that_readers_would_round_are_text_and_nulls_are_left_out_of_objects(value, plain):
    assert to_plain_json(value) == plain


@given(json_values)
def test_what_is_plain_json_already_stays_but_for_its_nulls(value):
    plain = to_plain_json(value)
    assert json.loads(json.dumps(plain)) == plain
    assert to_plain_json(plain) == plain
