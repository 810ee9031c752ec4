"""How to tell whether a run folder changed, without reading its files.

The folder signature (times and inode of the folder) shows every file that came, went, or was renamed into place. The
file signature also shows what was written in place. Both are taken before anything is read, so that a change during
the reading is seen by the next look.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import xxhash

from stablenew.store.folder_signature import folder_signature
from stablenew.store.regular_file import status_of
from stablenew.store.run_folder import OUTPUTS, SEAL

BARRED: Final = 0
"""The file signature of a folder that cannot be looked into."""
_POSITIVE: Final = (1 << 63) - 1


@dataclass(slots=True)
class FolderLook:
    """What is in a run folder, by its names and times."""

    folder_signature: int
    file_signature: int
    names: set[str]
    """The regular files at the top."""
    newest_ns: int


def root_signature(root: Path) -> int:
    """One number that is another one when a run folder came or went; 0 when there is no store."""
    try:
        return folder_signature(os.stat(root))
    except OSError:
        return 0


def look_into(path: str) -> FolderLook:
    """What is in the run folder at `path`.

    The outputs of a sealed run never change, so only their folder is looked at; `verify` finds what may have happened
    inside them.

    Raises:
        OSError: there is no such folder.
    """
    status = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(path)
    names: set[str] = set()
    files: list[os.DirEntry[str]] = []
    outputs: os.DirEntry[str] | None = None
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                names.add(entry.name)
                files.append(entry)
            elif entry.name == OUTPUTS and entry.is_dir(follow_symlinks=False):
                outputs = entry
    newest = status.st_mtime_ns
    parts = [] if outputs is None else _describe_outputs(outputs, is_sealed=SEAL in names)
    for entry in files:
        file = status_of(entry)
        if file is None:
            names.discard(entry.name)
            continue
        newest = max(newest, file.st_mtime_ns)
        parts.append(f"{entry.name}/{file.st_size}/{file.st_mtime_ns}/{file.st_ino}")
    parts.sort()
    digest = xxhash.xxh3_64_intdigest("\n".join(parts).encode("utf-8", "surrogateescape"))
    return FolderLook(folder_signature(status), digest & _POSITIVE, names, newest)


def _describe_outputs(folder: os.DirEntry[str], *, is_sealed: bool) -> list[str]:
    """What tells whether the outputs changed: for a sealed run the folder itself, else every file with its size."""
    if is_sealed:
        return [f"{OUTPUTS}/{folder_signature(folder.stat(follow_symlinks=False))}"]
    with os.scandir(folder.path) as entries:
        found = [(one.name, status_of(one)) for one in entries]
    return [f"{OUTPUTS}/{name}/{file.st_size}" for name, file in found if file is not None]
