"""Putting an XMP packet into the bytes of a PNG, JPEG or WebP. Pure.

Nothing is decoded: the packet takes the place of one that is there, or comes where the format keeps it, and every other
byte stays. A packet of others is read first, so that its fields can be kept.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from stablenew.errors import InvalidDocument
from stablenew.image_metadata.containers.packed_text import unpack_text
from stablenew.image_metadata.containers.xmp import JPEG_XMP

MergePacket: TypeAlias = Callable[[str | None], str]
"""From the packet that is there to the one that shall be."""

_PNG_KEYWORD: Final = b"XML:com.adobe.xmp\0"
_PNG_HEADER_LENGTH: Final = 8 + 25
"""The signature and IHDR, which is always the first chunk."""
_PLAIN: Final = b"\0\0\0\0"
"""Of an iTXt: not packed, by no method, in no language, with no translated keyword."""
_JPEG_LONGEST: Final = 0xFFFF - 2 - len(JPEG_XMP)
_JPEG_STANDALONE: Final = {0x01, *range(0xD0, 0xDA)}
_WEBP_XMP: Final = 0x04
_WEBP_ALPHA: Final = 0x10
_LONGEST: Final = 4 << 20
_CREDENTIALS: Final = "it has Content Credentials, which a change would break; export a sidecar instead"


def embed_packet(data: bytes, media_type: str, merge: MergePacket) -> bytes:
    """The image with the packet in it that `merge` makes of the one that is there.

    Raises:
        InvalidDocument: another format, a damaged file, one whose Content Credentials would break, or a packet that
            does not fit or cannot be read; the message says what to do instead.
    """
    embed = _FORMATS.get(media_type)
    if embed is None:
        raise InvalidDocument(f"no packet can be put into {media_type}; export a sidecar instead")
    try:
        return embed(data, merge)
    except (struct.error, IndexError, zlib.error):
        raise InvalidDocument(f"the {media_type} is damaged, so no packet is put into it") from None


def read_packet(data: bytes, media_type: str) -> str | None:
    """The packet in an image, as `embed_packet` would merge it; None where there is none, or it cannot be found."""
    found: list[str | None] = []

    def note(packet: str | None) -> str:
        found.append(packet)
        return packet or ""

    try:
        embed_packet(data, media_type, note)
    except InvalidDocument:
        return None
    return found[0]


def _embed_png(data: bytes, merge: MergePacket) -> bytes:
    before, kept = None, []
    for kind, start, end in _iter_png(data):
        if kind == b"caBX":
            raise InvalidDocument(_CREDENTIALS)
        if kind == b"iTXt" and data.startswith(_PNG_KEYWORD, start + 8):
            before = _read_itxt(data[start + 8 + len(_PNG_KEYWORD) : end - 4])
        elif start >= _PNG_HEADER_LENGTH:
            kept.append(data[start:end])
    body = b"iTXt" + _PNG_KEYWORD + _PLAIN + merge(before).encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return b"".join((data[:_PNG_HEADER_LENGTH], chunk, *kept))


def _iter_png(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk; what follows the last one is the last."""
    at, kind = 8, b""
    while at < len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise IndexError(end)
        yield kind, at, end
        at = end
    if kind != b"IEND":
        raise IndexError(at)
    yield b"", at, len(data)


def _read_itxt(rest: bytes) -> str:
    is_packed = rest[0] == 1
    _language, _, rest = rest[2:].partition(b"\0")
    _translated, _, rest = rest.partition(b"\0")
    if is_packed:
        rest, is_whole = unpack_text(rest, _LONGEST)
        if not is_whole:
            raise InvalidDocument("its packet is damaged, so it was left as it is")
    return _decode(rest)


def _embed_jpeg(data: bytes, merge: MergePacket) -> bytes:
    before, kept, place = None, [], 0
    for marker, start, end in _iter_jpeg(data):
        body = data[start + 4 : end]
        if marker == 0xEB and b"jumb" in body[:64]:
            raise InvalidDocument(_CREDENTIALS)
        if marker == 0xE1 and body.startswith(JPEG_XMP):
            before = _decode(body[len(JPEG_XMP) :])
            continue
        kept.append(data[start:end])
        if marker == 0xE0 or (marker == 0xE1 and body.startswith(b"Exif\0")):
            place = len(kept)  # JFIF and EXIF come first
    packet = merge(before).encode()
    if len(packet) > _JPEG_LONGEST:
        raise InvalidDocument(f"a JPEG has no place for {len(packet):,} bytes of it; export a sidecar instead")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(JPEG_XMP) + len(packet)) + JPEG_XMP + packet
    return b"".join((data[:2], *kept[:place], segment, *kept[place:]))


def _iter_jpeg(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment before the pixels; the rest of the file is the last."""
    at = 2
    while data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        marker = data[at + 1]
        if marker == 0xFF:  # a byte that fills
            end = at + 1
        elif marker in _JPEG_STANDALONE:
            end = at + 2
        else:
            end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if end >= len(data):
            raise IndexError(end)
        yield marker, at, end
        at = end
    yield data[at + 1], at, len(data)


def _embed_webp(data: bytes, merge: MergePacket) -> bytes:
    end_of_riff = 8 + struct.unpack_from("<I", data, 4)[0]
    before, kept = None, []
    for kind, chunk in _iter_webp(data[:end_of_riff]):
        if kind == b"C2PA":
            raise InvalidDocument(_CREDENTIALS)
        if kind == b"XMP ":
            before = _decode(chunk[8 : 8 + struct.unpack_from("<I", chunk, 4)[0]])
        else:
            kept.append(chunk)
    packet = merge(before).encode()
    xmp = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) & 1)
    chunks = b"".join((*_extended(kept), xmp))
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks + data[end_of_riff:]


def _iter_webp(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length
        if end > len(data):
            raise IndexError(end)
        yield kind, data[at:end] + b"\0" * (length & 1)
        at = end + (length & 1)


def _extended(chunks: list[bytes]) -> list[bytes]:
    """The chunks beneath a head that says that there is a packet; a simple file gets such a head."""
    head = chunks[0]
    if head.startswith(b"VP8X"):
        return [head[:8] + bytes([head[8] | _WEBP_XMP]) + head[9:], *chunks[1:]]
    if head.startswith(b"VP8L"):
        bits = struct.unpack_from("<I", head, 9)[0]
        width, height, has_alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        width, height = (size - 1 & 0x3FFF for size in struct.unpack_from("<HH", head, 14))
        has_alpha = 0
    flags = _WEBP_XMP | (_WEBP_ALPHA if has_alpha else 0)
    size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return [b"VP8X" + struct.pack("<IB3x", 10, flags) + size, *chunks]


def _decode(packet: bytes) -> str:
    try:
        return packet.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidDocument("its packet is not UTF-8, so it was left as it is") from None


_FORMATS: Final = {"image/png": _embed_png, "image/jpeg": _embed_jpeg, "image/webp": _embed_webp}
