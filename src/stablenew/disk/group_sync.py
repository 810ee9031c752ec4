"""Work that waits for the disk, alone or beside more of its kind.

What must survive a power cut is written as a generator that yields each descriptor whose bytes have to be on the disk
before it goes on. `finish` runs one such work. `finish_all` runs many in step: the disk gets their requests together
and answers many of them at once, while each still keeps its own order.
"""

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from stablenew.disk.regular_file import StrPath
from stablenew.errors import StableNewError, SyncFailed

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Steps: TypeAlias = Generator[int, None, Result]
"""Yields descriptors to be synced, returns a result. A descriptor that cannot be synced raises its OSError there."""

_UNSUPPORTED: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
_SYNCERS: Final = 8
_FEW: Final = 2
_DONT_NEED: Final = getattr(os, "POSIX_FADV_DONTNEED", None)
"""Linux writes dirty pages before it lets go of them, so this advice starts it on them."""
_Failures: TypeAlias = dict[int, OSError | None]


def finish(work: Steps[Result]) -> Result:
    """Do `work` to its end and return what it returns."""
    failure: OSError | None = None
    try:
        while True:
            failure = _flush(_go_on(work, failure))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def finish_all(works: Sequence[Steps[Result]]) -> list[Result | OSError | StableNewError]:
    """Do all `works` in step; what each returns, or the error it ended with. One that fails stops no other."""
    results: dict[int, Result | OSError | StableNewError] = {}
    failures: _Failures = dict.fromkeys(range(len(works)))
    while failures:
        waiting: list[tuple[int, int]] = []
        for number, failure in failures.items():
            try:
                waiting.append((number, _go_on(works[number], failure)))
            except StopIteration as end:
                results[number] = end.value
            except (OSError, StableNewError) as error:
                results[number] = error
        failures = _flush_all(waiting)
    return [results[number] for number in range(len(works))]


def results_of(outcomes: Sequence[Result | OSError | StableNewError]) -> list[Result]:
    """What `finish_all` gave, where nothing failed; else the first failure is raised."""
    for outcome in outcomes:
        if isinstance(outcome, (OSError, StableNewError)):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, (OSError, StableNewError))]


def _go_on(work: Steps[Any], failure: OSError | None) -> int:
    """The next descriptor that `work` waits for, after the last one was synced or failed to be."""
    return next(work) if failure is None else work.throw(failure)


def _flush_all(waiting: Sequence[tuple[int, int]]) -> _Failures:
    """Ask the disk for these descriptors of numbered works; what it says against each.

    Two are waited for in turn: a thread would cost more than the wait it saves. More are shared out: many a disk
    takes milliseconds for each.
    """
    if len(waiting) <= _FEW:
        return _flush_each(waiting)
    own, *others = [waiting[start::_SYNCERS] for start in range(_SYNCERS)]
    tasks = [begin(_syncers(os.getpid()), _flush_each, share) for share in others if share]
    said = [_flush_each(own), *(task.result() for task in tasks)]
    return {number: failure for share in said for number, failure in share.items()}


def begin(
    pool: ThreadPoolExecutor,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> "Future[Result]":
    """Do something in a thread of `pool`; here and now where the interpreter is ending, and gives it no thread."""
    try:
        return pool.submit(function, *args, **kwargs)
    except RuntimeError:
        done: Future[Result] = Future()
        done.set_result(function(*args, **kwargs))
        return done


@functools.lru_cache(maxsize=1)
def _syncers(_process: int) -> ThreadPoolExecutor:
    """Threads that wait for the disk; a forked process has none of its parent's and makes its own."""
    return ThreadPoolExecutor(_SYNCERS, thread_name_prefix="stablenew-sync")


def _flush_each(waiting: Iterable[tuple[int, int]]) -> _Failures:
    return {number: _flush(descriptor) for number, descriptor in waiting}


def file_steps(descriptor: int) -> Steps[None]:
    """Wait until a file's bytes are on the disk itself. It takes them from now on, while others of a group are written.

    Raises:
        SyncFailed: the disk said no. The kernel forgets the unwritten pages then, so nobody may ask again: write a new
            file.
    """
    _start_writing(descriptor)
    try:
        yield descriptor
    except OSError as error:
        raise SyncFailed(error.errno, f"the disk failed: {error.strerror or error}") from error


def _start_writing(descriptor: int) -> None:
    if _DONT_NEED is not None:
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, _DONT_NEED)


def folder_steps(path: StrPath) -> Steps[None]:
    """Wait until the names in a folder are on the disk. Windows has no such call and needs none.

    Raises:
        OSError: the disk said no.
    """
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        yield descriptor
    except OSError as error:
        if error.errno not in _UNSUPPORTED:  # some network file systems cannot, and say so
            raise
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> OSError | None:
    """Ask the disk; what it says against it."""
    try:
        if not (sys.platform == "darwin" and _flush_fully(descriptor)):
            os.fsync(descriptor)
    except OSError as error:
        return error
    return None


def _flush_fully(descriptor: int) -> bool:
    """On macOS, where fsync stops at the drive's cache; False where a file system has no such call."""
    import fcntl  # noqa: PLC0415

    try:
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True
