"""JPEG: the segments before the first scan."""

import struct
from typing import Final

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.exif import read_exif
from stablenew.image_metadata.containers.xmp import JPEG_XMP, read_xmp
from stablenew.image_metadata.text_decoding import decode_comment, decode_text

_MAX_SEGMENTS: Final = 4_000
_WITHOUT_BODY: Final = {0x01, *range(0xD0, 0xD9)}
_FRAMES: Final = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MORE_XMP: Final = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEAD: Final = len(_MORE_XMP) + 32 + 8


def read_jpeg(source: ByteSource, container: Container) -> None:
    """Read the segments of a JPEG up to where the pixels begin."""
    container.media_type = "image/jpeg"
    container.has_alpha = False
    offset = 2
    extension = bytearray()
    for _ in range(_MAX_SEGMENTS):
        head = source.read(offset, 4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in {0xDA, 0xD9}:
            break
        marker = head[1]
        if marker == 0xFF or marker in _WITHOUT_BODY:
            offset += 1 if marker == 0xFF else 2
            continue
        length = struct.unpack(">H", head[2:])[0]
        if marker >= 0xE0 or marker in _FRAMES:
            _read_segment(marker, source.read(offset + 4, length - 2), container, extension)
        offset += 2 + max(length, 2)
    if extension:
        read_xmp(decode_text(bytes(extension)), container)


def _read_segment(marker: int, data: bytes, container: Container, extension: bytearray) -> None:
    if marker in _FRAMES:
        if len(data) >= 5:
            height, width = struct.unpack(">HH", data[1:5])
            container.set_size(width, height)
    elif marker == 0xFE:
        container.add("comment", "comment", decode_comment(data))
    elif marker == 0xE1:
        _read_application(data, container, extension)
    elif marker == 0xEB and b"jumb" in data[:64]:
        container.c2pa = (container.c2pa or b"") + data[8:]


def _read_application(data: bytes, container: Container, extension: bytearray) -> None:
    if data.startswith(b"Exif\0"):
        read_exif(data[6:], container)
    elif data.startswith(JPEG_XMP):
        read_xmp(decode_text(data[len(JPEG_XMP) :]), container)
    elif data.startswith(_MORE_XMP) and len(extension) < MAX_TEXT_BYTES:
        extension += data[_EXTENSION_HEAD:]  # parts come in order in practice
