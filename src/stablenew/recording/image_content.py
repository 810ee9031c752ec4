"""Images as people hand them over (bytes, files, Pillow images) as outputs ready to be recorded."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.media_type import sniff_media_type
from stablenew.formats.strict_json import JsonValue
from stablenew.store.run_folder import output_name

if TYPE_CHECKING:
    from PIL.Image import Image

ImageLike: TypeAlias = Union[bytes, str, Path, "Image"]
"""The bytes of an image file, the path of one, or a Pillow image."""


def build_image(
    data: bytes,
    *,
    variant: int,
    stage: str,
    number: int,
    media_type: str | None = None,
    size: tuple[int, int] | None = None,
    seed: int | None = None,
    role: str | None = None,
    pixel_digest: str | None = None,
    parents: Iterable[str] = (),
) -> GeneratedImage:
    """An image with its reference: digest, path and size follow from its bytes."""
    media_type = media_type or sniff_media_type(data)
    digest = digest_bytes(data)
    width, height = size or read_size(data)
    fields: dict[str, JsonValue] = {
        "path": output_name(variant, stage, number, digest, media_type),
        "digest": digest,
        "size_bytes": len(data),
        "media_type": media_type,
        "width": width,
        "height": height,
        "stage": stage,
        "role": role,
        "seed": seed,
        "pixel_digest": pixel_digest,
        "parents": list(parents) or None,
    }
    known = {key: value for key, value in fields.items() if value is not None}
    return GeneratedImage(data, OutputReference.model_validate(known))


def read_image(image: ImageLike) -> tuple[bytes, str | None]:
    """The bytes of an image file, and the digest of its pixels where they are at hand.

    A Pillow image is encoded as PNG.

    Raises:
        OSError: a path that cannot be read.
        TypeError: nothing we know as an image.
    """
    if isinstance(image, bytes):
        return image, None
    if isinstance(image, (str, Path)):
        return Path(image).read_bytes(), None
    if hasattr(image, "save") and hasattr(image, "tobytes"):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=4)
        return buffer.getvalue(), digest_bytes(image.convert("RGB").tobytes())
    raise TypeError(f"expected the bytes of an image, a path or a Pillow image, found {type(image).__name__}")


def read_size(data: bytes) -> tuple[int | None, int | None]:
    """Width and height from the head of an image file, without decoding it; None where they cannot be told."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP", "GIF", "AVIF")) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None, None
