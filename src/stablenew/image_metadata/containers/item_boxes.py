"""Items of a HEIF file: which of them are EXIF or XMP (`iinf`), and where their bytes lie (`iloc`)."""

import struct
from typing import Final, NamedTuple

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES

_MAX_ITEMS: Final = 4_096
_XMP_TYPE: Final = b"application/rdf+xml"


class Item(NamedTuple):
    """One piece of metadata."""

    kind: bytes
    """`Exif` or `mime`, which is XMP here."""
    extents: tuple[tuple[int, int], ...]
    """Offset in the file and length of each part."""


def find_items(infos: bytes, locations: bytes, inner_data: int) -> list[Item]:
    """The items that hold EXIF or XMP; `inner_data` is where the `idat` box of the same file begins."""
    wanted = _wanted_items(infos)
    places = _Locations(locations, inner_data).read(set(wanted)) if wanted else {}
    return [Item(kind, places[number]) for number, kind in wanted.items() if number in places]


def read_item(source: ByteSource, item: Item) -> bytes:
    """The bytes of an item, up to the limit of a text."""
    parts = bytearray()
    for offset, length in item.extents:
        parts += source.read(offset, min(length or MAX_TEXT_BYTES, MAX_TEXT_BYTES - len(parts)))
    return bytes(parts)


def _wanted_items(data: bytes) -> dict[int, bytes]:
    if len(data) < 8:
        return {}
    offset = 6 if data[0] == 0 else 8
    wanted: dict[int, bytes] = {}
    for _ in range(_MAX_ITEMS):
        if offset + 16 > len(data):
            break
        size, kind, version = struct.unpack_from(">I4sB", data, offset)
        if size < 16:
            break
        if kind == b"infe" and version >= 2:
            number_bytes = 2 if version == 2 else 4
            begin = offset + 12
            number = int.from_bytes(data[begin : begin + number_bytes], "big")
            item_kind = data[begin + number_bytes + 2 : begin + number_bytes + 6]
            is_xmp = item_kind == b"mime" and _XMP_TYPE in data[begin : offset + size]
            if item_kind == b"Exif" or is_xmp:
                wanted[number] = item_kind
        offset += size
    return wanted


class _Locations:
    """A reader of one `iloc` box."""

    def __init__(self, data: bytes, inner_data: int) -> None:
        self._data = data
        self._at = 0
        self._inner_data = inner_data

    def read(self, wanted: set[int]) -> dict[int, tuple[tuple[int, int], ...]]:
        """The parts of each wanted item."""
        version = self._number(1)
        self._number(3)
        sizes = self._number(1), self._number(1)
        self._sizes = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15 if version else 0
        places = {}
        for _ in range(min(self._number(2 if version < 2 else 4), _MAX_ITEMS)):
            number = self._number(2 if version < 2 else 4)
            extents = self._extents(version)
            if number in wanted:
                places[number] = extents
            if self._at >= len(self._data):
                break
        return places

    def _extents(self, version: int) -> tuple[tuple[int, int], ...]:
        offset_bytes, length_bytes, base_bytes, index_bytes = self._sizes
        method = self._number(2) & 15 if version else 0
        self._number(2)
        base = self._number(base_bytes) + (self._inner_data if method == 1 else 0)
        extents = []
        for _ in range(min(self._number(2), _MAX_ITEMS)):
            self._number(index_bytes)
            offset = self._number(offset_bytes)
            extents.append((base + offset, self._number(length_bytes)))
            if self._at >= len(self._data):
                break
        return tuple(extents)

    def _number(self, size: int) -> int:
        value = int.from_bytes(self._data[self._at : self._at + size], "big")
        self._at += size
        return value
