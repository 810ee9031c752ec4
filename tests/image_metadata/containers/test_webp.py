"""WebP: the chunks of its RIFF file, whatever their order and length."""

import pytest

from stablenew.image_metadata.containers.sniffing import read_container
from tests.image_metadata.containers.reading import XMP, facts, texts, webp
from tests.image_metadata.files import exif_with_comment

EXIF = exif_with_comment("c")
LOSSY = b"\0\0\0\x9d\x01\x2a" + (8 | 0x4000).to_bytes(2, "little") + (6).to_bytes(2, "little")


def lossless(width=8, height=6, alpha=0):
    return b"\x2f" + ((width - 1) | (height - 1) << 14 | alpha << 28).to_bytes(4, "little") + bytes(5)


def extended(width=8, height=6, flags=0):
    return bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([(b"EXIF", EXIF)], {("exif", "UserComment"): "c"}),
        ([(b"EXIF", b"Exif\0\0" + EXIF)], {("exif", "UserComment"): "c"}),
        ([(b"XMP ", XMP)], {("xmp", "Description"): "a harbour"}),
        ([(b"ALPH", b"odd"), (b"EXIF", EXIF)], {("exif", "UserComment"): "c"}),
        ([(b"exif", EXIF), (b"XMP", XMP)], {}),
        ([], {}),
    ],
)
def test_exif_and_xmp_are_read_wherever_they_stand(chunks, found):
    assert texts(webp(*chunks)) == found


@pytest.mark.parametrize(
    ("chunks", "size"),
    [
        ([(b"VP8X", extended())], (8, 6)),
        ([(b"VP8X", extended(16_384, 70_000))], (16_384, 70_000)),
        ([(b"VP8 ", LOSSY)], (8, 6)),
        ([(b"VP8L", lossless())], (8, 6)),
        ([(b"VP8L", lossless(16_384, 16_384))], (16_384, 16_384)),
        ([(b"VP8X", extended(3, 4)), (b"VP8 ", LOSSY)], (3, 4)),
        ([(b"VP8X", b"short"), (b"VP8 ", LOSSY)], (8, 6)),
        ([(b"VP8 ", b"short")], (None, None)),
    ],
)
def test_the_size_is_that_of_the_whole_image_or_of_its_frame(chunks, size):
    assert facts(webp(*chunks)) == ("image/webp", *size)


@pytest.mark.parametrize(
    ("chunks", "has_alpha", "is_lossless", "is_animated"),
    [
        ([(b"VP8X", extended(flags=0x10))], True, False, False),
        ([(b"VP8X", extended(flags=0x02))], False, False, True),
        ([(b"VP8X", extended()), (b"VP8L", lossless(alpha=1))], True, True, False),
        ([(b"VP8X", extended(flags=0x10)), (b"VP8L", lossless())], True, True, False),
        ([(b"VP8L", lossless())], False, True, False),
        ([(b"VP8 ", LOSSY)], None, False, False),
    ],
)
def test_alpha_is_there_where_head_or_frame_says_so(chunks, has_alpha, is_lossless, is_animated):
    found = read_container(webp(*chunks))
    assert (found.has_alpha, found.is_lossless, found.is_animated) == (has_alpha, is_lossless, is_animated)


def test_the_first_manifest_counts_and_a_head_that_is_cut_off_ends_the_reading():
    assert read_container(webp((b"C2PA", b"first"), (b"C2PA", b"second"))).c2pa == b"first"
    assert texts(webp((b"EXIF", EXIF)) + b"XMP ") == {("exif", "UserComment"): "c"}
