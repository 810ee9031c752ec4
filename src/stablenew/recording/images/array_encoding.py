"""Arrays and tensors as image files, without loss where a file has such samples."""

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from stablenew.recording.images.pillow_encoding import PNG_LEVEL, EncodedImage, encode_pillow
from stablenew.recording.side_channel import attempt

if TYPE_CHECKING:
    import numpy as np

_CHANNELS: Final = (1, 2, 3, 4)
_MODES_BY_CHANNELS: Final = {2: "LA", 3: "RGB", 4: "RGBA"}
_PNG_COLOUR_TYPES: Final = {3: 2, 4: 6}
_TOLERANCE: Final = 1e-3
_OVERSHOOT: Final = 0.25
"""How far below black colours may be, as a part of white."""
_BRIGHTEST: Final = 2.0
"""Floats up to this have 1 as their white: with 255 they would be as good as black."""


def to_array(image: Any) -> "np.ndarray[Any, Any]":
    """An array of NumPy with what `image` holds: a tensor of any device and layout, or anything NumPy understands.

    Raises:
        ValueError: it holds no numbers.
    """
    import numpy as np  # noqa: PLC0415

    array = np.asarray(_tensor_values(image) if hasattr(image, "detach") else image)
    if array.dtype.hasobject:
        raise ValueError(f"expected an array of numbers, found one of {array.dtype}")
    return array


def _tensor_values(tensor: Any) -> Any:
    tensor = tensor.detach()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        tensor = tensor.to_dense()
    tensor = tensor.cpu()
    for name in ("resolve_conj", "resolve_neg"):
        tensor = getattr(tensor, name)() if hasattr(tensor, name) else tensor
    values, _ = attempt(tensor.numpy)
    return tensor.float().numpy() if values is None else values  # NumPy has no bfloat16, and no floats of 8 bits


def encode_numbers(array: "np.ndarray[Any, Any]") -> bytes:
    """An array of numbers of any kind as a file of NumPy (NPY). Raises ValueError: it is not an image."""
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


def white_of(array: "np.ndarray[Any, Any]") -> float:
    """The float that means white in an array, or in a batch of them: 1 or 255.

    Networks and filters overshoot, so that values a little beyond white say nothing.
    """
    return 1.0 if array.dtype.kind != "f" or not array.size or float(array.max()) <= _BRIGHTEST else 255.0


def encode_array(
    array: "np.ndarray[Any, Any]", *, channels_first: bool = False, white: float | None = None
) -> EncodedImage:
    """The bytes of an image file with the samples of `array`, and the digest of its pixels.

    Axes are height and width, with channels last or first; `channels_first` decides where both are possible. Integers
    are samples of 8 or 16 bits; floats and booleans become 8 bits, with `white` as their brightest. A single channel of
    anything else is kept as it is, as a map of numbers. What overshoots in colours is clipped, with a note.

    Raises:
        ValueError: no image has this shape, or such values.
    """
    from PIL import Image  # noqa: PLC0415

    if array.dtype.kind not in "buif":
        raise ValueError(f"expected an array of numbers, found one of {array.dtype}")
    plane = _channels_last(array, channels_first=channels_first)
    white = white_of(plane) if white is None else white
    samples = _to_samples(plane, white)
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if samples.dtype.itemsize == 2 and channels > 1:  # 16 bits, which Pillow has in one channel only
        if channels not in _PNG_COLOUR_TYPES:
            raise ValueError(f"expected 1, 3 or 4 channels of 16 bits, found {channels}")
        return EncodedImage(_encode_deep_png(samples, _PNG_COLOUR_TYPES[channels]))
    image = Image.fromarray(samples)
    if channels > 1 and image.mode != _MODES_BY_CHANNELS[channels]:
        raise ValueError(f"no image has {channels} channels of {samples.dtype}")
    note = _clipping(plane, white) if plane.dtype.kind == "f" and samples.dtype.itemsize == 1 else None
    return encode_pillow(image)._replace(note=note)


def _clipping(array: "np.ndarray[Any, Any]", white: float) -> str | None:
    """What is said of floats that do not all fit into 8 bits."""
    lowest, highest = float(array.min()), float(array.max())
    if lowest >= -_TOLERANCE * white and highest <= (1 + _TOLERANCE) * white:
        return None
    return f"values of {lowest:g} to {highest:g} were clipped to 0 to {white:g}"


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


def _to_samples(array: "np.ndarray[Any, Any]", white: float) -> "np.ndarray[Any, Any]":
    """`array` in a type that an image file has: 8 or 16 bits, or for one channel also 32 bits."""
    import numpy as np  # noqa: PLC0415

    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    lowest, highest = float(array.min()), float(array.max())
    if array.dtype.kind == "f":
        is_exact = lowest >= -_TOLERANCE and highest <= 1 + _TOLERANCE and white == 1
        if array.ndim == 2 and not is_exact:
            return array.astype(np.float32)
        brightest = _BRIGHTEST if white == 1 else (1 + _OVERSHOOT) * white
        if not (lowest >= -_OVERSHOOT * white and highest <= brightest):  # also where one is not a number
            raise ValueError(f"expected values of 0 to 1 or 0 to 255, found {lowest:g} to {highest:g}")
        return (array.astype(np.float64) * (255 / white)).round().clip(0, 255).astype(np.uint8)
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
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered, PNG_LEVEL)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
