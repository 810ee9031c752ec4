"""LockFile: one file that one writer holds. A run takes and leaves one in a fifth of the time of a `FileLock`.

`filelock` does the locking, so that both kinds exclude each other; what a `FileLock` has beyond that, such as counting
and time limits, nobody needs who asks once.
"""

import contextlib
import os
import weakref
from pathlib import Path
from typing import Final

_OPEN: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class LockFile:
    """A file that is held from `take` until `leave`, or until the process dies or nobody has the object any more."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Hold the file, made with its folder where it is missing. False: another holds it, here or in a process.

        Raises:
            OSError: it cannot be opened or locked here.
        """
        descriptor = _take(self.path)
        if descriptor is None:
            return False
        self._descriptor = descriptor
        _HELD.add(self)
        return True

    def leave(self, *, forget: bool = False) -> None:
        """Let go. With `forget` the file goes too; whoever takes it at this moment sees that and makes another."""
        if self._descriptor is None:
            return
        if forget:
            self._remove()
        self.close()
        if forget and os.name == "nt":  # there a file that is open stays
            self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def close(self) -> None:
        """Close what was locked. That lets go of it too, unless a parent has it: a fork shares what is open."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _take(path: str) -> int | None:
    from filelock import lock_descriptor  # noqa: PLC0415

    while True:
        descriptor = _open(path)
        try:
            is_taken = lock_descriptor(descriptor, blocking=False)
            if is_taken and _is_still_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_taken:
            return None


def _open(path: str) -> int:
    try:
        return os.open(path, _OPEN, 0o666)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, _OPEN, 0o666)


def _is_still_at(path: str, descriptor: int) -> bool:
    """Whether what was locked has its name: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


_HELD: Final = weakref.WeakSet[LockFile]()


def _leave_to_parent() -> None:
    """A forked child would hold its parent's files for as long as it lives."""
    for held in tuple(_HELD):
        held.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
