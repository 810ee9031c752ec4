"""TIFF: size, XMP and the strings of its directories, in either byte order."""

import struct

import pytest

from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.containers.reading import XMP, facts, texts


def tiff(*entries, order="<", tail=b""):
    """A TIFF of one directory whose entries are (tag, type, count, value as it stands in its four bytes)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return head + b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4) + tail


def short(value, order="<"):
    return struct.pack(f"{order}HH", value, 0)


def long(value, order="<"):
    return struct.pack(f"{order}I", value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "write"), [(3, short), (4, long)])
def test_the_size_is_written_in_two_or_four_bytes(order, kind, write):
    entries = [(256, kind, 1, write(8, order)), (257, kind, 1, write(6, order))]
    assert facts(tiff(*entries, order=order)) == ("image/tiff", 8, 6)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [(256, 3, 1, short(8))],
        [(256, 3, 1, short(8)), (257, 2, 1, short(6))],
        [(256, 3, 1, short(0)), (257, 3, 1, short(6))],
    ],
)
def test_half_a_size_is_none(entries):
    assert facts(tiff(*entries)) == ("image/tiff", None, None)


def test_xmp_lies_where_its_entry_says():
    data = tiff((700, 1, len(XMP), long(8 + 2 + 12 + 4)), tail=XMP)
    assert texts(data) == {("xmp", "Description"): "a harbour"}
    assert read_container(data).rating == 4


def test_strings_are_those_of_exif():
    data = tiff((0x131, 2, 6, long(26)), tail=b"Forge\0")
    assert texts(data) == {("exif", "Software"): "Forge"}
    assert read_container(data).is_lossless


@pytest.mark.parametrize("cut", [4, 8, 9, 15, 20])
def test_a_directory_that_is_cut_off_is_damage(cut):
    container = read_container(tiff((256, 3, 1, short(8)), (257, 3, 1, short(6)))[:cut])
    assert (container.width, container.problems) == (None, ["damaged: error while reading its parts"])
