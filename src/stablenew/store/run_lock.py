"""Locks of this machine, kept in the state folder: a lock file in a synced folder would block everyone for ever."""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew.disk.locks import LockFile
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import RunLocked
from stablenew.formats.digest import digest_bytes
from stablenew.store.local_state import state_folder, store_key

if TYPE_CHECKING:
    from filelock import BaseFileLock


_LOCKS = 64
"""Shared by all files, so that a batch over many runs takes few of them."""
_POLL_SECONDS = 0.001
"""A write takes a few milliseconds, so whoever waits for one polls often."""


class RunLock:
    """Held by whoever writes a run, for as long as it is being written. The system frees it when the process dies."""

    def __init__(self, root: Path, run_id: str) -> None:
        self._run_id = run_id
        self._file = LockFile(os.path.join(state_folder(), "locks", store_key(root), f"{run_id}.lock"))

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            RunLocked: another process, or another writer of this one, holds it.
        """
        if not self._file.acquire():
            raise RunLocked(f"run {self._run_id} is being written by another process; wait until it ends")

    def release(self, *, forget: bool = False) -> None:
        """Release it. With `forget` the lock file is deleted too, because nobody will write this run again."""
        self._file.release(forget=forget)

    def was_acquired_here(self) -> bool:
        """Whether the lock's file is in this machine's state folder: a writer that is killed leaves it there."""
        return os.path.exists(self._file.path)

    def is_held(self) -> bool:
        """Whether some process on this machine is writing the run."""
        if self._file.is_held_here:
            return True
        if not os.path.exists(self._file.path):
            return False
        is_free = self._file.acquire()
        self.release()
        return not is_free


@contextlib.contextmanager
def file_guard(*paths: Path) -> Iterator[None]:
    """Exclude all other threads and processes of this machine from the block for any of `paths`. It cannot be nested.

    Paths share a fixed number of locks, so that rating thousands of runs does not create thousands of lock files. Locks
    are always acquired in the same order, which prevents deadlocks.
    """
    folder, process = state_folder(), os.getpid()
    with contextlib.ExitStack() as held:
        for key in sorted({_key_of(path) for path in paths}):
            among_threads, among_processes = _guard(folder, key, process)
            held.enter_context(among_threads)
            held.enter_context(among_processes.acquire(poll_interval=_POLL_SECONDS))
        yield


def _key_of(path: Path) -> str:
    return f"{int(digest_bytes(os.fsencode(path.absolute()))[-2:], 16) % _LOCKS:02x}"


@functools.lru_cache(maxsize=1024)
def _guard(folder: Path, key: str, _process: int) -> "tuple[threading.Lock, BaseFileLock]":
    """A lock for threads and one for processes: the second admits all threads. A forked process has its own."""
    path = folder / "locks" / "files" / f"{key}.lock"
    make_private_folder(path.parent)
    return threading.Lock(), file_lock(path)


def file_lock(path: Path) -> "BaseFileLock":
    """A lock of this machine that the system releases when its process dies. Any thread of its holder may release it.

    Its folder is created when it is acquired.
    """
    from filelock import FileLock  # noqa: PLC0415

    # A soft lock left by a dead process, or synced from another host, would block forever.
    return FileLock(path, fallback_to_soft=False, thread_local=False)
