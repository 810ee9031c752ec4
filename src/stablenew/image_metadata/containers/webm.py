"""WebM and Matroska (RFC 9559): the tags and the size of the video; clusters are stepped over."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.text_decoding import decode_text

_MAX_ELEMENTS: Final = 20_000
_EBML, _DOC_TYPE, _SEGMENT = 0x1A45DFA3, 0x4282, 0x18538067
_TRACKS, _TRACK, _VIDEO, _WIDTH, _HEIGHT = 0x1654AE6B, 0xAE, 0xE0, 0xB0, 0xBA
_TAGS, _TAG, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
_INFO, _TITLE = 0x1549A966, 0x7BA9
_HOLDERS: Final = {_EBML, _SEGMENT, _TRACKS, _TRACK, _VIDEO, _TAGS, _TAG, _INFO}
_MAX_DEPTH: Final = 8


class _Element(NamedTuple):
    kind: int
    begin: int
    end: int


def read_webm(source: ByteSource, container: Container) -> None:
    """Read the tags of a WebM or Matroska file."""
    container.media_type = "video/webm"
    _Elements(source, container).read(0, source.size, 0)


class _Elements:
    """One walk over the elements of a file."""

    def __init__(self, source: ByteSource, container: Container) -> None:
        self._source = source
        self._container = container
        self._left = _MAX_ELEMENTS
        self._size: dict[int, int] = {}

    def read(self, begin: int, end: int, depth: int) -> None:
        """Read what lies between two offsets."""
        for element in self._iter(begin, end):
            if element.kind in _HOLDERS and depth < _MAX_DEPTH:
                self.read(element.begin, element.end, depth + 1)
            else:
                self._read_value(element)

    def _read_value(self, element: _Element) -> None:
        if element.kind == _SIMPLE_TAG:
            inner = {child.kind: child for child in self._iter(element.begin, element.end)}
            if _TAG_NAME in inner and _TAG_STRING in inner:
                name = decode_text(self._bytes(inner[_TAG_NAME], 200))
                self._container.add("tags", name.lower(), decode_text(self._bytes(inner[_TAG_STRING])))
        elif element.kind in (_WIDTH, _HEIGHT) and self._container.width is None:
            self._size[element.kind] = int.from_bytes(self._bytes(element, 8), "big")
            self._container.set_size(self._size.get(_WIDTH, 0), self._size.get(_HEIGHT, 0))
        elif element.kind == _TITLE:
            self._container.add("tags", "title", decode_text(self._bytes(element)))
        elif element.kind == _DOC_TYPE and self._bytes(element, 16).startswith(b"matroska"):
            self._container.media_type = "video/x-matroska"

    def _bytes(self, element: _Element, most: int = MAX_TEXT_BYTES) -> bytes:
        return self._source.read(element.begin, min(element.end - element.begin, most))

    def _iter(self, begin: int, end: int) -> Iterator[_Element]:
        while begin < end and self._left > 0:
            self._left -= 1
            head = self._source.read(begin, 12)
            kind_bytes = _length_of(head, 0, 4)
            size_bytes = _length_of(head, kind_bytes, 8)
            if not kind_bytes or not size_bytes:
                return
            kind = int.from_bytes(head[:kind_bytes], "big")
            size = int.from_bytes(head[kind_bytes : kind_bytes + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
            inner = begin + kind_bytes + size_bytes
            is_open = size == (1 << 7 * size_bytes) - 1
            after = end if is_open else min(inner + size, end)
            yield _Element(kind, inner, after)
            begin = after


def _length_of(head: bytes, at: int, most: int) -> int:
    """How many bytes a number of variable size takes; 0 where there is none."""
    if at >= len(head) or not head[at]:
        return 0
    length = 9 - head[at].bit_length()
    return length if length <= most and at + length <= len(head) else 0
