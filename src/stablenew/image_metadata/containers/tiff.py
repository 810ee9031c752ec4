"""TIFF: its directory is that of EXIF, with size and XMP beside."""

import struct
from typing import Final

from stablenew.image_metadata.containers.byte_source import MAX_PIECE, ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.exif import read_exif
from stablenew.image_metadata.containers.xmp import read_xmp
from stablenew.image_metadata.text_decoding import decode_text

_WIDTH, _HEIGHT, _XMP = 256, 257, 700
_FORMATS: Final = {3: "H", 4: "I"}
_MAX_ENTRIES: Final = 1_000


def read_tiff(source: ByteSource, container: Container) -> None:
    """Read the first directory of a TIFF, and those that EXIF hangs on it."""
    container.media_type = "image/tiff"
    container.is_lossless = True
    order = "<" if source.read(0, 2) == b"II" else ">"
    (offset,) = struct.unpack(f"{order}I", source.read(4, 4))
    numbers = _read_numbers(source, offset, order)
    container.set_size(numbers.get(_WIDTH, (0, 0))[1], numbers.get(_HEIGHT, (0, 0))[1])
    length, begin = numbers.get(_XMP, (0, 0))
    if length:
        read_xmp(decode_text(source.read(begin, min(length, MAX_TEXT_BYTES))), container)
    # Offsets count from the beginning of the file, and the pixels may lie before the directory.
    read_exif(source.read(0, MAX_PIECE), container)


def _read_numbers(source: ByteSource, offset: int, order: str) -> dict[int, tuple[int, int]]:
    """Length and value of the tags that are wanted here; a longer value is an offset."""
    (count,) = struct.unpack(f"{order}H", source.read(offset, 2))
    found = {}
    for number in range(min(count, _MAX_ENTRIES)):
        entry = source.read(offset + 2 + 12 * number, 12)
        tag, kind, length = struct.unpack(f"{order}HHI", entry[:8])
        if tag in {_WIDTH, _HEIGHT} and kind in _FORMATS:
            size = struct.calcsize(_FORMATS[kind])
            found[tag] = (length, struct.unpack(f"{order}{_FORMATS[kind]}", entry[8 : 8 + size])[0])
        elif tag == _XMP:
            found[tag] = (length, struct.unpack(f"{order}I", entry[8:])[0])
    return found
