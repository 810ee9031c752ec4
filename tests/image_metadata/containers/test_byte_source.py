"""Bytes at any place of a file, in bounded pieces."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.containers.byte_source import MAX_PIECE, ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, MAX_TEXTS, Container

DATA = bytes(range(256)) * 150
"""Longer than what is read at once."""


class Trickle(io.RawIOBase):
    """A file that gives a few bytes at a time, as an unbuffered one may."""

    def __init__(self, data):
        self._stream = io.BytesIO(data)

    def read(self, size=-1):
        return self._stream.read(min(size, 7) if size >= 0 else -1)

    def seek(self, offset, whence=io.SEEK_SET):
        return self._stream.seek(offset, whence)


KINDS = [bytes, bytearray, memoryview, io.BytesIO, Trickle]


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(-5, len(DATA) + 5), st.integers(-5, len(DATA) + 5))
def test_every_piece_is_the_slice_of_the_whole(kind, offset, length):
    source = ByteSource(kind(DATA))
    expected = DATA[offset : offset + length] if offset >= 0 and length > 0 else b""
    assert source.read(offset, length) == expected
    assert source.size == len(DATA)


@pytest.mark.parametrize("length", [0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1])
def test_a_file_of_any_length_is_read_to_its_end(length):
    source = ByteSource(io.BytesIO(DATA[:length]))
    assert source.read(0, 2**40) == DATA[:length]
    assert source.read(length, 1) == b""


@pytest.mark.parametrize("end", [16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1])
def test_a_piece_that_ends_where_the_first_read_ended_is_whole(end):
    assert ByteSource(DATA).read(end - 10, 10) == DATA[end - 10 : end]


def test_a_file_that_was_read_from_before_is_read_from_its_start():
    stream = io.BytesIO(DATA)
    stream.read(100)
    assert ByteSource(stream).read(0, 4) == DATA[:4]


def test_no_piece_is_larger_than_the_limit_whatever_is_asked_for():
    assert len(ByteSource(bytes(MAX_PIECE + 10)).read(3, 2**62)) == MAX_PIECE


def test_texts_that_say_nothing_are_not_kept():
    container = Container()
    for text in ("", " ", "\0\0", "\r\n\t"):
        container.add("png", "Comment", text)
    container.add("png", "Comment", "a")
    assert [found.text for found in container.texts] == ["a"]
    assert container.problems == []


def test_a_file_cannot_fill_the_memory_with_texts():
    container = Container()
    text = "a" * MAX_TEXT_BYTES
    for key in ("first", "second", "third"):
        container.add("png", key, text)
    container.add("png", "fourth", "b")
    assert [found.key for found in container.texts] == ["first", "second"]
    assert container.room == 0
    assert container.problems == [
        f"png:{key} was left out: the file holds too much text" for key in ("third", "fourth")
    ]


def test_a_file_of_very_many_texts_is_read_up_to_a_limit():
    container = Container()
    for number in range(MAX_TEXTS + 3):
        container.add("png", f"key {number}", "a")
    assert len(container.texts) == MAX_TEXTS
    assert len(container.problems) == 3


def test_a_problem_is_noted_once_and_not_without_end():
    container = Container()
    for number in range(2 * MAX_TEXTS):
        container.report(f"problem {number // 2}")
    assert container.problems == [f"problem {number}" for number in range(MAX_TEXTS)]
    container.report("one too many")
    assert len(container.problems) == MAX_TEXTS


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, 5), (5, -1)])
def test_a_size_that_no_image_has_is_not_kept(width, height):
    container = Container()
    container.set_size(7, 8)
    container.set_size(width, height)
    assert (container.width, container.height) == (7, 8)


def test_texts_of_a_key_come_in_the_order_of_the_file_and_from_the_places_asked_for():
    container = Container()
    for place, key, text in (("png", "a", "1"), ("exif", "a", "2"), ("png", "b", "3"), ("png", "a", "4")):
        container.add(place, key, text)
    assert container.values("a") == ["1", "2", "4"]
    assert container.values("a", ["png", "xmp"]) == ["1", "4"]
    assert container.values("c") == []
