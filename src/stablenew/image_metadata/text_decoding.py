"""From bytes to text, and from text that was decoded wrongly to what it was. Nothing here raises."""

import json
from typing import Any, Final

_CODE_IDS: Final = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp"}
"""How EXIF says what a comment is written in (CIPA DC-008, UserComment)."""
_SAMPLE: Final = 4096
_DECODER: Final = json.JSONDecoder(strict=False)  # newlines within texts are common, and NaN is too


def decode_text(data: bytes) -> str:
    """UTF-8 where it is, else Latin-1: what PNG text and EXIF strings are in practice."""
    data = data.rstrip(b"\0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_comment(data: bytes, *, is_big_endian: bool = True) -> str:
    """An EXIF UserComment: its code id where it is known, else what the bytes look like.

    `UNICODE` is UTF-16 in either byte order, whatever the file's own order is: programs differ, so the bytes decide.
    """
    kind = _CODE_IDS.get(data[:8].upper())
    body = data[8:] if kind or data[:8] == bytes(8) else data
    if kind == "utf-16" or (kind is None and _looks_like_utf16(body)):
        return decode_utf16(body, is_big_endian=is_big_endian)
    if kind == "iso2022_jp":
        return body.rstrip(b"\0").decode("iso2022_jp", "replace")
    return decode_text(body)


def decode_utf16(data: bytes, *, is_big_endian: bool = True) -> str:
    """UTF-16 with a byte order mark, or in the order in which more of it is ASCII."""
    data = data[: len(data) & ~1]
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace").rstrip("\0")
    sample = data[:_SAMPLE]
    if _is_mostly_ascii(data):
        return decode_text(data)  # it says UNICODE, and is not
    big, little = sample[0::2].count(0), sample[1::2].count(0)
    order = ("be" if big > little else "le") if big != little else ("be" if is_big_endian else "le")
    return data.decode(f"utf-16-{order}", "replace").rstrip("\0")


def repair_mojibake(text: str) -> str:
    """`text`, or what it was before its UTF-8 was read as Latin-1."""
    if text.isascii() or any(ord(letter) > 255 for letter in text[:_SAMPLE]):
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def parse_json(text: str) -> Any:
    """The JSON in `text`, with NaN as programs write it, or None."""
    bare = text.strip("\0 \t\r\n\ufeff")
    if not bare:
        return None
    try:
        return _DECODER.decode(bare)
    except (ValueError, RecursionError):
        return None


def _looks_like_utf16(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    if len(sample) < 8:
        return False
    return max(sample[0::2].count(0), sample[1::2].count(0)) * 4 > len(sample)


def _is_mostly_ascii(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    return len(sample) >= 8 and 0 not in sample and sum(32 <= byte < 127 for byte in sample) * 10 > len(sample) * 9
