"""ImageFinder: from a path or hash of another program to the image in the store, and never to a wrong one."""

import contextlib
import ntpath
import os
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from stablenew.disk.regular_file import open_regular
from stablenew.errors import OutputNotFound, StableNewError
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.importing.pixel_facts import describe_pixels
from stablenew.importing.pixel_index import PixelIndex
from stablenew.importing.record_building import timestamp_of
from stablenew.importing.stars.foreign_opinion import ForeignOpinion
from stablenew.store.output_access import locate_origin
from stablenew.store.output_store import hash_file
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore

BY_PATH: Final = "path"
BY_HASH: Final = "hash"
BY_BYTES: Final = "bytes"
BY_PIXELS: Final = "pixels"


class StoredImage(NamedTuple):
    """An image of the store: the run that is told what people say of it, and what it can be found by."""

    run_id: str
    digest: str
    sha256: str | None
    size_bytes: int
    name: str


class Match(NamedTuple):
    """An image, and by what it was found."""

    image: StoredImage
    by: str


class _Place(NamedTuple):
    """What lay at a path when it was imported or recorded."""

    digest: str
    size_bytes: int
    modified_at: str | None


class ImageFinder:
    """The images of one store by all that other programs may know of them. Reads every run once."""

    def __init__(self, store: RunStore, moved: Sequence[tuple[str, str]] = ()) -> None:
        """`moved` are folders as other programs write them, and where they are now."""
        self._store = store
        self._moved = [(_plain(old).rstrip("/"), new) for old, new in moved]
        self._by_digest: dict[str, StoredImage] = {}
        self._by_path: dict[str, list[_Place]] = defaultdict(list)
        self._by_sha256: dict[str, str] = {}
        self._by_name: dict[tuple[str, int], list[str]] = defaultdict(list)
        for run in store.iter_runs_by_time():
            with contextlib.suppress(OSError, ValueError):
                self._add_run(run)

    def _add_run(self, run: Run) -> None:
        for _, output in run.iter_outputs():
            name = output.origin.name if output.origin else output.path_in_run.rpartition("/")[2]
            image = StoredImage(run.run_id, output.digest, output.sha256, output.size_bytes, name)
            self._by_digest.setdefault(output.digest, image)  # the oldest run is told
            if output.sha256:
                self._by_sha256[output.sha256] = output.digest
            self._by_name[name.casefold(), output.size_bytes].append(output.digest)
            modified_at = output.origin.modified_at if output.origin else None
            for path in self._paths_of(run, output):
                self._by_path[path].append(_Place(output.digest, output.size_bytes, modified_at))

    @staticmethod
    def _paths_of(run: Run, output: OutputReference) -> list[str]:
        if output.origin is None:
            return [_plain(os.fspath(run.path.absolute() / output.path_in_run))]
        with contextlib.suppress(OutputNotFound):
            return [_plain(os.fspath(locate_origin(run, output.origin)))]
        return []

    @property
    def image_count(self) -> int:
        """How many images there are."""
        return len(self._by_digest)

    def find(self, said: ForeignOpinion, pixels: Callable[[], PixelIndex]) -> Match | None:
        """The image that `said` is about. `pixels` is called where pixels must be asked, which takes long at first."""
        return self._find_quickly(said) or self._find_by_file(said, pixels) or self._find_by_sha512(said, pixels)

    def _find_quickly(self, said: ForeignOpinion) -> Match | None:
        if said.digest in self._by_digest:
            return Match(self._by_digest[said.digest], BY_HASH)
        if known := self._at_path(said):
            return Match(self._by_digest[known], BY_PATH)
        if said.sha256 and (known := self._by_sha256.get(said.sha256)):
            return Match(self._by_digest[known], BY_HASH)
        return None

    def _at_path(self, said: ForeignOpinion) -> str | None:
        """The image that is surely the one that was meant with a path: another may have been saved there since."""
        here = self._here(said.path)
        places = self._by_path.get(_plain(here), ())
        if not places:
            return None
        try:
            status = Path(here).stat()
        except OSError:  # it is gone; of two that were there nobody knows which one was meant
            fitting = {place.digest for place in places if self._may_be(said, place)}
        else:
            now = timestamp_of(status.st_mtime_ns)
            fitting = {
                place.digest
                for place in places
                if place.size_bytes == status.st_size and place.modified_at in (None, now) and self._may_be(said, place)
            }
        return fitting.pop() if len(fitting) == 1 else None

    def _may_be(self, said: ForeignOpinion, place: "_Place") -> bool:
        sha256 = self._by_digest[place.digest].sha256
        if said.sha256 and sha256:
            return said.sha256 == sha256
        return said.size_bytes in (None, place.size_bytes)

    def _here(self, path: str) -> str:
        """A path as it is on this machine."""
        plain = _plain(path)
        for old, new in self._moved:
            if plain == old or plain.startswith(f"{old}/"):
                return os.path.join(new, *plain[len(old) :].strip("/").split("/"))
        return path

    def _find_by_file(self, said: ForeignOpinion, pixels: Callable[[], PixelIndex]) -> Match | None:
        """By the file that is at the path now: its bytes, else its pixels."""
        path = Path(self._here(said.path))
        try:
            hashes = hash_file(path)
        except OSError:
            return None
        if hashes.digest in self._by_digest:
            return Match(self._by_digest[hashes.digest], BY_BYTES)
        try:
            with open_regular(path) as file:
                facts = describe_pixels(file.read(MAX_IMAGE_BYTES))
        except (OSError, StableNewError):
            return None
        return self._only(pixels().same_pixels(facts), said)

    def _find_by_sha512(self, said: ForeignOpinion, pixels: Callable[[], PixelIndex]) -> Match | None:
        return self._only(pixels().with_sha512(said.pixels_sha512), said) if said.pixels_sha512 else None

    def _only(self, digests: Sequence[str], said: ForeignOpinion) -> Match | None:
        """The image with these pixels. Of several, such as black ones, only one of the same name is surely meant."""
        images = [self._by_digest[digest] for digest in digests if digest in self._by_digest]
        if len(images) > 1:
            name = _plain(said.path).rpartition("/")[2].casefold()
            images = [image for image in images if image.name.casefold() == name]
        return Match(images[0], BY_PIXELS) if len(images) == 1 else None

    def suggest(self, said: ForeignOpinion) -> list[StoredImage]:
        """Images of the same name and size, which somebody may recognize."""
        if said.size_bytes is None:
            return []
        name = _plain(said.path).rpartition("/")[2].casefold()
        return [self._by_digest[digest] for digest in dict.fromkeys(self._by_name.get((name, said.size_bytes), ()))]


def _plain(path: str) -> str:
    """A path as paths are compared: `/` between names, NFC, small letters where case means nothing."""
    is_windows = "\\" in path or path[1:2] == ":"
    plain = ntpath.normpath(path).replace("\\", "/") if is_windows else posixpath.normpath(path)
    plain = unicodedata.normalize("NFC", plain)
    return plain.casefold() if is_windows or os.name == "nt" else plain
