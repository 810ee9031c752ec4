"""From the bytes of an image to its thumbnails. `python -m` runs it as a child process, see `picture_worker`."""

import io
import json
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from stablenew.errors import StableNewError, UndecodableImage
from stablenew.formats.image_files import open_image, to_8_bit
from stablenew.recording.side_channel import attempt

if TYPE_CHECKING:
    from PIL.Image import Image

SMALL: Final = 320
MEDIUM: Final = 512
LARGE: Final = 1024
SIZES: Final = (SMALL, MEDIUM, LARGE)
"""The longest side, in pixels."""
COLOUR_MARK: Final = b"avgc"
"""What stands before the average colour, three bytes at the very end of a thumbnail, where readers of WebP stop."""
LENGTH_BYTES: Final = 8
SIZE_BYTES: Final = 2
"""A request: the length of an image, the largest size wanted of it, the image."""
_QUALITY: Final = 80
_METHOD: Final = 2


class NoPicture(StableNewError, ValueError):
    """An output of which no thumbnail can be made; the message says why."""


def make_thumbnails(data: bytes, largest: int = LARGE) -> dict[int, bytes]:
    """WebP pictures of an image by size up to `largest`, each cut from the next larger.

    A smaller image is not enlarged.

    Raises:
        NoPicture: it is not an image of a known format, is cut off, or is too large.
    """
    try:
        with open_image(data) as image:
            image.draft(None, (2 * largest, 2 * largest))  # of a JPEG no more pixels are decoded than are needed
            picture = _fit(_upright(to_8_bit(image)), largest)
    except UndecodableImage as error:
        raise NoPicture(f"it cannot be decoded: {error}") from None
    pictures = {}
    for size in (size for size in reversed(SIZES) if size <= largest):
        picture = _fit(picture, size)
        pictures[size] = _encode(picture)
    colour = COLOUR_MARK + _average(picture)
    return {size: picture + colour for size, picture in pictures.items()}


def _upright(image: "Image") -> "Image":
    """`image` turned as its EXIF orientation says, as browsers show it."""
    from PIL import ImageOps  # noqa: PLC0415

    turned, _ = attempt(ImageOps.exif_transpose, image)  # damaged EXIF raises anything
    return turned or image


def _fit(image: "Image", size: int) -> "Image":
    from PIL import Image  # noqa: PLC0415

    has_alpha = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    fitted = image.convert("RGBA" if has_alpha else "RGB")
    longest = max(fitted.size)
    if longest <= size:
        return fitted
    width, height = (max(1, round(side * size / longest)) for side in fitted.size)
    # Halving is averaging: for small pictures that is as good, and takes a tenth of the time.
    gap = 2.0 if size > MEDIUM else 1.0
    return fitted.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=gap)


def _encode(image: "Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=_METHOD)
    return buffer.getvalue()


def _average(image: "Image") -> bytes:
    """The red, green and blue of the whole."""
    from PIL import Image  # noqa: PLC0415

    return image.convert("RGB").resize((1, 1), Image.Resampling.BOX).tobytes()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer images, each after its head, until there are no more: a line of JSON, then the pictures it counts."""
    while len(head := requests.read(LENGTH_BYTES + SIZE_BYTES)) == LENGTH_BYTES + SIZE_BYTES:
        made: dict[int, bytes] = {}
        says: dict[str, object] = {}
        try:
            length, largest = int.from_bytes(head[:LENGTH_BYTES]), int.from_bytes(head[LENGTH_BYTES:])
            made = make_thumbnails(requests.read(length), largest)
            says["sizes"] = {str(size): len(picture) for size, picture in made.items()}
        except NoPicture as error:
            says["error"] = str(error)
        answers.write(json.dumps(says).encode() + b"\n" + b"".join(made.values()))
        answers.flush()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    serve(sys.stdin.buffer, sys.stdout.buffer)
