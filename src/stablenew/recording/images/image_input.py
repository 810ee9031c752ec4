"""Images as people hand them over, read one by one: whatever is wrong with one of them spoils no other."""

import base64
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from stablenew.formats.media_type import UNKNOWN, sniff_media_type
from stablenew.recording.images.array_encoding import encode_array, encode_numbers, split_batch, to_array, white_of
from stablenew.recording.images.pillow_encoding import EncodedImage, encode_pillow
from stablenew.recording.side_channel import attempt, describe

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

ImageLike: TypeAlias = Union[
    bytes, bytearray, memoryview, str, "os.PathLike[str]", io.IOBase, "Image", "np.ndarray[Any, Any]"
]
"""The bytes of an image file, the path of one, an open file, a Pillow image, or an array or tensor of pixels."""

_DATA_URL: Final = "data:"
_URL_SAFE: Final = str.maketrans("-_", "+/")
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
    """How the file differs from what was given, such as values that were clipped."""


def read_images(images: Any) -> list[ImageInput]:
    """Every image in `images`, in order: one image, or any nesting of them. Never raises.

    A batch, as an array of four axes, is its images; the result of a pipeline is what its `images` or `frames` hold.
    Pixels may stand in lists of lists of numbers.
    """
    found: list[ImageInput] = []
    _, error = attempt(_collect_images, images, found)
    if error is not None:  # an object that does not even say what it is
        found.append(_refused(f"expected an image: {describe(error)}", images))
    return found


def _collect_images(images: Any, found: list[ImageInput]) -> None:
    problems = 0
    for image in _iter_images(images, 0):
        found.append(image)
        problems += image.problem is not None
        if problems >= _MOST_PROBLEMS:  # not images at all, and perhaps without end
            break


def _iter_images(images: Any, depth: int) -> Iterator[ImageInput]:
    if _holds_objects(images):
        yield from _iter_parts(images.ravel().tolist(), depth)
    elif is_one_image(images):
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
    return any(is_kind(value) for is_kind in (_is_file, _is_pillow, _is_array, _is_path_like, _is_buffer))


def _read_each(value: Any) -> Iterator[ImageInput]:
    if not _is_array(value):
        yield value if isinstance(value, ImageInput) else _read_one(value)
        return
    array, error = attempt(to_array, value)
    if array is None:
        yield _refused(describe(error) if error else "", value)
        return
    is_tensor, white = _attribute(value, "detach") is not None, white_of(array)
    for part in split_batch(array):
        encoded, error = attempt(encode_array, part, channels_first=is_tensor, white=white)
        yield _taken(encoded) if encoded else _keep_array(part, describe(error) if error else "", value)


def _taken(encoded: EncodedImage) -> ImageInput:
    return ImageInput(encoded.data, encoded.pixel_digest, note=encoded.note)


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
    """An array that no image file can hold, such as one with values that are not numbers, as a file of NumPy."""
    data, _ = attempt(encode_numbers, array)
    return ImageInput(data, note=f"kept as an array of NumPy: {why}") if data else _refused(why, value)


def _read_one(value: Any) -> ImageInput:
    found, error = attempt(_read_image, value)
    if found is None:
        return _refused(describe(error) if error else "", value)
    return _taken(found) if found.data else _refused("expected an image, found no bytes", value)


def _read_image(image: Any) -> EncodedImage:
    return encode_pillow(image) if _is_pillow(image) else EncodedImage(_read_bytes(image))


def _read_bytes(image: Any) -> bytes:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _meant_by_bytes(bytes(image))
    if isinstance(image, str):
        return _read_text(image)
    if isinstance(image, os.PathLike):
        return _read_path(Path(os.fsdecode(image)))
    if _is_file(image):
        return _read_file(image)
    return bytes(image.read_bytes()) if _is_path_like(image) else memoryview(image).tobytes()


def _read_text(text: str) -> bytes:
    """The image that a text means: a path, the address of a file, or the bytes in base64, as servers answer."""
    if text.startswith(_DATA_URL):
        head, _, body = text.partition(",")
        return _decode_base64(unquote(body)) if head.endswith(";base64") else unquote_to_bytes(body)
    if text.startswith(_FILE_URL):
        from urllib.request import url2pathname  # noqa: PLC0415

        return _read_path(Path(url2pathname(urlsplit(text).path)))
    encoded = _image_in_base64(text)
    if encoded and not attempt(Path(text[:_LONGEST_PATH]).exists)[0]:
        return encoded
    return _read_path(Path(text).expanduser())


def _decode_base64(text: str) -> bytes:
    """What a text holds in base64, in any of its spellings: in lines, with `-` and `_`, and without padding."""
    packed = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)


def _image_in_base64(text: str) -> bytes | None:
    data, _ = attempt(_decode_base64, text)
    return data if data and sniff_media_type(data) != UNKNOWN else None


def _meant_by_bytes(data: bytes) -> bytes:
    """`data`, or the image that it means: by the path of its file, as bytes, or in base64."""
    if sniff_media_type(data) != UNKNOWN or not data:
        return data
    if len(data) < _LONGEST_PATH and b"\0" not in data:
        path = Path(os.fsdecode(data))
        if os.sep in str(path) and attempt(path.is_file)[0]:
            return path.read_bytes()
    text = data.decode("ascii") if data.isascii() else ""
    found, _ = attempt(_read_text, text) if text.startswith(_DATA_URL) else (_image_in_base64(text), None)
    return found or data


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
    if isinstance(value, memoryview):
        return value.ndim > 1
    is_tensor = callable(_attribute(value, "detach")) and _attribute(value, "shape") is not None
    return is_tensor or callable(_attribute(value, "__array__"))


def _is_path_like(value: Any) -> bool:
    """Whether it gives the bytes of a file that is not in the file system, like a member of a zip file."""
    return callable(_attribute(value, "read_bytes"))


def _holds_objects(value: Any) -> bool:
    """Whether it is an array of NumPy whose elements are images, or anything else, instead of numbers."""
    return _is_array(value) and _attribute(_attribute(value, "dtype"), "hasobject") is True


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
