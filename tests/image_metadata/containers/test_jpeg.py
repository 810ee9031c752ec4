"""JPEG: the segments before the pixels."""

import struct

import pytest

from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.containers.reading import XMP, facts, segment, texts
from tests.image_metadata.files import exif_with_comment

ADOBE = b"http://ns.adobe.com/xap/1.0/\0"
MORE = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
SCAN = b"\xff\xda\0\x08" + bytes(20)


def jpeg(*segments):
    return b"\xff\xd8" + b"".join(segments)


def frame(marker, width=8, height=6):
    return segment(marker, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (segment(0xFE, b"a comment"), {("comment", "comment"): "a comment"}),
        (segment(0xFE, b"UNICODE\0" + "é".encode("utf-16-be")), {("comment", "comment"): "é"}),
        (segment(0xE1, b"Exif\0\0" + exif_with_comment("c")), {("exif", "UserComment"): "c"}),
        (segment(0xE1, ADOBE + XMP), {("xmp", "Description"): "a harbour"}),
        (segment(0xE1, MORE + bytes(8) + XMP), {("xmp", "Description"): "a harbour"}),
        (segment(0xE1, MORE + bytes(8) + XMP[:40]) + segment(0xE1, MORE + bytes(8) + XMP[40:]),
         {("xmp", "Description"): "a harbour"}),
        (segment(0xE1, b"unknown" + XMP), {}),
        (segment(0xE0, b"JFIF\0" + XMP), {}),
        (b"\xff\xff\xff" + segment(0xFE, b"filled"), {("comment", "comment"): "filled"}),
        (b"\xff\x01\xff\xd0" + segment(0xFE, b"bare"), {("comment", "comment"): "bare"}),
        (SCAN + segment(0xFE, b"behind the pixels"), {}),
        (b"\xff\xd9" + segment(0xFE, b"behind the end"), {}),
        (b"\0\0" + segment(0xFE, b"no segment"), {}),
        (b"\xff\xfe\0\0" + segment(0xFE, b"x"), {("comment", "comment"): "x"}),
        (b"\xff\xfe\xff\xffcut off", {("comment", "comment"): "cut off"}),
    ],
)  # fmt: skip
def test_a_segment_gives_its_text_and_nothing_behind_the_pixels_does(data, found):
    assert texts(jpeg(data)) == found


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCF])
def test_every_kind_of_frame_has_the_size(marker):
    assert facts(jpeg(frame(marker), SCAN)) == ("image/jpeg", 8, 6)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC, 0xDB, 0xDD])
def test_tables_have_none(marker):
    assert facts(jpeg(frame(marker), SCAN)) == ("image/jpeg", None, None)
    assert facts(jpeg(segment(0xC0, b"\x08\0")))[1] is None


def test_a_jpeg_has_no_alpha_and_a_manifest_over_several_segments_is_joined():
    parts = [segment(0xEB, b"JP\0\1\0\0\0\1" + part) for part in (b"....jumb1", b"jumb2", b"other")]
    container = read_container(jpeg(*parts))
    assert (container.has_alpha, container.is_lossless, container.c2pa) == (False, False, b"....jumb1jumb2")
