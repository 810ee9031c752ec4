"""Text that is stored deflated, unpacked no further than a limit."""

import zlib

from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES


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
