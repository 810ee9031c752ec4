"""Thumbnails: small pictures of outputs, made when they are first looked at and kept by the digest of the output.

Two sizes; the small one is cut from the large one. They are a cache in the user's cache folder.
"""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stablenew.disk.atomic_file import replace_cached
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import StableNewError, UndecodableImage, WriteFailed
from stablenew.formats.digest import digest_bytes
from stablenew.formats.image_files import MAX_IMAGE_BYTES, open_image, to_8_bit
from stablenew.recording.side_channel import attempt
from stablenew.store.local_state import cache_folder

if TYPE_CHECKING:
    from PIL.Image import Image

SMALL: Final = 320
LARGE: Final = 1024
SIZES: Final = (SMALL, LARGE)
"""The longest side, in pixels."""
MAX_BYTES: Final = MAX_IMAGE_BYTES
_WORKERS: Final = 2
_TURNS: Final = 16
_QUALITY: Final = 80
_METHOD: Final = 2


class NoPicture(StableNewError, ValueError):
    """An output of which no thumbnail can be made; the message says why."""


class ThumbnailCache:
    """Makes and keeps thumbnails. A few at a time, so that a wall of new images does not take the machine."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "thumbnails"
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="stablenew-thumbnail")
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def close(self) -> None:
        """Stop making thumbnails."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def path(self, digest: str, size: int) -> Path:
        """Where a thumbnail is, or would be."""
        name = digest.partition(":")[2]
        return self._folder / name[:2] / f"{name}_{size}.webp"

    def get(self, digest: str, size: int, read: Callable[[], bytes]) -> bytes:
        """The thumbnail (WebP) of the output with this digest; `read` gives the output's bytes when they are needed.

        Raises:
            NoPicture: they are no image we know, not the image of that digest, cut off, or too large.
            OSError: they cannot be read.
        """
        kept = self._read(digest, size)
        return kept if kept is not None else self._pool.submit(self._make_once, digest, size, read).result()

    def _read(self, digest: str, size: int) -> bytes | None:
        try:
            return self.path(digest, size).read_bytes()
        except OSError:
            return None

    def _make_once(self, digest: str, size: int, read: Callable[[], bytes]) -> bytes:
        """Pages may ask for both sizes of one image at once; the second finds what the first has made."""
        with self._turns[int(digest[-2:], 16) % len(self._turns)]:
            kept = self._read(digest, size)
            return kept if kept is not None else self._make(digest, size, read())

    def _make(self, digest: str, size: int, data: bytes) -> bytes:
        if digest_bytes(data) != digest:
            raise NoPicture("the file is not the one that was recorded")
        made = make_thumbnails(data)
        for side, picture in made.items():
            self._keep(self.path(digest, side), picture)
        return made[size]

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            make_private_folder(path.parent)
            replace_cached(path, data)
        except (WriteFailed, OSError):
            return  # a cache that cannot be written only costs time


def make_thumbnails(data: bytes) -> dict[int, bytes]:
    """WebP pictures of an image by size. A smaller image is not enlarged.

    Raises:
        NoPicture: it is no image we know, cut off, or too large.
    """
    try:
        with open_image(data) as image:
            large = _fit(_upright(to_8_bit(image)), LARGE)
    except UndecodableImage as error:
        raise NoPicture(f"it cannot be decoded: {error}") from None
    return {LARGE: _encode(large), SMALL: _encode(_fit(large, SMALL))}


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
    return fitted.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _encode(image: "Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=_METHOD)
    return buffer.getvalue()
