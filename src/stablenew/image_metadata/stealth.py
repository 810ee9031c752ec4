"""Text in the lowest bits of pixels, as NovelAI and an extension of the WebUIs write it.

Column by column; a mark of 15 bytes, the length in bits, the text, packed with gzip or not. The lowest bits are those
of alpha, or of red, green and blue. This is the one reader that has to decode pixels.
"""

import io
import struct
import warnings
from typing import Any, Final

from stablenew.image_metadata.containers.byte_source import MAX_PIECE, ByteSource, Readable
from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, Container
from stablenew.image_metadata.containers.packed_text import unpack_text
from stablenew.image_metadata.text_decoding import decode_text

_MARK_BYTES: Final = 15
_HEAD_BITS: Final = _MARK_BYTES * 8 + 32
_MARKS: Final = {
    b"stealth_pnginfo": (True, False),
    b"stealth_pngcomp": (True, True),
    b"stealth_rgbinfo": (False, False),
    b"stealth_rgbcomp": (False, True),
}
"""Whether it lies in alpha, and whether it is packed."""
_MOST_PIXELS: Final = 12_000_000
_FORMATS: Final = ("PNG", "WEBP")
_DECODING: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


def may_hide_text(container: Container) -> bool:
    """Whether the format keeps the lowest bits, and decoding is affordable."""
    pixels = (container.width or 0) * (container.height or 0)
    is_fit = container.is_lossless or bool(container.has_alpha)  # alpha is kept exactly beside lossy colours too
    return container.media_type in {"image/png", "image/webp"} and is_fit and _HEAD_BITS < pixels <= _MOST_PIXELS


def read_stealth(readable: Readable, container: Container) -> None:
    """Add the text hidden in the pixels of an image, if there is one, to the texts of its container."""
    pixels = _decode(readable)
    if pixels is None:
        return
    for channels in ([3], [0, 1, 2]) if pixels.shape[2] == 4 else ([0, 1, 2],):
        text = _read_bits(_low_bits(pixels, channels), is_alpha=channels == [3])
        if text is not None:
            container.add("pixels", "stealth", text)
            return


def _decode(readable: Readable) -> Any:
    import numpy as np  # noqa: PLC0415  # most images need neither
    from PIL import Image  # noqa: PLC0415

    source = ByteSource(readable)
    if source.size > MAX_PIECE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(source.read(0, source.size)), formats=_FORMATS) as image:
                if image.width * image.height > _MOST_PIXELS or image.mode not in {"RGB", "RGBA"}:
                    return None
                return np.asarray(image)
    except _DECODING:
        return None


def _low_bits(pixels: Any, channels: list[int]) -> Any:
    """The lowest bits in the order in which they were written, as a view where that is possible."""
    return pixels[:, :, channels].transpose(1, 0, 2)


def _read_bits(low: Any, *, is_alpha: bool) -> str | None:
    import numpy as np  # noqa: PLC0415

    columns = -(-_HEAD_BITS // (low.shape[1] * low.shape[2]))
    head = np.packbits(low[:columns].reshape(-1)[:_HEAD_BITS] & 1).tobytes()
    kind = _MARKS.get(head[:_MARK_BYTES])
    if kind is None or kind[0] != is_alpha:
        return None
    length = min(int.from_bytes(head[_MARK_BYTES:], "big"), low.size - _HEAD_BITS, MAX_TEXT_BYTES * 8)
    bits = (low.reshape(-1)[_HEAD_BITS : _HEAD_BITS + length]) & 1
    data = np.packbits(bits).tobytes()
    return decode_text(unpack_text(data)[0] if kind[1] else data)
