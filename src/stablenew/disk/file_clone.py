"""Clones: copies that share their bytes on the disk until one of the two is written, where the file system has them."""

import sys
import tempfile
from typing import Final

from stablenew.disk.regular_file import StrPath, open_regular

_FICLONE: Final = 0x40049409


def clone_into(descriptor: int, source: StrPath) -> bool:
    """Make an empty open file a clone of `source`; False where it cannot be done, and nothing was written.

    Linux only: btrfs, xfs, bcachefs, zfs.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415

    try:
        with open_regular(source) as file:
            fcntl.ioctl(descriptor, _FICLONE, file.fileno())
    except OSError:
        return False
    return True


def can_clone(source: StrPath, folder: StrPath) -> bool:
    """Whether clones of `source` can be made in `folder`, found out by making one."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return clone_into(file.fileno(), source)
    except OSError:
        return False
