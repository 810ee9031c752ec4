"""Images in memory as image files, without loss: Pillow images of every mode, arrays, tensors."""

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.formats.image_files import digest_pixels

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_TIFF_MODES: Final = frozenset({"CMYK", "F", "I", "LAB", "YCbCr", "I;16B"})
_NEAREST_MODES: Final = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "HSV": "RGB"}
"""For modes that no file format has. All but `HSV` and premultiplied alpha keep every sample."""
_PNG_LEVEL: Final = 4
_CHANNELS: Final = (1, 2, 3, 4)
_MODES_BY_CHANNELS: Final = {2: "LA", 3: "RGB", 4: "RGBA"}
_PNG_COLOUR_TYPES: Final = {3: 2, 4: 6}
_LARGEST_FILE: Final = 1 << 30
_TOLERANCE: Final = 1e-3


def encode_pillow(image: "Image") -> tuple[bytes, str | None]:
    """The bytes of an image file with everything that `image` has, and the digest of its pixels.

    An image that was opened from a file and not changed is that file, byte for byte. Any other is written without loss,
    with its frames, orientation, colour profile and text chunks: as PNG, or as TIFF where PNG has no such samples.
    """
    unchanged = _read_unchanged(image)
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)  # the one that a reader of the file sees first
    elif image.mode in _NEAREST_MODES:
        image = _convert(image, _NEAREST_MODES[image.mode])
    pixel_digest = digest_pixels(image)
    if unchanged is not None:
        return unchanged, pixel_digest
    buffer = io.BytesIO()
    if image.mode in _TIFF_MODES:
        image.save(buffer, "TIFF", compression="tiff_lzw" if image.mode == "CMYK" else None)
    elif image.mode in _PNG_MODES:
        image.save(buffer, "PNG", compress_level=_PNG_LEVEL, **_png_options(image))
    else:  # a mode of raw samples, such as `I;16L` or `BGR;15`
        image.convert("RGB").save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue(), pixel_digest


def _read_unchanged(image: "Image") -> bytes | None:
    """The bytes of the file that `image` was opened from, if the image is still what is in the file."""
    from PIL import Image  # noqa: PLC0415

    name = getattr(image, "filename", "")
    if not name or not isinstance(name, (str, Path)):
        return None
    try:
        if Path(name).stat().st_size > _LARGEST_FILE:
            return None
        data = Path(name).read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            if hasattr(image, "tell"):
                opened.seek(image.tell())
            is_same = (opened.mode, opened.size, opened.getpalette()) == (image.mode, image.size, image.getpalette())
            is_same = is_same and opened.info.keys() == image.info.keys() and opened.tobytes() == image.tobytes()
    except (OSError, ValueError, SyntaxError, EOFError):
        return None
    return data if is_same else None


def _convert(image: "Image", mode: str) -> "Image":
    converted = image.convert(mode)
    converted.info = dict(image.info)
    return converted


def _png_options(image: "Image") -> dict[str, Any]:
    """What a PNG keeps beside the pixels."""
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

    texts = PngInfo()
    for name, text in {**image.info, **getattr(image, "text", {})}.items():
        if isinstance(name, str) and isinstance(text, str) and 0 < len(name) < 80 and name.isascii():
            texts.add_itxt(name, text)
    options: dict[str, Any] = {"pnginfo": texts}
    exif = image.getexif()
    if exif:
        options["exif"] = exif.tobytes()
    if getattr(image, "n_frames", 1) > 1 and image.mode != "I;16":
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


def to_array(image: Any) -> "np.ndarray[Any, Any]":
    """An array of NumPy with what `image` holds: a tensor of any device, or anything NumPy understands.

    Raises:
        ValueError: it holds no numbers.
    """
    import numpy as np  # noqa: PLC0415

    if hasattr(image, "detach"):
        image = image.detach().cpu()
        if "bfloat" in str(image.dtype):  # NumPy has no such type
            image = image.float()
        image = image.numpy()
    array = np.asarray(image)
    if array.dtype.hasobject:
        raise ValueError(f"expected an array of numbers, found one of {array.dtype}")
    return array


def encode_numbers(array: "np.ndarray[Any, Any]") -> bytes:
    """An array of numbers of any kind as a file of NumPy (NPY). Raises ValueError: it is no image."""
    import numpy as np  # noqa: PLC0415

    if array.ndim < 2 or not array.size or array.dtype.kind not in "buifcV":
        raise ValueError(f"expected numbers in rows, found the shape {array.shape}")
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def split_batch(array: "np.ndarray[Any, Any]") -> list["np.ndarray[Any, Any]"]:
    """The images in an array: its first axis counts them if there are four axes, or more around a batch."""
    if array.ndim <= 3:  # height, width, channels
        return [array]
    return [image for part in array for image in split_batch(part)]


def encode_array(array: "np.ndarray[Any, Any]", *, channels_first: bool = False) -> tuple[bytes, str | None]:
    """The bytes of an image file with the samples of `array`, and the digest of its pixels.

    Axes are height and width, with channels last or first; `channels_first` decides where both are possible. Integers
    are samples of 8 or 16 bits; floats and booleans from 0 to 1 become 8 bits. A single channel of anything else is
    kept as it is, as a map of numbers.

    Raises:
        ValueError: no image has this shape, or such values.
    """
    from PIL import Image  # noqa: PLC0415

    if array.dtype.kind not in "buif":
        raise ValueError(f"expected an array of numbers, found one of {array.dtype}")
    plane = _channels_last(array, channels_first=channels_first)
    samples = _to_samples(plane)
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if samples.dtype.itemsize == 2 and channels > 1:  # 16 bits, which Pillow has in one channel only
        if channels not in _PNG_COLOUR_TYPES:
            raise ValueError(f"expected 1, 3 or 4 channels of 16 bits, found {channels}")
        return _encode_deep_png(samples, _PNG_COLOUR_TYPES[channels]), None
    image = Image.fromarray(samples)
    if channels > 1 and image.mode != _MODES_BY_CHANNELS[channels]:
        raise ValueError(f"no image has {channels} channels of {samples.dtype}")
    return encode_pillow(image)


def _channels_last(array: "np.ndarray[Any, Any]", *, channels_first: bool) -> "np.ndarray[Any, Any]":
    """`array` as height, width and, if there are several, channels."""
    import numpy as np  # noqa: PLC0415

    if array.ndim not in {2, 3} or 0 in array.shape:
        raise ValueError(f"expected an image of height, width and channels, found the shape {array.shape}")
    if array.ndim == 2:
        return array
    can_be_last, can_be_first = array.shape[2] in _CHANNELS, array.shape[0] in _CHANNELS
    if not (can_be_last or can_be_first):
        raise ValueError(f"expected an image of 1 to 4 channels, found the shape {array.shape}")
    if can_be_first and (channels_first or not can_be_last):
        array = array.transpose(1, 2, 0)
    return np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array)


def _to_samples(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """`array` in a type that an image file has: 8 or 16 bits, or for one channel also 32 bits."""
    import numpy as np  # noqa: PLC0415

    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    lowest, highest = float(array.min()), float(array.max())
    if array.dtype.kind == "f":
        if lowest >= -_TOLERANCE and highest <= 1 + _TOLERANCE:
            return (array.astype(np.float64) * 255).round().clip(0, 255).astype(np.uint8)
        if array.ndim == 2:
            return array.astype(np.float32)
        if not (lowest >= 0 and highest <= 255):  # also where one is no number
            raise ValueError(f"expected values of 0 to 1 or 0 to 255, found {lowest:g} to {highest:g}")
        return array.round().astype(np.uint8)
    if lowest >= 0 and highest < 1 << 8:
        return array.astype(np.uint8) if array.dtype != np.uint16 else array
    if lowest >= 0 and highest < 1 << 16:
        return array.astype(np.uint16)
    if array.ndim == 2 and lowest >= -(2**31) and highest < 2**31:
        return array.astype(np.int32)
    raise ValueError(f"expected values of 0 to 65535, found {lowest:g} to {highest:g}")


def _encode_deep_png(samples: "np.ndarray[Any, Any]", colour_type: int) -> bytes:
    """A PNG with 16 bits a channel (PNG specification, third edition, 5 and 11.2): Pillow can only read it."""
    height, width = samples.shape[:2]
    rows = samples.astype(">u2").reshape(height, -1).view("u1")
    filtered = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, _PNG_LEVEL)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
