"""AVIF, HEIF, MP4 and QuickTime: the boxes that hold texts, and where the items of an image lie."""

import struct

import pytest

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.iso_media import Box, read_box
from stablenew.image_metadata.containers.item_boxes import Item, find_items, read_item
from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.containers.reading import XMP, facts, texts
from tests.image_metadata.files import box, exif_with_comment, make_mp4

FTYP = box(b"ftyp", b"isom", bytes(4), b"isom")
EXIF = bytes(4) + exif_with_comment("c")


@pytest.mark.parametrize(
    ("brands", "media_type"),
    [
        (b"avif" + bytes(4) + b"mif1", "image/avif"),
        (b"mif1" + bytes(4) + b"avif", "image/heif"),
        (b"isom" + bytes(4) + b"mp41avif", "image/avif"),
        (b"heic" + bytes(4), "image/heic"),
        (b"qt  " + bytes(4), "video/quicktime"),
        (b"isom" + b"avif", "video/mp4"),
        (b"mp42" + bytes(4) + b"isom", "video/mp4"),
    ],
)
def test_the_brand_says_what_it_is_and_its_version_does_not(brands, media_type):
    assert facts(box(b"ftyp", brands)) == (media_type, None, None)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (box(b"free", b"1234") + b"more", Box(b"free", 8, 12)),
        (struct.pack(">I4sQ", 1, b"free", 20) + b"1234more", Box(b"free", 16, 20)),
        (struct.pack(">I4s", 0, b"mdat") + b"the rest", Box(b"mdat", 8, 16)),
        (struct.pack(">I4s", 99, b"free") + b"cut", Box(b"free", 8, 11)),
        (struct.pack(">I4s", 7, b"free") + b"1234", None),
        (struct.pack(">I4sQ", 1, b"free", 15) + b"1234", None),
        (struct.pack(">I4s", 1, b"free"), None),
        (b"short", None),
    ],
)
def test_a_box_ends_where_its_length_says_or_the_file_does(data, found):
    assert read_box(ByteSource(data), 0, len(data)) == found


def track(width, height, head_bytes=76):
    return box(b"trak", box(b"tkhd", bytes(head_bytes) + struct.pack(">II", width << 16, height << 16)))


@pytest.mark.parametrize(
    ("tracks", "size"),
    [
        ([track(8, 6)], (8, 6)),
        ([track(8, 6, 88)], (8, 6)),
        ([track(0, 0), track(8, 6)], (8, 6)),
        ([track(8, 6), track(3, 4)], (8, 6)),
        ([track(8, 6, 60)], (None, None)),
    ],
    ids=["version 0", "version 1", "sound first", "two videos", "too short"],
)
def test_the_size_of_a_video_is_that_of_its_first_track_with_one(tracks, size):
    assert facts(FTYP + box(b"moov", *tracks)) == ("video/mp4", *size)


def data_box(text):
    return box(b"data", struct.pack(">II", 1, 0), text)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (box(b"\xa9cmt", data_box(b"a")), {("tags", "comment"): "a"}),
        (box(b"\xa9too", data_box(b"a")), {("tags", "encoder"): "a"}),
        (box(b"\xa9xyz", data_box(b"a")), {}),
        (box(b"----", box(b"mean", bytes(4), b"com.x"), box(b"name", bytes(4), b"prompt"), data_box(b"a")),
         {("tags", "prompt"): "a"}),
        (box(b"\xa9cmt", box(b"other", b"a")), {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("holder", ["meta in moov", "meta in udta", "meta of QuickTime"])
def test_a_tag_goes_by_the_name_of_its_maker_or_by_its_own(entry, found, holder):
    lists = box(b"hdlr", bytes(24)) + box(b"ilst", entry)
    meta = box(b"meta", b"" if holder == "meta of QuickTime" else bytes(4), lists)
    movie = box(b"moov", box(b"udta", meta) if holder == "meta in udta" else meta)
    assert texts(FTYP + movie) == found


def info(number, kind, version=2, more=b""):
    wide = 2 if version == 2 else 4
    return box(b"infe", bytes([version, 0, 0, 0]), number.to_bytes(wide, "big"), bytes(2), kind, more)


def infos(*entries, version=0):
    count = len(entries).to_bytes(2 if version == 0 else 4, "big")
    return bytes([version, 0, 0, 0]) + count + b"".join(entries)


def location(number, *extents):
    """An entry of version 0 with offsets and lengths of four bytes."""
    parts = b"".join(struct.pack(">II", *extent) for extent in extents)
    return struct.pack(">HHH", number, 0, len(extents)) + parts


def locations(*entries):
    return bytes(4) + b"\x44\0" + struct.pack(">H", len(entries)) + b"".join(entries)


@pytest.mark.parametrize(
    ("entries", "version", "found"),
    [
        ([info(1, b"av01"), info(2, b"Exif")], 0, [Item(b"Exif", ((10, 5),))]),
        ([info(2, b"Exif", version=3)], 0, [Item(b"Exif", ((10, 5),))]),
        ([info(2, b"Exif")], 1, [Item(b"Exif", ((10, 5),))]),
        ([info(2, b"mime", more=b"\0application/rdf+xml\0")], 0, [Item(b"mime", ((10, 5),))]),
        ([info(2, b"mime", more=b"\0text/plain\0")], 0, []),
        ([info(2, b"Exif", version=1)], 0, []),
        ([info(9, b"Exif")], 0, []),
        ([], 0, []),
    ],
)
def test_only_items_of_exif_and_xmp_are_looked_for(entries, version, found):
    assert find_items(infos(*entries, version=version), locations(location(1), location(2, (10, 5))), 0) == found


def test_a_location_of_a_later_version_may_count_from_the_data_beside_it():
    entry = struct.pack(">HHHH", 2, 1, 0, 1) + struct.pack(">II", 7, 5)
    data = b"\x01\0\0\0\x44\0" + struct.pack(">H", 1) + entry
    assert find_items(infos(info(2, b"Exif")), data, 100) == [Item(b"Exif", ((107, 5),))]


@pytest.mark.parametrize("cut", range(18))
def test_tables_that_are_cut_off_name_no_place_beyond_them(cut):
    found = find_items(infos(info(2, b"Exif")), locations(location(2, (10, 5)))[:cut], 0)
    assert all(length <= 5 for item in found for _, length in item.extents)


def test_an_item_of_several_parts_is_joined_and_one_without_a_length_lasts_to_the_end():
    source = ByteSource(b"0123456789")
    assert read_item(source, Item(b"Exif", ((8, 2), (0, 3)))) == b"89012"
    assert read_item(source, Item(b"Exif", ((7, 0),))) == b"789"
    assert read_item(source, Item(b"Exif", ((99, 5),))) == b""


def heif(data, kind, *, more=b"", properties=b""):
    """A HEIF whose one item of metadata lies behind everything else."""
    head = box(b"ftyp", b"heic", bytes(4))
    tables = [box(b"iinf", infos(info(2, kind, more=more))), box(b"iprp", box(b"ipco", properties))]
    size = len(head) + 8 + 4 + sum(map(len, tables)) + 8 + len(locations(location(2, (0, 0)))) + 8
    places = box(b"iloc", locations(location(2, (size, len(data)))))
    return head + box(b"meta", bytes(4), *tables, places) + box(b"mdat", data)


def test_an_image_gives_exif_with_or_without_an_offset_before_it_and_xmp():
    for data in (EXIF, (6).to_bytes(4, "big") + b"Exif\0\0" + EXIF[4:], (2**31).to_bytes(4, "big") + EXIF[4:]):
        assert texts(heif(data, b"Exif")) == {("exif", "UserComment"): "c"}
    found = texts(heif(XMP, b"mime", more=b"\0application/rdf+xml\0"))
    assert found == {("xmp", "Description"): "a harbour"}


def test_the_largest_size_is_that_of_the_image():
    sizes = b"".join(box(b"ispe", bytes(4), struct.pack(">II", *size)) for size in ((2, 2), (8, 6), (3, 4)))
    assert facts(heif(EXIF, b"Exif", properties=box(b"irot", b"\0") + sizes)) == ("image/heic", 8, 6)


def test_a_manifest_is_known_by_the_name_of_its_box():
    name = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    assert read_container(FTYP + box(b"uuid", name, b"manifest")).c2pa == b"manifest"
    assert read_container(FTYP + box(b"uuid", bytes(16), b"manifest")).c2pa is None


@pytest.mark.parametrize("cut", range(30, 700, 61))
def test_a_file_that_is_cut_off_anywhere_gives_what_there_is(cut):
    container = read_container(make_mp4({"prompt": "x" * 20})[:cut])
    assert container.problems == []
    assert len(container.texts) <= 1
