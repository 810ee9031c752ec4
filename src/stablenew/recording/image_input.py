"""Images as people hand them over, read one by one: whatever is wrong with one of them spoils no other."""

import base64
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union

from stablenew.formats.media_type import UNKNOWN, sniff_media_type
from stablenew.recording.image_encoding import encode_array, encode_numbers, encode_pillow, split_batch, to_array
from stablenew.recording.side_channel import attempt, describe

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

ImageLike: TypeAlias = Union[
    bytes, bytearray, memoryview, str, "os.PathLike[str]", io.IOBase, "Image", "np.ndarray[Any, Any]"
]
"""The bytes of an image file, the path of one, an open file, a Pillow image, or an array or tensor of pixels."""

_DATA_URL: Final = "data:"
_FILE_URL: Final = "file:"
_LONGEST_PATH: Final = 4096
_DEEPEST: Final = 4
_MOST_PROBLEMS: Final = 100
"""As many images of one variant that cannot be read are named; whatever comes after them is not read."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image that was handed over: its bytes, or why there are none."""

    data: bytes | None
    pixel_digest: str | None = None
    problem: str | None = None
    """Why it could not be read."""
    note: str | None = None
    """Why it is no image file: what was given is kept as it is."""


def read_images(images: Any) -> list[ImageInput]:
    """Every image in `images`, in order: one image, or any nesting of them. Never raises.

    A batch, as an array of four axes, is its images; the result of a pipeline is what its `images` or `frames` hold.
    Pixels may stand in lists of lists of numbers.
    """
    found: list[ImageInput] = []
    problems = 0
    for image in _iter_images(images, 0):
        found.append(image)
        problems += image.problem is not None
        if problems >= _MOST_PROBLEMS:  # not images at all, and perhaps without end
            break
    return found


def _iter_images(images: Any, depth: int) -> Iterator[ImageInput]:
    if is_one_image(images):
        yield from _read_each(images)
    elif (pixels := _listed_pixels(images)) is not None:
        yield from _read_each(pixels)
    elif isinstance(images, Mapping):
        yield from _iter_parts(images.values(), depth)
    elif isinstance(images, Iterable) and depth < _DEEPEST:
        yield from _iter_parts(images, depth)
    else:
        held = next((held for name in ("images", "frames") if (held := _attribute(images, name)) is not None), None)
        if held is None:
            yield _refused("expected an image", images)
        else:
            yield from _iter_images(held, depth + 1)


def _iter_parts(images: Iterable[Any], depth: int) -> Iterator[ImageInput]:
    """The images of an iterable; one that fails on its way gives those before."""
    parts, error = attempt(iter, images)
    while parts is not None and error is None:
        part, error = attempt(next, parts)
        if error is None:
            yield from _iter_images(part, depth + 1)
    if error is not None and not isinstance(error, StopIteration):
        yield ImageInput(None, problem=f"the images could not be read to the end: {describe(error)}")


def is_one_image(value: Any) -> bool:
    """Whether `value` is something that `read_image` takes, rather than many of them."""
    if isinstance(value, (bytes, bytearray, memoryview, str, os.PathLike, ImageInput)):
        return True
    return _is_file(value) or _is_pillow(value) or _is_array(value) or _is_buffer(value)


def _read_each(value: Any) -> Iterator[ImageInput]:
    if not _is_array(value):
        yield value if isinstance(value, ImageInput) else _read_one(value)
        return
    array, error = attempt(to_array, value)
    if array is None:
        yield _refused(describe(error) if error else "", value)
        return
    for part in split_batch(array):
        encoded, error = attempt(encode_array, part, channels_first=_attribute(value, "detach") is not None)
        yield ImageInput(*encoded) if encoded else _keep_array(part, describe(error) if error else "", value)


def _listed_pixels(images: Any) -> "np.ndarray[Any, Any] | None":
    """Pixels in lists of lists of numbers, as JSON carries them, as an array; None for anything else."""
    first, depth = images, 0
    while isinstance(first, (list, tuple)) and first and depth < _DEEPEST:
        first, depth = first[0], depth + 1
    if depth == 0 or not isinstance(first, (int, float)) or isinstance(first, bool):
        return None
    array, _ = attempt(to_array, images)
    return array if array is not None and array.dtype.kind in "iuf" else None


def _keep_array(array: "np.ndarray[Any, Any]", why: str, value: Any) -> ImageInput:
    """An array that no image file can hold, such as one with values that are no numbers, as a file of NumPy."""
    data, _ = attempt(encode_numbers, array)
    return ImageInput(data, note=f"kept as an array of NumPy: {why}") if data else _refused(why, value)


def _read_one(value: Any) -> ImageInput:
    found, error = attempt(_read_image, value)
    if found is None:
        return _refused(describe(error) if error else "", value)
    data, pixel_digest = found
    return ImageInput(data, pixel_digest) if data else _refused("expected an image, found no bytes", value)


def _read_image(image: Any) -> tuple[bytes, str | None]:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _bytes_or_path(bytes(image)), None
    if isinstance(image, str):
        return _read_text(image), None
    if isinstance(image, os.PathLike):
        return _read_path(Path(os.fsdecode(image))), None
    if _is_file(image):
        return _read_file(image), None
    return encode_pillow(image) if _is_pillow(image) else (memoryview(image).tobytes(), None)


def _read_text(text: str) -> bytes:
    """The image that a text means: a path, the address of a file, or the bytes in base64, as servers answer."""
    if text.startswith(_DATA_URL):
        return base64.b64decode(text.partition(",")[2], validate=True)
    if text.startswith(_FILE_URL):
        from urllib.parse import urlsplit  # noqa: PLC0415
        from urllib.request import url2pathname  # noqa: PLC0415

        return _read_path(Path(url2pathname(urlsplit(text).path)))
    encoded, _ = attempt(base64.b64decode, text, validate=True)
    if encoded and sniff_media_type(encoded) != UNKNOWN and not Path(text[:_LONGEST_PATH]).exists():
        return encoded
    return _read_path(Path(text).expanduser())


def _bytes_or_path(data: bytes) -> bytes:
    """`data`, or where it is the path of a file as bytes, what that file holds."""
    if len(data) < _LONGEST_PATH and b"\0" not in data and sniff_media_type(data) == UNKNOWN:
        path = Path(os.fsdecode(data))
        if os.sep in str(path) and path.is_file():
            return path.read_bytes()
    return data


def _read_path(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe or device may have no end
        raise OSError(f"expected a file, found something else: {path}")
    return path.read_bytes()


def _read_file(file: Any) -> bytes:
    """All of an open file, also when its position is at the end, where writing to it left it."""
    is_seekable = hasattr(file, "seekable") and file.seekable()
    position = file.tell() if is_seekable else 0
    if is_seekable:
        file.seek(0)
    data = file.read()
    if is_seekable:
        file.seek(position)
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected a file opened for bytes, such as open(path, 'rb'); it gave {type(data).__name__}")
    return bytes(data)


def _is_file(value: Any) -> bool:
    return callable(_attribute(value, "read"))


def _is_pillow(value: Any) -> bool:
    return all(callable(_attribute(value, name)) for name in ("tobytes", "save", "getexif"))


def _is_array(value: Any) -> bool:
    if _is_file(value) or _is_pillow(value):  # a file has `detach` too
        return False
    is_tensor = callable(_attribute(value, "detach")) and _attribute(value, "shape") is not None
    return is_tensor or callable(_attribute(value, "__array__"))


def _is_buffer(value: Any) -> bool:
    """Whether it gives its bytes as they are, like an `array.array`."""
    return attempt(lambda: memoryview(value))[0] is not None


def _attribute(value: Any, name: str) -> Any:
    """An attribute; None where there is none, or getting it raises whatever."""
    return attempt(getattr, value, name, None)[0]


def _refused(why: str, value: Any) -> ImageInput:
    kind = type(value).__name__
    return ImageInput(None, problem=why if kind in why else f"{why} ({kind})")


def pixel_digest_of(image: Any) -> str | None:
    """The digest of the pixels of an image in memory; None for anything else. For finding what it was made from."""
    if not (_is_pillow(image) or _is_array(image)):
        return None
    read = next(iter(read_images(image)), None)
    return read.pixel_digest if read else None
