"""GIF: its size and its comments."""

import struct
from typing import Final

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.text_decoding import decode_text

_MAX_BLOCKS: Final = 50_000
_EXTENSION: Final = 0x21
_IMAGE: Final = 0x2C
_COMMENT: Final = 0xFE


def read_gif(source: ByteSource, container: Container) -> None:
    """Read the comments of a GIF; the blocks of its pixels are only counted over."""
    container.media_type = "image/gif"
    head = source.read(0, 13)
    if len(head) < 13:
        return
    container.set_size(*struct.unpack("<HH", head[6:10]))
    _Blocks(source, 13 + _table_size(head[10]), container).read()


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


class _Blocks:
    """One walk over the blocks of a GIF."""

    def __init__(self, source: ByteSource, offset: int, container: Container) -> None:
        self._source = source
        self._offset = offset
        self._container = container
        self._left = _MAX_BLOCKS

    def read(self) -> None:
        """Read up to the trailer, the end or the limit."""
        while self._left > 0:
            self._left -= 1
            head = self._source.read(self._offset, 10)
            if head[:1] == bytes([_IMAGE]) and len(head) == 10:
                self._offset += 11 + _table_size(head[9])
                self._sub_blocks(keep=False)
            elif head[:1] == bytes([_EXTENSION]) and len(head) >= 2:
                self._offset += 2
                self._read_extension(head[1])
            else:
                return

    def _read_extension(self, label: int) -> None:
        data = self._sub_blocks(keep=label == _COMMENT)
        if label == _COMMENT:
            self._container.add("comment", "comment", decode_text(data))

    def _sub_blocks(self, *, keep: bool) -> bytes:
        kept = bytearray()
        while self._left > 0:
            self._left -= 1
            length = self._source.read(self._offset, 1)
            if not length or not length[0]:
                break
            if keep and len(kept) < MAX_TEXT_BYTES:
                kept += self._source.read(self._offset + 1, length[0])
            self._offset += 1 + length[0]
        self._offset += 1
        return bytes(kept)
