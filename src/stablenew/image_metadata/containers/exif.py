"""EXIF: the strings and comments in its directories, whatever programs put there."""

import struct
from typing import Final

from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.text_decoding import decode_comment, decode_text

_DIRECTORIES: Final = {0x8769, 0x8825, 0xA005}
_NAMES: Final = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    0x9003: "DateTimeOriginal",
    0x9286: "UserComment",
    0x927C: "MakerNote",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
}
_RATING: Final = 0x4746
_SIZES: Final = {1: 1, 2: 1, 7: 1, 3: 2, 6: 1, 4: 4, 9: 4}
_BYTES: Final = {1, 2, 7}
_MAX_ENTRIES: Final = 1_000
_MAX_DIRECTORIES: Final = 16


def read_exif(data: bytes, container: Container) -> None:
    """Add every string of EXIF data to the texts of a container."""
    if data.startswith(b"Exif\0"):
        data = data[6:]
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return
    todo = [struct.unpack(f"{order}I", data[4:8])[0]]
    seen: set[int] = set()
    while todo and len(seen) < _MAX_DIRECTORIES:
        offset = todo.pop(0)
        if offset not in seen:
            seen.add(offset)
            todo += _read_directory(data, offset, order, container)


def _read_directory(data: bytes, offset: int, order: str, container: Container) -> list[int]:
    """Put the strings of one directory into the container; returns the places of other directories."""
    if offset + 2 > len(data):
        return []
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    onward: list[int] = []
    for number in range(min(count, _MAX_ENTRIES)):
        at = offset + 2 + number * 12
        if at + 12 > len(data):
            return onward
        tag, kind, length, value = struct.unpack_from(f"{order}HHII", data, at)
        if tag in _DIRECTORIES:
            onward.append(value)
        elif tag == _RATING:
            _read_rating(data[at + 8 : at + 10], order, container)
        elif kind in _BYTES:
            size = length * _SIZES[kind]
            begin = value if size > 4 else at + 8
            _read_string(tag, data[begin : begin + size], order, container)
    return onward


def _read_rating(data: bytes, order: str, container: Container) -> None:
    (stars,) = struct.unpack(f"{order}H", data)
    if container.rating is None and 1 <= stars <= 5:
        container.rating = stars


def _read_string(tag: int, data: bytes, order: str, container: Container) -> None:
    name = _NAMES.get(tag)
    if name is None:
        if len(data) < 8 or not data[:1].isalpha():
            return
        name = f"0x{tag:04X}"  # ComfyUI counts down from Model for each thing it keeps
    if name.startswith("XP"):
        text = data.decode("utf-16-le", "replace").rstrip("\0")
    elif name == "UserComment":
        text = decode_comment(data, is_big_endian=order == ">")
    elif name == "MakerNote" and not data[:200].rstrip(b"\0").isascii():
        return  # a camera's own, which is not text
    else:
        text = decode_text(data)
    container.add("exif", name, text)
