"""Files that are there whole or not at all, and that survive a power cut.

The order is the one that lost nothing when every block write was replayed on ext4, xfs and btrfs: write under a
temporary name in the same folder, fsync, rename, fsync the folder. Creating a file and replacing one are two functions,
because mistaking one for the other is how data gets lost.
"""

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

from stablenew.disk.group_sync import SyncWork, file_steps, folder_steps, perform, perform_together, results_of
from stablenew.disk.regular_file import StrPath, folder_of, status_at
from stablenew.errors import SyncFailed, WriteFailed

_TEMPORARY: Final = re.compile(r"\A\..+\.[0-9a-f]{8}\.tmp\Z", re.DOTALL)
_BINARY = getattr(os, "O_BINARY", 0)
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | _BINARY
_BUSY_ON_WINDOWS = {5, 32, 33}  # access denied, sharing violation, lock violation: a virus scanner or an indexer
_BUSY_RETRIES = 25
_BUSY_PAUSE_SECONDS = 0.1
_SYNCED_TOGETHER: Final = 128
"""Files that are open at the same time while they are synced."""
_CLAIM: Final = "0" * 8
"""The token of the temporary file that claims a name: the same for everyone, so that only one can create it."""


def write_once(path: StrPath, data: bytes) -> None:
    """Create `path` with `data`, durably. Of any number of writers at the same time exactly one succeeds.

    Raises:
        FileExistsError: something is there already; it stays as it is.
        WriteFailed: the bytes did not reach the disk; nothing is left at `path`.
    """
    with naming_failures(path):
        _expect_nothing_at(path)
    perform(_create_steps(path, data))


def _expect_nothing_at(path: StrPath) -> None:
    if status_at(path) is not None:
        raise FileExistsError(errno.EEXIST, "expected no file, found one; it was left as it is", os.fspath(path))


def replace_file(path: StrPath, data: bytes) -> None:
    """Replace whatever is at `path` with `data`, durably and in one step: a reader sees the old bytes or the new.

    Raises:
        WriteFailed: the bytes did not reach the disk; the old file is unharmed.
    """
    perform(replace_file_steps(path, data))


def replace_file_steps(path: StrPath, data: bytes) -> SyncWork[None]:
    """As `replace_file`, for `perform_together`."""
    with naming_failures(path), new_file(path) as new:
        write_all(new.descriptor, data)
        yield from file_steps(new.descriptor)
        new.move_to(path)
    yield from sync_folder_steps(folder_of(path))


def replace_cached(path: StrPath, data: bytes) -> None:
    """As `replace_file`, without waiting for the disk: for caches, which a power cut may take.

    Raises:
        WriteFailed: the bytes could not be written; the old file is unharmed.
    """
    replace_cached_by(path, lambda file: file.write(data))


def replace_cached_by(path: StrPath, write: Callable[[BinaryIO], object]) -> None:
    """As `replace_cached`, for bytes that are not in memory in one piece: `write` writes them to the file it gets.

    Raises:
        WriteFailed: the bytes could not be written; the old file is unharmed.
    """
    with naming_failures(path), new_file(path) as new:
        with os.fdopen(new.descriptor, "wb", closefd=False) as file:
            write(file)
        new.move_to(path)


def sync_files(paths: Iterable[StrPath], folders: Iterable[StrPath] = ()) -> None:
    """Wait until files that were written as caches, and then `folders`, are on the disk.

    So many files can be written first and waited for together, before something is written that names them.

    Raises:
        WriteFailed: the disk reported an error; what was to name the files must not be written.
    """
    files = list(paths)
    for start in range(0, len(files), _SYNCED_TOGETHER):
        together = files[start : start + _SYNCED_TOGETHER]
        results_of(perform_together([_sync_file_steps(path) for path in together]))
    results_of(perform_together([sync_folder_steps(folder) for folder in folders]))


def _sync_file_steps(path: StrPath) -> SyncWork[None]:
    with naming_failures(path):
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | _BINARY)
        try:
            yield from file_steps(descriptor)
        finally:
            os.close(descriptor)


def _create_steps(path: StrPath, data: bytes) -> SyncWork[None]:
    with naming_failures(path), new_file(path) as new:
        write_all(new.descriptor, data)
        yield from file_steps(new.descriptor)
        new.move_to_free(path)
    yield from sync_folder_steps(folder_of(path))


def temporary_name(name: str, token: str) -> str:
    """The name of a file that will be renamed to `name`; `token` is 8 hex digits. Every reader ignores such names."""
    return f".{name}.{token}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file name is one of our own temporary names."""
    return bool(_TEMPORARY.match(name))


class NewFile:
    """A file under a temporary name, open for writing until it is closed or moved to its final name."""

    def __init__(self, path: StrPath, token: str = "") -> None:
        folder, name = os.path.split(path)
        self.path = os.path.join(folder, temporary_name(name, token or secrets.token_hex(4)))
        """The temporary one."""
        self.descriptor = os.open(self.path, _CREATE, 0o666)
        self._is_open = True

    def move_to(self, path: StrPath) -> None:
        """Rename it to `path`, replacing whatever is there."""
        self._close()
        rename(self.path, path)

    def move_to_free(self, path: StrPath) -> None:
        """Rename it to `path`, where nothing may be.

        Raises:
            FileExistsError: something is there; it stays as it is.
        """
        self._close()
        _move_to_free(self.path, path)

    def _close(self) -> None:
        # Only once: afterwards the number of the descriptor may belong to a file of another thread.
        if self._is_open:
            self._is_open = False
            os.close(self.descriptor)

    def remove(self) -> None:
        """Delete it, and ignore failures."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def _move_to_free(source: str, target: StrPath) -> None:
    """Rename, but never replace. `os.replace` cannot refuse; a hard link can, in one step and for all machines."""
    try:
        os.link(source, target)
    except FileExistsError:
        # A network file system may have linked, lost its answer, asked again, and then found its own link.
        if not _is_same_file(source, target):
            _expect_nothing_at(target)
            raise
    except OSError:  # FAT, some shares and Android have no hard links
        _move_without_links(source, target)
        return
    os.unlink(source)


def _is_same_file(first: StrPath, second: StrPath) -> bool:
    try:
        return os.path.samestat(os.lstat(first), os.lstat(second))
    except OSError:
        return False


def _move_without_links(source: str, target: StrPath) -> None:
    if os.name == "nt":
        os.rename(source, target)  # there it never replaces
        return
    descriptor = os.open(target, _CREATE, 0o666)  # whoever creates the empty file has the name
    os.close(descriptor)
    try:
        rename(source, target)
    except OSError:
        os.unlink(target)
        raise


@contextlib.contextmanager
def new_file(path: StrPath, token: str = "") -> Iterator[NewFile]:
    """A new file beside `path`, for `move_to`. It is removed when the block fails."""
    new = NewFile(path, token)
    try:
        yield new
    except BaseException:
        new.remove()
        raise


def write_unseen_steps(path: StrPath, data: bytes) -> SyncWork[None]:
    """Create `path` durably in a folder that no reader opens, because the folder itself has a temporary name.

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
    """Replace the first file, then create `last` beside it: no reader ever sees `last` without the new first file.

    Of any number of writers at the same time exactly one gets that far, and only that one replaces anything. Both files
    wait for the disk together.

    Raises:
        FileExistsError: `last` is there already, or somebody is creating it; nothing was changed.
        WriteFailed: what is in place is whole; `last` is not there.
    """
    (first_path, first_data), (last_path, last_data) = replaced, last
    with naming_failures(last_path):
        _expect_nothing_at(last_path)
    with naming_failures(first_path), new_file(last_path, _CLAIM) as second:
        # The claim is ours. Whoever had it before us may have created `last` meanwhile.
        _expect_nothing_at(last_path)
        with new_file(first_path) as first:
            write_all(first.descriptor, first_data)
            write_all(second.descriptor, last_data)
            results_of(perform_together([file_steps(first.descriptor), file_steps(second.descriptor)]))
            first.move_to(first_path)
        sync_folder(folder_of(first_path))
        second.move_to_free(last_path)
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
    """Write every byte of `data`, in several calls where the system takes only a part at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(path: StrPath) -> None:
    """Wait until the names in a folder are on the disk.

    Raises:
        WriteFailed: the disk reported an error.
    """
    perform(sync_folder_steps(path))


def sync_folder_steps(path: StrPath) -> SyncWork[None]:
    """As `sync_folder`, for `perform_together`."""
    with naming_failures(path):
        yield from folder_steps(path)


def rename(source: StrPath, target: StrPath) -> None:
    """`os.replace`, with retries on Windows, where other programs hold a file open for a moment."""
    for attempt in range(_BUSY_RETRIES + 1):
        try:
            os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _BUSY_ON_WINDOWS or attempt == _BUSY_RETRIES:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return
