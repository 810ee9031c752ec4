"""An image with its reference, ready to be recorded: digest, path and size follow from its bytes."""

import io
import re
from collections.abc import Iterable
from typing import Any, Final

from stablenew.formats.digest import digest_bytes, is_digest
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.image_files import DECODERS
from stablenew.formats.media_type import sniff_media_type
from stablenew.formats.model_base import MEDIA_TYPE_PATTERN
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.odd_values import read_seed
from stablenew.recording.side_channel import attempt
from stablenew.store.run_folder import output_name

_MEDIA_TYPE: Final = re.compile(MEDIA_TYPE_PATTERN.replace("$", r"\Z"))
_LONGEST_MEDIA_TYPE: Final = 127


def build_image(
    data: bytes,
    *,
    variant: int,
    stage: str,
    number: int,
    media_type: str | None = None,
    size: tuple[int, int] | None = None,
    seed: int | str | None = None,
    role: str | None = None,
    pixel_digest: str | None = None,
    parents: Iterable[str] = (),
    node: str | None = None,
) -> GeneratedImage:
    """The image with its reference. Facts that cannot be true are left out: an image is always kept.

    Without a `media_type` or a `size` these are read from the bytes.
    """
    is_named = isinstance(media_type, str) and len(media_type) <= _LONGEST_MEDIA_TYPE and _MEDIA_TYPE.match(media_type)
    media_type = media_type if is_named and media_type else sniff_media_type(data)
    digest = digest_bytes(data)
    width, height = size if _is_size(size) and size else read_size(data)
    fields: dict[str, JsonValue] = {
        "path": output_name(variant, stage, number, digest, media_type),
        "digest": digest,
        "size_bytes": len(data),
        "media_type": media_type,
        "width": width,
        "height": height,
        "stage": stage,
        "role": role,
        "seed": _whole_seed(seed),
        "node": node,
        "pixel_digest": pixel_digest,
        "parents": [parent for parent in parents if is_digest(parent)] or None,
    }
    known = {key: value for key, value in fields.items() if value is not None}
    return GeneratedImage(data, OutputReference.model_validate(known))


def _whole_seed(seed: Any) -> JsonValue:
    found, _ = attempt(read_seed, seed)
    return found if isinstance(found, (int, str)) else None


def _is_size(size: Any) -> bool:
    return isinstance(size, tuple) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)


def read_size(data: bytes) -> tuple[int | None, int | None]:
    """Width and height from the head of an image file, without decoding it; None where they cannot be read."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    size, _ = attempt(_read_size, data)  # decoders raise anything for a damaged file
    return size or (None, None)


def _read_size(data: bytes) -> tuple[int, int]:
    import warnings  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=tuple(DECODERS.values())) as image:
            return image.size
