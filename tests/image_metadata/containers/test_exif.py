"""EXIF: strings of every tag in every directory, in either byte order, and nothing from outside the data."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.containers.exif import read_exif
from tests.image_metadata.files import make_exif, user_comment


def read(data):
    container = Container()
    read_exif(data, container)
    return container


def texts(data):
    return {found.key: found.text for found in read(data).texts}


def directory(*entries, order="<", onward=()):
    """EXIF of one directory whose entries are (tag, type, count, four bytes of value)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries) + len(onward))
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    body += b"".join(struct.pack(f"{order}HHII", tag, 4, 1, place) for tag, place in onward)
    return head + body + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_strings_are_read_in_either_byte_order_with_or_without_the_mark_of_a_jpeg(order, prefix):
    data = make_exif({0x010E: b"a harbour\0", 0x0131: b"Forge\0"}, order=order, inner={0x9286: user_comment("soft")})
    assert texts(prefix + data) == {"ImageDescription": "a harbour", "Software": "Forge", "UserComment": "soft"}


@pytest.mark.parametrize(
    ("tag", "name", "data", "text"),
    [
        (0x010D, "DocumentName", b"name\0", "name"),
        (0x013B, "Artist", b"caf\xe9\0", "café"),
        (0x013B, "Artist", "写真".encode(), "写真"),
        (0x9C9C, "XPComment", "写真\0".encode("utf-16-le"), "写真"),
        (0x9C9B, "XPTitle", "title".encode("utf-16-le"), "title"),
        (0x927C, "MakerNote", b'{"prompt": 1}\0', '{"prompt": 1}'),
        (0x9003, "DateTimeOriginal", b"2026:01:02 03:04:05\0", "2026:01:02 03:04:05"),
        (0x010A, "0x010A", b"workflow:{}\0", "workflow:{}"),
    ],
)
def test_a_tag_has_its_name_and_its_way_to_write(tag, name, data, text):
    assert texts(make_exif({tag: data})) == {name: text}


@pytest.mark.parametrize("data", [b"short\0", b"1234567890", b"\0abcdefghij"])
def test_an_unknown_tag_is_a_text_only_when_it_looks_like_one(data):
    assert texts(make_exif({0x010A: data})) == {}


def test_what_a_camera_keeps_for_itself_is_no_text():
    assert texts(make_exif({0x927C: b"Nikon\0\x02\x10\xff\xfe" * 5})) == {}


@pytest.mark.parametrize("kind", [1, 2, 7])
def test_a_string_of_up_to_four_bytes_stands_in_its_entry(kind):
    assert texts(directory((0x0131, kind, 3, b"abc\0"))) == {"Software": "abc"}
    assert texts(directory((0x0131, kind, 4, b"abcd"))) == {"Software": "abcd"}


@pytest.mark.parametrize("kind", [0, 3, 4, 5, 6, 9, 12, 99])
def test_numbers_are_no_strings(kind):
    assert texts(directory((0x0131, kind, 3, b"abc\0"))) == {}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("stars", "rating"), [(0, None), (1, 1), (5, 5), (6, None), (65_535, None)])
def test_stars_are_one_to_five(order, stars, rating):
    value = struct.pack(f"{order}HH", stars, 0)
    assert read(directory((0x4746, 3, 1, value), order=order)).rating == rating


def test_stars_that_are_known_already_stay():
    container = Container(rating=-1)
    read_exif(directory((0x4746, 3, 1, struct.pack("<HH", 4, 0))), container)
    assert container.rating == -1


@pytest.mark.parametrize("tag", [0x8769, 0x8825, 0xA005])
def test_other_directories_are_read_too_and_each_once(tag):
    inner = struct.pack("<H", 1) + struct.pack("<HHI", 0x0131, 2, 3) + b"abc\0" + bytes(4)
    outer = directory(onward=[(tag, 8 + 2 + 24 + 4), (tag, 8 + 2 + 24 + 4)])
    assert [found.text for found in read(outer + inner).texts] == ["abc"]


def test_directories_that_lead_from_one_to_the_next_end_after_some():
    step = struct.pack("<HHI", 0x0131, 2, 2)
    links = [struct.pack("<HHHII", 2, 0x8769, 4, 1, 8 + 26 * number) for number in range(1, 60)]
    chain = b"".join(link + step + b"a%d\0\0" % (number % 10) for number, link in enumerate(links))
    assert 1 < len(read(b"II*\0" + struct.pack("<I", 8) + chain).texts) <= 16


@pytest.mark.parametrize(
    "data",
    [b"", b"Exif\0\0", b"II*\0", b"XX*\0\x08\0\0\0", b"II*\0\x08\0\0", b"II*\0\xff\xff\xff\xff\1",
     b"II*\0\x08\0\0\0\1"],
)  # fmt: skip
def test_what_is_no_exif_says_nothing(data):
    assert read(data).texts == []


def test_a_string_that_would_lie_beyond_the_data_is_what_there_is_of_it():
    assert texts(directory((0x0131, 2, 5_000, struct.pack("<I", 22))) + b"abc") == {"Software": "\0\0\0\0abc"}
    assert texts(directory((0x0131, 2, 2**32 - 1, struct.pack("<I", 2**32 - 1)))) == {}


@given(st.binary(max_size=80), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"Exif\0\0II*\0\x08\0\0\0"]))
def test_any_bytes_give_what_there_is(data, head):
    container = read(head + data)
    assert all(found.place == "exif" and found.text for found in container.texts)
    assert container.rating in (None, 1, 2, 3, 4, 5)
