"""Files that somebody else may have written: regular files only, links are never followed.

Paths may be strings as well as `Path`: where hundreds of files are written a second, creating and joining `pathlib`
objects would be a third of our own work.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]


def folder_of(path: StrPath) -> str:
    """The folder of a file."""
    return os.path.dirname(path) or os.curdir


_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not wait for its other end
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


_READ_BYTES = 1 << 20


def open_regular(path: StrPath) -> BufferedReader:
    """`path` opened for reading, if it is a regular file and not a link.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: a link, folder, FIFO or device is there, or it cannot be opened.
    """
    return os.fdopen(_open(path)[0], "rb")


def _open(path: StrPath) -> tuple[int, os.stat_result]:
    """The descriptor and the status of a regular file."""
    if os.name == "nt" and Path(path).is_symlink():
        raise OSError(errno.ELOOP, "expected a regular file, found a link", str(path))
    try:
        descriptor = os.open(path, _READ)
    except ValueError as error:  # it holds a NUL or half a character, which no name does
        raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "expected a regular file, found something else", str(path))
    return descriptor, status


def read_regular(path: StrPath, max_bytes: int) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: see `open_regular`; also when it is longer than `max_bytes`.
    """
    return read_with_status(path, max_bytes)[0]


def read_with_status(path: StrPath, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """All bytes of a regular file, and its status from before they were read.

    Raises:
        OSError: see `read_regular`.
    """
    descriptor, status = _open(path)
    try:
        data = os.read(descriptor, min(status.st_size, max_bytes) + 1)
        if len(data) == status.st_size <= max_bytes:
            return data, status
        chunks = [data]  # it grew, it is too long, or the system returns it in parts
        while sum(map(len, chunks)) <= max_bytes and (data := os.read(descriptor, _READ_BYTES)):
            chunks.append(data)
    finally:
        os.close(descriptor)
    whole = b"".join(chunks)
    if len(whole) > max_bytes:
        raise OSError(errno.EFBIG, f"expected at most {max_bytes:,} bytes", str(path))
    return whole, status


def is_regular(path: StrPath) -> bool:
    """Whether a regular file, not a link, is at `path`. What cannot be examined counts as absent: for readers."""
    try:
        return is_surely_regular(path)
    except OSError:
        return False


def is_surely_regular(path: StrPath) -> bool:
    """Whether a regular file, not a link, is at `path`: for whoever writes or deletes because of the answer.

    Raises:
        OSError: it cannot be examined now, so nothing follows about what is there.
    """
    status = status_at(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def status_at(path: StrPath) -> os.stat_result | None:
    """The status of whatever is at `path`, links not followed; None when nothing is.

    Raises:
        OSError: it cannot be examined now. (`os.path.lexists` calls that absent.)
    """
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_plain_folder(path: StrPath) -> bool:
    """Whether a folder, not a link to one, is at `path`.

    Raises:
        OSError: it cannot be examined now, so nothing follows about what is there.
    """
    status = status_at(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def is_gone(path: StrPath) -> bool:
    """Whether nothing is at `path`. What cannot be examined is not gone."""
    try:
        return status_at(path) is None
    except OSError:
        return False


def status_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of a directory entry, links not followed; None when it has been deleted since."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
