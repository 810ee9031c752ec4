"""How to tell whether a run folder changed, without reading its files.

The folder signature (times and inode of the folder) shows every file that came, went, or was renamed into place. The
file signature also shows what was written in place. Both are taken before anything is read, so that a change during
the reading is seen by the next look.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import xxhash

from stablenew.disk.folder_signature import folder_signature, inode_of
from stablenew.disk.regular_file import read_with_status, status_of
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
    contents: dict[str, bytes | OSError] = field(default_factory=dict[str, bytes | OSError])
    """What the files hold that were to be read, or why they could not be."""


def root_signature(root: Path) -> int:
    """One number that is another one when a run folder came or went; 0 when there is no store."""
    try:
        return folder_signature(os.stat(root))
    except OSError:
        return 0


def look_into(path: str, max_bytes_of: Callable[[str], int] = lambda _: 0) -> FolderLook:
    """What is in the run folder at `path`; files for which `max_bytes_of` gives a number other than 0 are read too.

    The outputs of a sealed run never change, so only their folder is looked at; `verify` finds what may have happened
    inside them.

    Raises:
        OSError: there is no such folder.
    """
    status = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(path)
    look = FolderLook(folder_signature(status), 0, set(), status.st_mtime_ns)
    outputs: os.DirEntry[str] | None = None
    parts: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                name = entry.name
                file = _take_file(entry, max_bytes_of(name), look.contents)
                if file is not None:
                    look.names.add(name)
                    look.newest_ns = max(look.newest_ns, file.st_mtime_ns)
                    parts.append(f"{name}/{file.st_size}/{file.st_mtime_ns}/{inode_of(file)}")
            elif entry.name == OUTPUTS and entry.is_dir(follow_symlinks=False):
                outputs = entry
    if outputs is not None:
        parts += _describe_outputs(outputs, is_sealed=SEAL in look.names)
    parts.sort()
    look.file_signature = xxhash.xxh3_64_intdigest("\n".join(parts).encode("utf-8", "surrogateescape")) & _POSITIVE
    return look


def _take_file(entry: os.DirEntry[str], max_bytes: int, contents: dict[str, bytes | OSError]) -> os.stat_result | None:
    """What is known of a listed file, read if it is to be; None when it is gone since."""
    if max_bytes:
        try:
            contents[entry.name], status = read_with_status(entry.path, max_bytes)
        except OSError as error:
            contents[entry.name] = error
        else:
            return status
    return status_of(entry)


def _describe_outputs(folder: os.DirEntry[str], *, is_sealed: bool) -> list[str]:
    """What tells whether the outputs changed: for a sealed run the folder itself, else every file with its size."""
    if is_sealed:
        return [f"{OUTPUTS}/{folder_signature(folder.stat(follow_symlinks=False))}"]
    with os.scandir(folder.path) as entries:
        found = [(one.name, status_of(one)) for one in entries]
    return [f"{OUTPUTS}/{name}/{file.st_size}" for name, file in found if file is not None]
