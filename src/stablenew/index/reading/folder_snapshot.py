"""Detecting whether a run folder changed, without reading its files.

The folder signature (times and inode of the folder) changes with every file that is added, removed or renamed into
place. The file signature also changes with files that were written in place. Both are taken before anything is read,
so the next snapshot detects a change that happens during the reading.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import xxhash

from stablenew.disk.folder_signature import POSITIVE, folder_signature, inode_of
from stablenew.disk.regular_file import read_with_status, status_of
from stablenew.store.run_folder import OUTPUTS, SEAL

UNREADABLE: Final = 0
"""The file signature of a folder that cannot be listed."""
_LASTING_ERRORS: Final = {errno.EFBIG, errno.ELOOP}
"""What is too large, or a link, stays so until it changes, which its signature shows."""


@dataclass(slots=True)
class FolderSnapshot:
    """The content of a run folder at one moment, by names and times."""

    folder_signature: int
    file_signature: int
    names: set[str]
    """The regular files in the folder itself."""
    newest_ns: int
    contents: dict[str, bytes | OSError] = field(default_factory=dict[str, bytes | OSError])
    """The bytes of the files that were to be read, or the error of reading them."""

    def is_whole(self) -> bool:
        """Whether every file that was to be read was read, or will never be readable."""
        return not any(
            isinstance(data, OSError) and data.errno not in _LASTING_ERRORS for data in self.contents.values()
        )


def mark_unread(file_signature: int) -> int:
    """The same signature, marked: some of the files could not be read, which may be possible a moment later."""
    return ~file_signature


def is_marked_unread(file_signature: int) -> bool:
    """Whether the signature was marked by `mark_unread`."""
    return file_signature < 0


def root_signature(root: Path) -> int:
    """A number that changes when a run folder is added or removed; 0 when there is no store."""
    try:
        return folder_signature(os.stat(root))
    except OSError:
        return 0


def take_snapshot(path: str, max_bytes_of: Callable[[str], int] = lambda _: 0) -> FolderSnapshot:
    """A snapshot of the run folder at `path`, with the content of files for which `max_bytes_of` returns more than 0.

    The outputs of a sealed run never change, so only the times of their folder are compared; `verify` detects damage
    inside them.

    Raises:
        OSError: there is no such folder.
    """
    status = os.stat(path, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(path)
    snapshot = FolderSnapshot(folder_signature(status), 0, set(), status.st_mtime_ns)
    outputs: os.DirEntry[str] | None = None
    parts: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                name = entry.name
                file = _examine_file(entry, max_bytes_of(name), snapshot.contents)
                if file is not None:
                    snapshot.names.add(name)
                    snapshot.newest_ns = max(snapshot.newest_ns, file.st_mtime_ns)
                    parts.append(f"{name}/{file.st_size}/{file.st_mtime_ns}/{inode_of(file)}")
            elif entry.name == OUTPUTS and entry.is_dir(follow_symlinks=False):
                outputs = entry
    if outputs is not None:
        parts += _describe_outputs(outputs, is_sealed=SEAL in snapshot.names)
    parts.sort()
    snapshot.file_signature = xxhash.xxh3_64_intdigest("\n".join(parts).encode("utf-8", "surrogateescape")) & POSITIVE
    return snapshot


def _examine_file(
    entry: os.DirEntry[str], max_bytes: int, contents: dict[str, bytes | OSError]
) -> os.stat_result | None:
    """The status of a listed file, which is read where wanted; None when it has disappeared since."""
    if max_bytes:
        try:
            contents[entry.name], status = read_with_status(entry.path, max_bytes)
        except OSError as error:
            contents[entry.name] = error
        else:
            return status
    return status_of(entry)


def _describe_outputs(folder: os.DirEntry[str], *, is_sealed: bool) -> list[str]:
    """What the signature covers of the outputs: for a sealed run the folder itself, else every file with its size."""
    if is_sealed:
        return [f"{OUTPUTS}/{folder_signature(folder.stat(follow_symlinks=False))}"]
    with os.scandir(folder.path) as entries:
        found = [(entry.name, status_of(entry)) for entry in entries]
    return [f"{OUTPUTS}/{name}/{file.st_size}" for name, file in found if file is not None]
