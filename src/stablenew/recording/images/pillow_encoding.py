"""Pillow images of every mode as image files, without loss."""

import io
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stablenew.formats.image_files import decode_image, digest_pixels
from stablenew.formats.json_safe import json_safe
from stablenew.recording.side_channel import attempt, describe

if TYPE_CHECKING:
    from PIL.Image import Image

_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_TIFF_MODES: Final = frozenset({"CMYK", "F", "I", "LAB", "YCbCr", "I;16B"})
_NEAREST_MODES: Final = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "HSV": "RGB"}
"""For modes that no file format has. All but `HSV` and premultiplied alpha keep every sample."""
PNG_LEVEL: Final = 4
"""How hard PNGs are compressed: more takes longer than it saves."""
_LARGEST_FILE: Final = 1 << 30


class EncodedImage(NamedTuple):
    """An image in memory as the bytes of a file."""

    data: bytes
    pixel_digest: str | None = None
    """The digest of the pixels, where they are known."""
    note: str | None = None
    """What of the image is not in the file."""


def encode_pillow(image: "Image") -> EncodedImage:
    """The bytes of an image file with everything that `image` has, and the digest of its pixels.

    An image that was opened from a file and not changed is that file, byte for byte. Any other is written without loss,
    with its frames, orientation, colour profile and text chunks: as PNG, or as TIFF where PNG has no such samples. What
    stands beside the pixels and fits no file is left out with a note. The image is left at the frame where it was.
    """
    unchanged, _ = attempt(_read_unchanged, image)
    if unchanged is not None:
        return unchanged
    frame, _ = attempt(image.tell) if hasattr(image, "tell") else (None, None)
    encoded, error = attempt(_encode, image)
    if frame is not None:
        attempt(image.seek, frame)
    return encoded or _encode_pixels(image, describe(error) if error else "")


def _encode(image: "Image") -> EncodedImage:
    if _frame_count(image) > 1:
        image.seek(0)  # the one that a reader of the file sees first
    elif (mode := _written_mode(image.mode)) != image.mode:
        image = _convert(image, mode)
    is_palette = image.mode == "P"  # one that is too short is completed when it is read again
    pixel_digest = None if is_palette else digest_pixels(image)  # writing goes on to other frames
    data = _write_tiff(image) if image.mode in _TIFF_MODES else _write_png(image)
    return EncodedImage(data, _digest_written(data) if is_palette else pixel_digest)


def _encode_pixels(image: "Image", why: str) -> EncodedImage:
    """The current frame alone; where not even that can be decoded, the file that the image was opened from.

    Raises:
        OSError, ValueError: there is neither.
    """
    bare, error = attempt(image.copy)
    if bare is None:
        data, _ = attempt(_file_bytes, image)
        if not data:
            raise ValueError(describe(error) if error else "it has no pixels")
        return EncodedImage(data, note=f"kept as the file that it was opened from: {why}")
    bare.info = {}
    data, pixel_digest, _ = _encode(bare)
    return EncodedImage(data, pixel_digest, f"only the pixels are kept: {why}")


def _written_mode(mode: str) -> str:
    """The mode in which samples of `mode` are written."""
    if mode in _PNG_MODES | _TIFF_MODES:
        return mode
    return _NEAREST_MODES.get(mode, "I" if mode.startswith("I") else "RGB")


def _digest_written(data: bytes) -> str | None:
    decoded, _ = attempt(decode_image, data)
    return decoded.pixel_digests[0] if decoded else None


def _file_bytes(image: Any) -> bytes | None:
    """All bytes of the file that `image` was opened from; None without one. A pipe or device may have no end."""
    name = getattr(image, "filename", "")
    if name and isinstance(name, (str, Path)):
        status = Path(name).stat()
        return Path(name).read_bytes() if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST_FILE else None
    file = getattr(image, "fp", None) or getattr(image, "_fp", None)  # the second for animations
    return file.getvalue() if isinstance(file, io.BytesIO) else None


def _read_unchanged(image: "Image") -> EncodedImage | None:
    """The file that `image` was opened from, if the image is still what is in the file."""
    from PIL import Image  # noqa: PLC0415

    data = _file_bytes(image)
    if data is None:
        return None
    with Image.open(io.BytesIO(data)) as opened:
        if hasattr(image, "tell"):
            opened.seek(image.tell())
        is_same = (opened.mode, opened.size, opened.getpalette()) == (image.mode, image.size, image.getpalette())
        if not is_same or opened.info.keys() != image.info.keys() or opened.tobytes() != image.tobytes():
            return None
        if opened.tell():
            opened.seek(0)
        return EncodedImage(data, digest_pixels(opened))


def _convert(image: "Image", mode: str) -> "Image":
    converted = image.convert(mode)
    converted.info = dict(image.info)
    return converted


def _write_tiff(image: "Image") -> bytes:
    buffer = io.BytesIO()
    compression = "tiff_lzw" if image.mode == "CMYK" else None
    image.save(buffer, "TIFF", compression=compression, save_all=_frame_count(image) > 1)
    return buffer.getvalue()


def _write_png(image: "Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=PNG_LEVEL, **_png_options(image))
    return buffer.getvalue()


def _frame_count(image: Any) -> int:
    """How many frames there are; 1 where a file that is cut off does not say."""
    count, _ = attempt(getattr, image, "n_frames", 1)
    return count if isinstance(count, int) else 1


def _png_options(image: "Image") -> dict[str, Any]:
    """What a PNG keeps beside the pixels."""
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

    texts = PngInfo()
    for name, text in {**image.info, **getattr(image, "text", {})}.items():
        if isinstance(name, str) and isinstance(text, str) and 0 < len(name) < 80 and name.isascii():
            texts.add_itxt(name, json_safe(text))
    options: dict[str, Any] = {"pnginfo": texts}
    exif = image.getexif()
    if exif:
        options["exif"] = exif.tobytes()
    if _frame_count(image) > 1 and image.mode != "I;16":
        options |= {"save_all": True, "duration": _durations(image), "loop": image.info.get("loop", 0)}
    return options


def _durations(image: Any) -> list[float]:
    """How long each frame is shown, in milliseconds."""
    current, durations = image.tell(), []
    for number in range(image.n_frames):
        image.seek(number)
        durations.append(image.info.get("duration", 0))
    image.seek(current)
    return durations
