"""Detecting that a file was created, deleted or renamed in a folder, without reading anything."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import Final

YOUNG_NS: Final = 2_000_000_000
"""A file that changed so recently may change again within the same tick of the file system's clock."""
POSITIVE: Final = (1 << 63) - 1
"""Masks a hash to a number that SQLite and JSON readers with signed integers can hold."""
_KNOWS_INODES: Final = os.name != "nt"


def folder_signature(status: os.stat_result) -> int:
    """A number that changes whenever the folder's own list of files changes."""
    return hash((status.st_mtime_ns, status.st_ctime_ns, inode_of(status))) & POSITIVE


def inode_of(status: os.stat_result) -> int:
    """The inode; 0 on Windows, which reports it for a path but not for a directory entry."""
    return status.st_ino if _KNOWS_INODES else 0


@contextlib.contextmanager
def looking_into(root: str) -> Iterator[Callable[[str], os.stat_result]]:
    """`lstat` for names in `root`: relative to an open folder it takes two thirds of the time."""
    if os.stat not in os.supports_dir_fd:
        yield lambda name: os.lstat(os.path.join(root, name))
        return
    folder = os.open(root, os.O_RDONLY)
    try:
        yield functools.partial(os.stat, dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(folder)
