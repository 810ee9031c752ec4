"""PNG: the text chunks before and after the pixels, over which the reader seeks."""

import struct
from typing import Final

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.exif import read_exif
from stablenew.image_metadata.containers.packed_text import unpack_text
from stablenew.image_metadata.containers.xmp import JPEG_XMP, read_xmp
from stablenew.image_metadata.text_decoding import decode_text, repair_mojibake

_MAX_CHUNKS: Final = 30_000
_HAS_ALPHA: Final = {4, 6}
_XMP_KEYS: Final = {"XML:com.adobe.xmp", "Raw profile type xmp"}
_EXIF_KEYS: Final = {"Raw profile type exif", "Raw profile type APP1"}
"""How ImageMagick keeps what a JPEG held; the second is older, and may be EXIF or XMP."""
_TEXTS: Final = {b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"IHDR", b"caBX", b"acTL", b"zxIf"}


def read_png(source: ByteSource, container: Container) -> None:
    """Read every chunk but the pixels of a PNG."""
    container.media_type = "image/png"
    container.is_lossless = True
    offset = 8
    for _ in range(_MAX_CHUNKS):
        head = source.read(offset, 8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind in _TEXTS:
            _read_chunk(kind, source.read(offset + 8, min(length, MAX_TEXT_BYTES)), container)
            if length > MAX_TEXT_BYTES:
                container.report(f"a chunk {kind.decode()} of {length:,} bytes was cut")
        offset += 12 + length
    container.report(f"only the first {_MAX_CHUNKS:,} chunks were read")


def _read_chunk(kind: bytes, data: bytes, container: Container) -> None:
    if kind == b"IHDR":
        if len(data) >= 13:
            container.set_size(*struct.unpack(">II", data[:8]))
            container.has_alpha = data[9] in _HAS_ALPHA
    elif kind == b"eXIf":
        read_exif(data, container)
    elif kind == b"caBX":
        container.c2pa = container.c2pa or data
    elif kind == b"acTL":
        container.is_animated = True
    else:
        _read_text(kind, data, container)


def _read_text(kind: bytes, data: bytes, container: Container) -> None:
    keyword, _, rest = data.partition(b"\0")
    key = keyword[:200].decode("latin-1")
    text = {b"tEXt": _plain, b"zTXt": _packed, b"iTXt": _international}.get(kind, _plain)(key, rest, container)
    if key in _XMP_KEYS:
        read_xmp(text, container)
    elif key in _EXIF_KEYS:
        profile = _from_hex_profile(text)
        if profile.startswith(JPEG_XMP):
            read_xmp(decode_text(profile[len(JPEG_XMP) :]), container)
        else:
            read_exif(profile, container)
    else:
        container.add("png", key, text)


def _plain(_key: str, rest: bytes, _container: Container) -> str:
    return decode_text(rest)


def _packed(key: str, rest: bytes, container: Container) -> str:
    return decode_text(_unpack(key, rest[1:], container))


def _international(key: str, rest: bytes, container: Container) -> str:
    is_packed = rest[:1] == b"\x01"
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, rest = rest.partition(b"\0")
    return repair_mojibake(decode_text(_unpack(key, rest, container) if is_packed else rest))


def _unpack(key: str, data: bytes, container: Container) -> bytes:
    text, is_whole = unpack_text(data, min(MAX_TEXT_BYTES, container.room))
    if not is_whole:
        container.report(f"the packed text {key!r} is damaged or too long, and was cut")
    return text


def _from_hex_profile(text: str) -> bytes:
    """ImageMagick's way to keep EXIF in a PNG: a name, a length, and hexadecimal digits over many lines."""
    _name, _, digits = text.strip().partition("\n")
    _length, _, digits = digits.strip().partition("\n")
    try:
        return bytes.fromhex("".join(digits.split()))
    except ValueError:
        return b""
