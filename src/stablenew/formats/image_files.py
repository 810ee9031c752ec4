"""Image files opened by Pillow, with limits that keep a hostile one from taking the machine's memory."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from stablenew.formats.digest import digest_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS: Final = 40_000_000
IMAGE_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")


@contextlib.contextmanager
def open_image(data: bytes) -> "Iterator[Image]":
    """The image in `data`, opened and not yet decoded: its size is known to be bearable.

    Raises:
        OSError, ValueError, SyntaxError, Warning: it is no image of a known format, or has more than 40 million pixels.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from None
        except UnidentifiedImageError:  # its text is the address of a buffer
            raise OSError("no image of a known kind") from None
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS:,}")
            yield image


def decode_image(data: bytes) -> tuple[int, int, str]:
    """Width, height and pixel digest of an image.

    Raises:
        OSError, ValueError, SyntaxError, Warning: see `open_image`; also when it is cut off.
    """
    with open_image(data) as image:
        rgb = image.convert("RGB")
    return rgb.width, rgb.height, digest_bytes(rgb.tobytes())
