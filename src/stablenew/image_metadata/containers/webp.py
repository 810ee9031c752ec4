"""WebP: the chunks of its RIFF file."""

import struct
from typing import Final

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.exif import read_exif
from stablenew.image_metadata.containers.xmp import read_xmp
from stablenew.image_metadata.text_decoding import decode_text

_MAX_CHUNKS: Final = 30_000


def read_webp(source: ByteSource, container: Container) -> None:
    """Read every chunk but the pixels of a WebP."""
    container.media_type = "image/webp"
    offset = 12
    for _ in range(_MAX_CHUNKS):
        head = source.read(offset, 8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        read = _READERS.get(kind)
        if read:
            read(source.read(offset + 8, min(length, MAX_TEXT_BYTES)), container)
        elif kind in {b"VP8 ", b"VP8L"}:
            _read_frame(kind, source.read(offset + 8, 10), container)
        offset += 8 + length + (length & 1)


def _read_extended(data: bytes, container: Container) -> None:
    if len(data) >= 10:
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
        container.set_size(width, height)
        container.has_alpha = bool(data[0] & 0x10)
        container.is_animated = bool(data[0] & 0x02)


def _read_frame(kind: bytes, data: bytes, container: Container) -> None:
    """The size in the head of a frame, for files that have no other."""
    container.is_lossless = kind == b"VP8L"
    if len(data) < 10:
        return
    if kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        # the alpha bit is only a hint, and NovelAI's files have it unset in VP8X and set here
        container.has_alpha = container.has_alpha or bool(bits >> 28 & 1)
    else:
        size = tuple(int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))  # type: ignore[assignment]
    if container.width is None:
        container.set_size(*size)


def _read_xmp(data: bytes, container: Container) -> None:
    read_xmp(decode_text(data), container)


def _read_c2pa(data: bytes, container: Container) -> None:
    container.c2pa = container.c2pa or data


_READERS: Final = {b"VP8X": _read_extended, b"EXIF": read_exif, b"XMP ": _read_xmp, b"C2PA": _read_c2pa}
