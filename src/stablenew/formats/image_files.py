"""Image files opened by Pillow, with limits that keep a hostile one from taking the machine's memory.

The limits are those of a picture, up to 200 megapixels. What surrounds the pixels, such as a workflow of megabytes in a
text chunk or broken EXIF data, is no reason to refuse one.
"""

import contextlib
import io
import struct
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import xxhash

from stablenew.errors import ImageTooLarge, StableNewError, UndecodableImage
from stablenew.formats.digest import PREFIX

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS: Final = 200_000_000
"""An image with more is not decoded."""
MAX_IMAGE_BYTES: Final = 1 << 30
"""A file that is longer is not decoded."""
DECODERS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
}
"""Media types that are decoded here, and Pillow's name for each."""
_LARGE_PIXELS: Final = 40_000_000
_LARGE: Final = threading.Lock()
"""Held while a large image is open: several at once would take gigabytes."""
_BAND_ROWS: Final = 512
_PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT: Final = {b"tEXt", b"zTXt", b"iTXt"}
_DEFLATE_RATIO: Final = 1032
"""The most that a byte of deflated data can expand to."""


@contextlib.contextmanager
def open_image(data: bytes) -> "Iterator[Image]":
    """The image in `data`, opened and not yet decoded. Whatever a decoder raises in the block becomes UndecodableImage.

    Raises:
        UndecodableImage: no image of a known format, or damaged.
        ImageTooLarge: it has more than 200 million pixels.
    """
    try:
        with _quiet(), contextlib.ExitStack() as stack:
            image = stack.enter_context(_open(data))
            if _count_pixels(image) > _LARGE_PIXELS:
                stack.enter_context(_LARGE)
            yield image
    except StableNewError:
        raise
    except Exception as error:  # decoders raise anything, AssertionError and MemoryError too
        raise UndecodableImage(str(error) or type(error).__name__) from error


def _count_pixels(image: "Image") -> int:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageTooLarge(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS:,}")
    return pixels


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: damaged metadata does not make an image undecodable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(data: bytes) -> "Image":
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    data = _without_text(data)
    _check_expansion(data)
    try:
        return _open_within(data, MAX_PIXELS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge(f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:  # its text is the address of a buffer
        raise UndecodableImage("no image of a known format") from None


def _open_within(data: bytes, pixels: int) -> "Image":
    """Open an image of at most that many pixels. Pillow's own limit is lower, and one for the whole process."""
    from PIL import Image  # noqa: PLC0415

    formats = tuple(DECODERS.values())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        with _LARGE, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pixels
            try:
                return Image.open(io.BytesIO(data), formats=formats)
            finally:
                Image.MAX_IMAGE_PIXELS = before


def _without_text(data: bytes) -> bytes:
    """A PNG without its text chunks, which Pillow decompresses and refuses beyond a megabyte; other data as it is."""
    if not data.startswith(_PNG_HEAD) or not any(name in data for name in _PNG_TEXT):
        return data
    parts, view = [_PNG_HEAD], memoryview(data)
    start = len(_PNG_HEAD)
    while start + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if name not in _PNG_TEXT:
            parts.append(view[start:end])  # type: ignore[arg-type]  # joined like bytes
        start = end
    return b"".join(parts)


def _check_expansion(data: bytes) -> None:
    """Refuse a PNG that is too short to hold the pixels that it announces, before memory is taken for them."""
    if not data.startswith(_PNG_HEAD) or data[12:16] != b"IHDR" or len(data) < len(_PNG_HEAD) + 25:
        return
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    if height * (width * channels * depth // 8) > len(data) * _DEFLATE_RATIO:
        raise UndecodableImage(f"{len(data):,} bytes cannot hold {width}x{height} pixels")


class DecodedImage(NamedTuple):
    """What the pixels of an image are."""

    width: int
    height: int
    pixel_digests: tuple[str, ...]
    """The pixel digest; then, where programs before version 1.0 was frozen computed another one, that one."""


def decode_image(data: bytes) -> DecodedImage:
    """Size and pixel digests of an image.

    Raises:
        UndecodableImage, ImageTooLarge: see `open_image`; also when it is cut off.
    """
    with open_image(data) as image:
        image.load()
        modes = dict.fromkeys((_digested_mode(image), "RGB"))
        return DecodedImage(image.width, image.height, tuple(_digest_as(image, mode) for mode in modes))


def digest_pixels(image: "Image") -> str:
    """The pixel digest: over the 8-bit RGB rows, or for one channel of more than 8 bits over its 32-bit samples."""
    return _digest_as(image, _digested_mode(image))


def _digested_mode(image: "Image") -> str:
    return "F" if image.mode == "F" else "I" if image.mode.startswith("I") else "RGB"


def _digest_as(image: "Image", mode: str) -> str:
    hashes = xxhash.xxh3_128()
    for top in range(0, image.height, _BAND_ROWS):  # by bands: RGB of a large image is more than half a gigabyte
        band = image.crop((0, top, image.width, min(top + _BAND_ROWS, image.height)))
        hashes.update(band.convert(mode).tobytes())
    return PREFIX + hashes.hexdigest()


def to_8_bit(image: "Image") -> "Image":
    """`image` to look at: one channel of more than 8 bits scaled to 8, where Pillow would cut off what is brighter."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = image.convert("F")
    lowest, highest = map(float, values.getextrema())  # type: ignore[arg-type]  # two numbers for one channel
    if image.mode.startswith("I;16") or (image.mode == "I" and lowest >= 0 and 255 < highest < 1 << 16):
        lowest, highest = 0.0, 65535.0
    elif lowest >= 0 and highest <= 255:
        lowest, highest = 0.0, 1.0 if image.mode == "F" and highest <= 1 else 255.0
    scale = 255 / (highest - lowest) if highest > lowest else 0
    return values.point(lambda value: value * scale - lowest * scale).convert("L")
