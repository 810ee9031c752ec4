"""What an import of a folder would take in, said before anything is written: from names, sizes and some metadata."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.importing.file_reading import read_metadata
from stablenew.importing.folder_walk import FolderWalk, FoundFile
from stablenew.importing.importer import IMPORTED, KNOWN, Importer, reason_to_leave, tool_of
from stablenew.importing.known_images import KnownImages
from stablenew.importing.record_building import made_at

MOST_LOOKED_AT: Final = 1_000
"""Files whose metadata is read: enough to know what a folder holds, few enough to wait for."""
_STEP: Final = 50


@dataclass(slots=True)
class ImportPreview:
    """What lies in a folder."""

    path: Path
    found: int = 0
    """Files that may be images."""
    known: int = 0
    """Files that were looked at by an earlier import."""
    size_bytes: int = 0
    """Of those that are new."""
    looked_at: int = 0
    """New files whose metadata was read: all, or some from the newest to the oldest."""
    tools: Counter[str] = field(default_factory=Counter)
    """Of those looked at, what would be taken in, by the tool that made them."""
    not_taken: Counter[str] = field(default_factory=Counter)
    """Of those looked at, what would not be, by the reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """What of the folder is not an image to take in at all."""
    oldest: str | None = None
    newest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "path": str(self.path),
            "found": self.found,
            "known": self.known,
            "new": self.found - self.known,
            "size_bytes": self.size_bytes,
            "looked_at": self.looked_at,
            "tools": dict(self.tools.most_common()),
            "not_taken": dict(self.not_taken.most_common()),
            "left_out": dict(self.left_out.most_common()),
            "oldest": self.oldest,
            "newest": self.newest,
        }


def preview_import(
    importer: Importer, folder: Path, on_progress: Callable[[int, int], object] = lambda _done, _total: None
) -> ImportPreview:
    """What `importer` would take from `folder`; nothing is written, and no file is read whole.

    Raises:
        ConfigError: see `Importer.run`.
    """
    importer.check_folder(folder)
    root = importer.find_root(folder, is_added=False)
    preview = ImportPreview(folder.resolve())
    walk = FolderWalk(root.path, preview.path)
    new: list[FoundFile] = []
    with KnownImages(importer.store) as known:
        for file in walk.files():
            preview.found += 1
            outcome = known.outcome(root.id, file)
            if outcome is None or (importer.takes_all and outcome not in (IMPORTED, KNOWN)):
                new.append(file)
                preview.size_bytes += file.size_bytes
            else:
                preview.known += 1
    preview.left_out = walk.left_out
    _look_into(importer, root.path, _choose(new), preview, on_progress)
    return preview


def _choose(files: list[FoundFile]) -> Sequence[FoundFile]:
    """All of few files; of many a fixed number, from the newest to the oldest, at equal distances."""
    files.sort(key=lambda file: file.modified_ns, reverse=True)
    if len(files) <= MOST_LOOKED_AT:
        return files
    return [files[number * len(files) // MOST_LOOKED_AT] for number in range(MOST_LOOKED_AT)]


def _look_into(
    importer: Importer,
    root: Path,
    files: Sequence[FoundFile],
    preview: ImportPreview,
    on_progress: Callable[[int, int], object],
) -> None:
    times = []
    for number, file in enumerate(files):
        if number % _STEP == 0:
            on_progress(number, len(files))
        read = read_metadata(root, file)
        reason = reason_to_leave(read, takes_all=importer.takes_all)
        preview.looked_at += 1
        if reason is not None:
            preview.not_taken[reason] += 1
            continue
        preview.tools[tool_of(read)] += 1
        times.append(made_at(read))
    if times:
        preview.oldest, preview.newest = min(times), max(times)
    on_progress(len(files), len(files))
