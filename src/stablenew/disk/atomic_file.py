"""Files that are there whole or not at all, and stay there after a power cut.

The order is the one that lost nothing in a replay of every block write on ext4, xfs and btrfs: write under a temporary
name in the same folder, fsync, rename, fsync the folder. Write-once and replace are two functions, because mistaking
one for the other is how data gets lost.
"""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from stablenew.disk.group_sync import Steps, file_steps, finish, finish_all, folder_steps, results_of
from stablenew.disk.regular_file import StrPath, folder_of
from stablenew.disk.temporary_name import temporary_name
from stablenew.errors import SyncFailed, WriteFailed

_BINARY = getattr(os, "O_BINARY", 0)
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | _BINARY
_BUSY_ON_WINDOWS = {5, 32, 33}  # access denied, sharing violation, lock violation: a virus scanner or an indexer
_BUSY_RETRIES = 25
_BUSY_PAUSE_SECONDS = 0.1


def write_once(path: StrPath, data: bytes) -> None:
    """Create `path` with `data`, durably.

    Raises:
        FileExistsError: something is there already; it stays as it is.
        WriteFailed: the bytes did not reach the disk; nothing is left at `path`.
    """
    _expect_none(path)
    finish(_put_in_place(path, data))


def _expect_none(path: StrPath) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "expected no file, found one; it was left as it is", os.fspath(path))


def replace_file(path: StrPath, data: bytes) -> None:
    """Put `data` in the place of whatever `path` was, durably and in one step: a reader sees the old or the new.

    Raises:
        WriteFailed: the bytes did not reach the disk; the old file is unharmed.
    """
    finish(replace_file_steps(path, data))


def replace_file_steps(path: StrPath, data: bytes) -> Steps[None]:
    """As `replace_file`, for `finish_all`."""
    return _put_in_place(path, data)


def replace_cached(path: StrPath, data: bytes) -> None:
    """As `replace_file`, without waiting for the disk: for caches, which a power cut may take.

    Raises:
        WriteFailed: the bytes could not be written; the old file is unharmed.
    """
    replace_cached_by(path, lambda file: file.write(data))


def replace_cached_by(path: StrPath, write: Callable[[BinaryIO], object]) -> None:
    """As `replace_cached`, for bytes that are not there in one piece: `write` puts them into the file it is given.

    Raises:
        WriteFailed: the bytes could not be written; the old file is unharmed.
    """
    with naming_failures(path), new_file(path) as new:
        with os.fdopen(new.descriptor, "wb", closefd=False) as file:
            write(file)
        new.move_to(path)


def _put_in_place(path: StrPath, data: bytes) -> Steps[None]:
    with naming_failures(path), new_file(path) as new:
        write_all(new.descriptor, data)
        yield from file_steps(new.descriptor)
        new.move_to(path)
    yield from sync_folder_steps(folder_of(path))


class NewFile:
    """A file under a temporary name, open for writing until it is closed or moved to its own."""

    def __init__(self, path: StrPath) -> None:
        folder, name = os.path.split(path)
        self._path = os.path.join(folder, temporary_name(name, secrets.token_hex(4)))
        self.descriptor = os.open(self._path, _CREATE, 0o666)
        self._is_open = True

    def move_to(self, path: StrPath) -> None:
        """Give it its name, in the place of whatever had it."""
        self._close()
        rename(self._path, path)

    def _close(self) -> None:
        """Once only: by then the number of the descriptor may be that of another thread's file."""
        if self._is_open:
            self._is_open = False
            os.close(self.descriptor)

    def remove(self) -> None:
        """Leave nothing of it."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)


@contextlib.contextmanager
def new_file(path: StrPath) -> Iterator[NewFile]:
    """A new file beside `path`, for `move_to`. It is removed when the block fails."""
    new = NewFile(path)
    try:
        yield new
    except BaseException:
        new.remove()
        raise


def write_unseen_steps(path: StrPath, data: bytes) -> Steps[None]:
    """Create `path` durably in a folder that nobody looks into, because it has a temporary name itself.

    Raises:
        WriteFailed: the bytes did not reach the disk.
    """
    with naming_failures(path):
        descriptor = os.open(path, _CREATE, 0o666)
        try:
            write_all(descriptor, data)
            yield from file_steps(descriptor)
        finally:
            os.close(descriptor)
        yield from folder_steps(folder_of(path))


def replace_then_write_once(replaced: tuple[StrPath, bytes], last: tuple[StrPath, bytes]) -> None:
    """Put the bytes of `replaced` in place, then create `last` beside it; nobody ever sees `last` without it.

    Both wait for the disk together.

    Raises:
        FileExistsError: `last` is there already; nothing was changed.
        WriteFailed: what is in place is whole; `last` is not there.
    """
    (first_path, first_data), (last_path, last_data) = replaced, last
    _expect_none(last_path)
    with naming_failures(first_path), new_file(first_path) as first, new_file(last_path) as second:
        write_all(first.descriptor, first_data)
        write_all(second.descriptor, last_data)
        results_of(finish_all([file_steps(first.descriptor), file_steps(second.descriptor)]))
        first.move_to(first_path)
        sync_folder(folder_of(first_path))
        second.move_to(last_path)
    sync_folder(folder_of(last_path))


@contextlib.contextmanager
def naming_failures(path: StrPath) -> Iterator[None]:
    """Turn an OSError of the block into WriteFailed that names `path`."""
    try:
        yield
    except SyncFailed as error:
        raise SyncFailed(error.errno, error.strerror, os.fspath(path)) from error
    except (WriteFailed, FileExistsError):
        raise
    except OSError as error:
        raise WriteFailed(error.errno, f"could not write: {error.strerror or error}", os.fspath(path)) from error


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`; a disk that takes only a part is asked again until it says why."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(path: StrPath) -> None:
    """Wait until the names in a folder are on the disk.

    Raises:
        WriteFailed: the disk said no.
    """
    finish(sync_folder_steps(path))


def sync_folder_steps(path: StrPath) -> Steps[None]:
    """As `sync_folder`, for `finish_all`."""
    with naming_failures(path):
        yield from folder_steps(path)


def rename(source: StrPath, target: StrPath) -> None:
    """`os.replace`, patient with programs on Windows that hold a file open for a moment."""
    for attempt in range(_BUSY_RETRIES + 1):
        try:
            os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _BUSY_ON_WINDOWS or attempt == _BUSY_RETRIES:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return
