"""Which files of a folder may be images to take in, and why the others are not."""

import base64
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from stablenew.store.run_folder import MARKER_FOLDER

if TYPE_CHECKING:
    from stablenew.formats.documents.output_reference import Origin  # processes that only read files need no models

IMAGE_ENDINGS: Final = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".heic", ".heif", ".jxl", ".tif", ".tiff", ".bmp"),
        *(".mp4", ".webm", ".mov", ".mkv"),
    }
)
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".download")
CACHES: Final = frozenset(
    {"thumbnails", "thumbs", "thumbnail", "cache", "caches", "__pycache__", "@eadir", "node_modules"}
)
# Windows and macOS: the bytes are in the cloud, and reading the file would download them.
_CLOUD_ATTRIBUTES: Final = 0x00400000 | 0x00040000 | 0x00001000
_CLOUD_FLAGS: Final = 0x40000000

_LATEST: Final = (1 << 63) - 1

LINK: Final = "links"
HIDDEN: Final = "hidden"
STORE: Final = "stores of StableNew"
CACHE: Final = "folders of thumbnails and caches"
OTHER: Final = "other files"
UNFINISHED: Final = "files still being written"
EMPTY: Final = "empty files"
CLOUD: Final = "files that are only in the cloud"
UNREADABLE: Final = "folders that cannot be read"


class FoundFile(NamedTuple):
    """A file that may be an image."""

    path: str
    """Beneath the root, with `/`; bytes that are not UTF-8 stand as lone surrogates."""
    size_bytes: int
    modified_ns: int


def modified_ns(status: os.stat_result) -> int:
    """When a file was changed last, in nanoseconds, as far as 64 bits go: file systems hold times of any year."""
    return max(-_LATEST, min(status.st_mtime_ns, _LATEST))


def path_of(origin: "Origin") -> str:
    """The path beneath the root, as `FoundFile` has it."""
    return os.fsdecode(base64.b64decode(origin.path_bytes)) if origin.path_bytes else origin.path


@dataclass(slots=True)
class FolderWalk:
    """One walk through the folders beneath a root. Links are never followed, and nothing is opened."""

    root: Path
    start: Path
    """Where it begins: the root or a folder in it."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many of each kind were not taken."""

    def files(self) -> Iterator[FoundFile]:
        """The files that may be images, folder by folder."""
        top = os.fspath(self.root)
        beneath = os.path.relpath(self.start, top)
        prefix = "" if beneath == os.curdir else f"{beneath.replace(os.sep, '/')}/"
        folders = [(os.fspath(self.start), prefix)]
        while folders:
            folder, prefix = folders.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                self.left_out[UNREADABLE] += 1
                continue
            if any(entry.name == MARKER_FOLDER for entry in entries):
                self.left_out[STORE] += 1
                continue
            for entry in entries:
                if entry.is_symlink():
                    self.left_out[LINK] += 1
                elif entry.name.startswith("."):
                    self.left_out[HIDDEN] += 1
                elif entry.is_dir(follow_symlinks=False):
                    if entry.name.casefold() in CACHES:
                        self.left_out[CACHE] += 1
                    else:
                        folders.append((entry.path, f"{prefix}{entry.name}/"))
                elif (found := self._look_at(entry, prefix)) is not None:
                    yield found

    def _look_at(self, entry: "os.DirEntry[str]", prefix: str) -> FoundFile | None:
        found = _look_at(entry.name, entry, prefix)
        if isinstance(found, str):
            self.left_out[found] += 1
            return None
        return found


def find_file(root: Path, path: Path) -> FoundFile | None:
    """One file beneath a root, if a walk through it would find it."""
    try:
        parts = path.relative_to(root).parts
        folders = [root.joinpath(*parts[:number]) for number in range(1, len(parts))]
    except ValueError:
        return None
    for folder in folders:
        is_left_out = folder.name.startswith(".") or folder.name.casefold() in CACHES
        if is_left_out or folder.is_symlink() or (folder / MARKER_FOLDER).exists():
            return None
    if not parts or parts[-1].startswith(".") or path.is_symlink() or not path.is_file():
        return None
    if (root / MARKER_FOLDER).exists():
        return None
    prefix = "".join(f"{part}/" for part in parts[:-1])
    found = _look_at(parts[-1], path, prefix)
    return None if isinstance(found, str) else found


class _HasStatus(Protocol):
    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result: ...


def _look_at(name: str, entry: _HasStatus, prefix: str) -> FoundFile | str:
    """The file, or the reason against it."""
    folded = name.casefold()
    if folded.endswith(_UNFINISHED):
        return UNFINISHED
    if os.path.splitext(folded)[1] not in IMAGE_ENDINGS:
        return OTHER
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return OTHER
    return _reason_against(status) or FoundFile(f"{prefix}{name}", status.st_size, modified_ns(status))


def _reason_against(status: os.stat_result) -> str | None:
    if not status.st_size:
        return EMPTY
    is_far = (
        getattr(status, "st_file_attributes", 0) & _CLOUD_ATTRIBUTES or getattr(status, "st_flags", 0) & _CLOUD_FLAGS
    )
    return CLOUD if is_far else None
