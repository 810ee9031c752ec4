"""JPEG XL: EXIF and XMP in the boxes of its container (ISO 18181-2), and the size in the head of its pixels."""

from collections.abc import Iterator
from typing import Final

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.exif import read_exif
from stablenew.image_metadata.containers.iso_media import MAX_BOXES, Box, read_box
from stablenew.image_metadata.containers.packed_text import NEEDS_BROTLI, unpack_brotli
from stablenew.image_metadata.containers.xmp import read_xmp
from stablenew.image_metadata.text_decoding import decode_text

SIGNATURE: Final = bytes.fromhex("0000000c4a584c200d0a870a")
CODESTREAM: Final = b"\xff\x0a"
_TELLING: Final = {b"Exif", b"xml ", b"jumb"}
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZE_BITS: Final = (9, 13, 18, 30)


def read_jxl(source: ByteSource, container: Container) -> None:
    """Read the metadata of a JPEG XL; one without a container has none."""
    container.media_type = "image/jxl"
    if source.read(0, 2) == CODESTREAM:
        _read_size(source.read(2, 16), container)
        return
    for kind, begin, end in _iter_boxes(source):
        if kind in _TELLING:
            _read_box(kind, source.read(begin, min(end - begin, MAX_TEXT_BYTES)), container)
        elif kind == b"brob" and source.read(begin, 4) in _TELLING:
            _read_packed(source.read(begin, min(end - begin, MAX_TEXT_BYTES)), container)
        elif kind in {b"jxlc", b"jxlp"} and container.width is None:
            head = source.read(begin + (4 if kind == b"jxlp" else 0), 18)
            if head.startswith(CODESTREAM):
                _read_size(head[2:], container)


def _iter_boxes(source: ByteSource) -> Iterator[Box]:
    begin = 0
    for _ in range(MAX_BOXES):
        box = read_box(source, begin, source.size)
        if box is None:
            return
        yield box
        begin = box.end


def _read_packed(data: bytes, container: Container) -> None:
    """A box of another kind, which stands in front, compressed with Brotli."""
    unpacked = unpack_brotli(data[4:], min(container.room, MAX_TEXT_BYTES))
    if unpacked is None:
        container.report(NEEDS_BROTLI)
        return
    text, is_whole = unpacked
    if not is_whole:
        container.report("metadata compressed with Brotli is damaged, or too long")
    if text:
        _read_box(data[:4], text, container)


def _read_box(kind: bytes, data: bytes, container: Container) -> None:
    if kind == b"Exif":
        # Some writers leave out the offset that stands before it.
        is_bare = data[:2] in {b"II", b"MM"}
        read_exif(data if is_bare else data[4 + int.from_bytes(data[:4], "big") :], container)
    elif kind == b"xml ":
        read_xmp(decode_text(data), container)
    else:
        container.c2pa = container.c2pa or data


def _read_size(head: bytes, container: Container) -> None:
    """The size header: bits from the lowest on; a width may be a ratio of the height."""
    bits = _Bits(int.from_bytes(head, "little"))
    is_small = bits.take(1)
    height = _take_length(bits, is_small=is_small)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        width = height * across // down
    else:
        width = _take_length(bits, is_small=is_small)
    container.set_size(width, height)


def _take_length(bits: "_Bits", *, is_small: int) -> int:
    return 8 * (1 + bits.take(5)) if is_small else 1 + bits.take(_SIZE_BITS[bits.take(2)])


class _Bits:
    """Bits of a number, from the lowest on."""

    def __init__(self, number: int) -> None:
        self._number = number

    def take(self, count: int) -> int:
        """The next `count` bits."""
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value
