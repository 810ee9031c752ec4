"""Files made of ISO boxes: AVIF and HEIF images (ISO 23008-12), MP4 and QuickTime videos (ISO 14496-12)."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from stablenew.image_metadata.containers.byte_source import ByteSource
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.exif import read_exif
from stablenew.image_metadata.containers.item_boxes import find_items, read_item
from stablenew.image_metadata.containers.xmp import read_xmp
from stablenew.image_metadata.text_decoding import decode_text

MAX_BOXES: Final = 20_000
_BRANDS: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"heim": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"qt  ": "video/quicktime",
}
_C2PA: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_ITUNES_NAMES: Final = {b"\xa9cmt": "comment", b"\xa9des": "description", b"\xa9too": "encoder", b"\xa9nam": "title"}


class Box(NamedTuple):
    """Where one box lies."""

    kind: bytes
    begin: int
    """The first byte after its head."""
    end: int


def read_iso_media(source: ByteSource, container: Container) -> None:
    """Read the metadata of an AVIF, HEIF, MP4 or QuickTime file."""
    container.media_type = _media_type(source)
    _Boxes(source, container).read()


def read_box(source: ByteSource, begin: int, end: int) -> Box | None:
    """The box that begins at `begin`, cut off at `end`; None where none is."""
    head = source.read(begin, 16)
    if len(head) < 8:
        return None
    size, kind = struct.unpack(">I4s", head[:8])
    inner = 8
    if size == 1 and len(head) == 16:
        size, inner = int.from_bytes(head[8:16], "big"), 16
    elif size == 0:
        size = end - begin
    return Box(kind, begin + inner, min(begin + size, end)) if size >= inner else None


def _media_type(source: ByteSource) -> str:
    head = source.read(0, 64)
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), "video/mp4")


class _Boxes:
    """One walk over the boxes of a file."""

    def __init__(self, source: ByteSource, container: Container) -> None:
        self._source = source
        self._container = container
        self._left = MAX_BOXES

    def read(self) -> None:
        """Read what stands at the top."""
        for box in self._iter(0, self._source.size):
            if box.kind == b"meta":
                self._read_image(box)
            elif box.kind == b"moov":
                self._read_movie(box)
            elif box.kind == b"uuid" and self._bytes(box, 16) == _C2PA:
                self._container.c2pa = self._bytes(box, MAX_TEXT_BYTES)[16:]

    def _iter(self, begin: int, end: int) -> Iterator[Box]:
        while begin + 8 <= end and self._left > 0:
            self._left -= 1
            box = read_box(self._source, begin, end)
            if box is None:
                return
            yield box
            begin = box.end

    def _bytes(self, box: Box, most: int = MAX_TEXT_BYTES) -> bytes:
        return self._source.read(box.begin, min(box.end - box.begin, most))

    def _read_image(self, meta: Box) -> None:
        boxes = {box.kind: box for box in self._iter(meta.begin + 4, meta.end)}
        if b"iprp" in boxes:
            self._read_properties(boxes[b"iprp"])
        if b"iinf" not in boxes or b"iloc" not in boxes:
            return
        inner_data = boxes[b"idat"].begin if b"idat" in boxes else 0
        for item in find_items(self._bytes(boxes[b"iinf"]), self._bytes(boxes[b"iloc"]), inner_data):
            data = read_item(self._source, item)
            if item.kind == b"Exif":
                offset = int.from_bytes(data[:4], "big")
                read_exif(data[4 + offset :] if offset < len(data) else data[4:], self._container)
            else:
                read_xmp(decode_text(data), self._container)

    def _read_properties(self, properties: Box) -> None:
        for holder in self._iter(properties.begin, properties.end):
            if holder.kind != b"ipco":
                continue
            for box in self._iter(holder.begin, holder.end):
                data = self._bytes(box, 12) if box.kind == b"ispe" else b""
                if len(data) == 12:
                    width, height = struct.unpack(">II", data[4:])
                    if width * height > (self._container.width or 0) * (self._container.height or 0):
                        self._container.set_size(width, height)  # the largest: others are thumbnails and tiles

    def _read_movie(self, movie: Box) -> None:
        for box in self._iter(movie.begin, movie.end):
            if box.kind == b"trak":
                self._read_track(box)
            elif box.kind == b"meta":
                self._read_tags(box)
            elif box.kind == b"udta":
                for inner in self._iter(box.begin, box.end):
                    if inner.kind == b"meta":
                        self._read_tags(inner)

    def _read_track(self, track: Box) -> None:
        for box in self._iter(track.begin, track.end):
            if box.kind == b"tkhd":
                data = self._bytes(box, 104)
                if len(data) >= 84:
                    width, height = struct.unpack(">II", data[-8:])
                    if self._container.width is None:
                        self._container.set_size(width >> 16, height >> 16)

    def _read_tags(self, meta: Box) -> None:
        """The two kinds of tags: iTunes' fixed names, and names of one's own in a list of keys."""
        is_full = self._source.read(meta.begin + 4, 4) not in {b"hdlr", b"keys", b"ilst"}
        keys: list[str] = []
        for box in self._iter(meta.begin + (4 if is_full else 0), meta.end):
            if box.kind == b"keys":
                keys = self._keys(box)
            elif box.kind == b"ilst":
                for entry in self._iter(box.begin, box.end):
                    self._read_tag(entry, keys)

    def _keys(self, box: Box) -> list[str]:
        return [decode_text(self._bytes(key, 200)) for key in self._iter(box.begin + 8, box.end)]

    def _read_tag(self, entry: Box, keys: list[str]) -> None:
        number = int.from_bytes(entry.kind, "big") - 1
        name = keys[number] if 0 <= number < len(keys) else _ITUNES_NAMES.get(entry.kind, "")
        for box in self._iter(entry.begin, entry.end):
            data = self._bytes(box)
            if box.kind == b"data" and name:
                self._container.add("tags", name, decode_text(data[8:]))
            elif box.kind == b"name":
                name = decode_text(data[4:204])  # a free-form tag: mean, name, data
