"""Thumbnails: small pictures of outputs, made when they are first looked at and kept by the digest of the output.

Each size is cut from the next larger one. A wall asks for the small ones, and the largest costs a third of the time:
it is made when somebody looks closer. They are a cache in the user's cache folder.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import replace_cached
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import WriteFailed
from stablenew.formats.digest import digest_bytes
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.store.local_state import thumbnail_folder, thumbnail_path
from stablenew.web.pictures.picture_worker import PictureWorker
from stablenew.web.pictures.thumbnail_making import COLOUR_MARK, LARGE, MEDIUM, SMALL, NoPicture

MAX_BYTES: Final = MAX_IMAGE_BYTES
_WORKERS: Final = 2
_TURNS: Final = 16
_COLOUR_BYTES: Final = 3


class ThumbnailCache:
    """Makes and keeps thumbnails. A few at a time, so that a wall of new images does not take the machine."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or thumbnail_folder()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="stablenew-thumbnail")
        self._workers = [PictureWorker() for _ in range(_WORKERS)]
        self._free: queue.SimpleQueue[PictureWorker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def start(self, count: int = _WORKERS) -> None:
        """Start the first `count` children, so that the first thumbnails come sooner."""
        for worker in self._workers[:count]:
            worker.start()

    def close(self) -> None:
        """Stop making thumbnails."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def path(self, digest: str, size: int) -> Path:
        """Where a thumbnail is, or would be."""
        return thumbnail_path(self._folder, digest, size)

    def colour(self, digest: str) -> str | None:
        """The average colour of an output, as CSS writes it; None where it has no thumbnail yet."""
        with contextlib.suppress(OSError), self.path(digest, SMALL).open("rb") as file:
            file.seek(-len(COLOUR_MARK) - _COLOUR_BYTES, os.SEEK_END)
            mark, colour = file.read(len(COLOUR_MARK)), file.read(_COLOUR_BYTES)
            return f"#{colour.hex()}" if mark == COLOUR_MARK else None
        return None

    def get(self, digest: str, size: int, read: Callable[[], bytes]) -> bytes:
        """The thumbnail (WebP) of the output with this digest; `read` gives the output's bytes when they are needed.

        Raises:
            NoPicture: they are not an image of a known format or of that digest, are cut off, or are too many.
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
        worker = self._free.get()
        try:
            made = worker.make(data, MEDIUM if size <= MEDIUM else LARGE)
        finally:
            self._free.put(worker)
        for side, picture in made.items():
            if side == size or not self.path(digest, side).exists():
                self._keep(self.path(digest, side), picture)
        return made[size]

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            make_private_folder(path.parent)
            replace_cached(path, data)
        except (WriteFailed, OSError):
            return  # a cache that cannot be written only costs time
