"""Bytes of a file or in memory, read in bounded pieces at any place."""

import io
from typing import BinaryIO, Final, TypeAlias

Readable: TypeAlias = bytes | bytearray | memoryview | BinaryIO

_HEAD_BYTES: Final = 16 * 1024
MAX_PIECE: Final = 32 * 1024 * 1024
"""No single read is larger, whatever a length field claims."""


class ByteSource:
    """Random access to what a file holds; a read beyond the end gives what there is.

    The first 16 kB are read at once: for most images that is all a reader needs.
    """

    def __init__(self, readable: Readable) -> None:
        stream = io.BytesIO(readable) if isinstance(readable, (bytes, bytearray, memoryview)) else readable
        self._stream = stream
        stream.seek(0)
        self._head = stream.read(_HEAD_BYTES) or b""
        self.size = stream.seek(0, io.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on, never more than 32 MB."""
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        length = min(length, MAX_PIECE)
        end = offset + length
        if end <= len(self._head):
            return self._head[offset:end]
        self._stream.seek(offset)
        data = self._stream.read(length) or b""
        while len(data) < length and (more := self._stream.read(length - len(data))):
            data += more  # an unbuffered file may give less than was asked for, and is not at its end
        return data
