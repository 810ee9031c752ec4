"""Text that is stored deflated or with Brotli, unpacked no further than a limit."""

import zlib
from typing import Any, Final

from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES

NEEDS_BROTLI: Final = "its metadata is compressed with Brotli: pip install brotli"
"""The problem of a file whose metadata this program cannot unpack."""


def unpack_text(data: bytes, limit: int = MAX_TEXT_BYTES) -> tuple[bytes, bool]:
    """What the zlib or gzip stream `data` holds, at most `limit` bytes of it, and whether that is all."""
    if limit <= 0:
        return b"", False  # to zlib, 0 would be no limit
    unpacker = zlib.decompressobj(wbits=47)  # 32 + 15: zlib or gzip, as the header says
    try:
        text = unpacker.decompress(data, limit)
    except zlib.error:
        return b"", False
    return text, unpacker.eof


def unpack_brotli(data: bytes, limit: int = MAX_TEXT_BYTES) -> tuple[bytes, bool] | None:
    """As `unpack_text`, of a Brotli stream; None where the package `brotli` (1.2 or later) is not installed."""
    brotli = _load_brotli()
    if brotli is None:
        return None
    unpacker = brotli.Decompressor()
    text, is_whole = bytearray(), False
    try:
        while len(text) < limit and not is_whole:
            part = unpacker.process(data, output_buffer_limit=limit - len(text))
            is_whole, data = unpacker.is_finished(), b""
            if not part and unpacker.can_accept_more_data():
                break  # the stream ends too early
            text += part
    except brotli.error:
        is_whole = False
    return bytes(text[:limit]), is_whole and len(text) <= limit


def _load_brotli() -> Any:
    try:
        import brotli  # noqa: PLC0415  # not among the packages that must be there
    except ImportError:
        return None
    return brotli if hasattr(brotli.Decompressor, "can_accept_more_data") else None  # before 1.2 it takes no limit
