"""Reading files of a run folder that somebody else may have written: regular files only, links never followed."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not wait for its other end
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def open_regular(path: Path) -> BinaryIO:
    """`path` opened for reading, if it is a regular file and no link.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: a link, folder, FIFO or device is there, or it cannot be opened.
    """
    if os.name == "nt" and path.is_symlink():
        raise OSError(errno.ELOOP, "expected a regular file, found a link", str(path))
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "expected a regular file, found something else", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: see `open_regular`; also when it is longer than `max_bytes`.
    """
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"expected at most {max_bytes:,} bytes", str(path))
    return data


def is_regular(path: Path) -> bool:
    """Whether a regular file, and no link, is at `path`."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def is_plain_folder(path: Path) -> bool:
    """Whether a folder, and no link to one, is at `path`."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
