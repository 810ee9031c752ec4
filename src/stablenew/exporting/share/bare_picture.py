"""Pictures that carry nothing but what can be seen: no metadata, and no text hidden in the pixels."""

import io
import struct
from typing import TYPE_CHECKING, Final

from stablenew.formats.image_files import open_image, to_8_bit

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL: Final = 320
_QUALITY: Final = 90
_THUMBNAIL_QUALITY: Final = 80
_DAMAGED: Final = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    ArithmeticError,
    AttributeError,
    OSError,
    struct.error,
)
"""What Pillow raises for damaged EXIF."""


def read_bare(data: bytes) -> "Image":
    """What is to be seen of an image, in red, green and blue. Where it is transparent it is white.

    Raises:
        UndecodableImage: it is damaged, or not an image of a known format.
    """
    from PIL import Image  # noqa: PLC0415

    with open_image(data) as opened:
        image = _upright(to_8_bit(opened)).convert("RGBA")
        plain = Image.new("RGB", image.size, "white")
        plain.paste(image, mask=image.getchannel("A").point(_round_alpha))
        return plain


def _upright(image: "Image") -> "Image":
    """`image` turned as its EXIF orientation says; one whose EXIF is damaged stays as it is."""
    from PIL import ImageOps  # noqa: PLC0415

    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:
        return image


def _round_alpha(alpha: float) -> float:
    """Without the last bit, in which text is hidden."""
    return 255 if alpha >= 254 else int(alpha) & ~1


def encode_bare(image: "Image") -> bytes:
    """It as WebP; what is hidden in the last bits of its colours does not survive."""
    return _encode(image, _QUALITY)


def encode_thumbnail(image: "Image") -> bytes:
    """A small one of it, 320 pixels long at most, as WebP."""
    from PIL import Image  # noqa: PLC0415

    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return _encode(small, _THUMBNAIL_QUALITY)


def _encode(image: "Image", quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()
