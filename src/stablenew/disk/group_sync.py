"""Waiting for the disk: one piece of work alone, or many together.

Whatever must survive a power cut is written as a generator. It yields each descriptor whose bytes must be on the disk
before it continues. `perform` runs one such generator; `perform_together` runs many in step: the disk gets their fsyncs
at the same time and answers many of them at once, while each generator still keeps its own order.
"""

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from stablenew.disk.regular_file import StrPath
from stablenew.errors import StableNewError, SyncFailed

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
SyncWork: TypeAlias = Generator[int, None, Result]
"""Yields descriptors to be synced and returns a result. Where the fsync of one fails, its OSError is thrown in."""

_UNSUPPORTED: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
_SYNCERS: Final = 8
_FEW: Final = 2
_Failures: TypeAlias = dict[int, OSError | None]


def perform(work: SyncWork[Result]) -> Result:
    """Run `work` to its end and return its result."""
    failure: OSError | None = None
    try:
        while True:
            failure = _flush(_resume(work, failure))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def perform_together(works: Sequence[SyncWork[Result]]) -> list[Result | OSError | StableNewError]:
    """Run all `works` in step. Returns the result of each, or the error it ended with: one failure stops no other."""
    results: dict[int, Result | OSError | StableNewError] = {}
    failures: _Failures = dict.fromkeys(range(len(works)))
    while failures:
        waiting: list[tuple[int, int]] = []
        for number, failure in failures.items():
            try:
                waiting.append((number, _resume(works[number], failure)))
            except StopIteration as end:
                results[number] = end.value
            except (OSError, StableNewError) as error:
                results[number] = error
        failures = _flush_all(waiting)
    return [results[number] for number in range(len(works))]


def results_of(outcomes: Sequence[Result | OSError | StableNewError]) -> list[Result]:
    """The results of `perform_together`, when nothing failed; otherwise the first error is raised."""
    for outcome in outcomes:
        if isinstance(outcome, (OSError, StableNewError)):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, (OSError, StableNewError))]


def _resume(work: SyncWork[Any], failure: OSError | None) -> int:
    """The next descriptor that `work` waits for; `failure` is what became of the fsync of the one before."""
    return next(work) if failure is None else work.throw(failure)


def _flush_all(waiting: Sequence[tuple[int, int]]) -> _Failures:
    """Fsync these descriptors, given with the numbers of their works. Returns the error of each, or None.

    Two are synced one after the other, because a thread would cost more than it saves. More are shared among threads:
    many disks take milliseconds for each.
    """
    if len(waiting) <= _FEW:
        return _flush_each(waiting)
    own, *others = [waiting[start::_SYNCERS] for start in range(_SYNCERS)]
    tasks = [begin(_syncers(os.getpid()), _flush_each, share) for share in others if share]
    answers = [_flush_each(own), *(task.result() for task in tasks)]
    return {number: failure for answer in answers for number, failure in answer.items()}


def begin(
    pool: "ThreadPoolExecutor",
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> "Future[Result]":
    """Call `function` in a thread of `pool`, or right here when the interpreter is shutting down."""
    try:
        return pool.submit(function, *args, **kwargs)
    except RuntimeError:
        from concurrent.futures import Future  # noqa: PLC0415

        done: Future[Result] = Future()
        done.set_result(function(*args, **kwargs))
        return done


@functools.lru_cache(maxsize=1)
def _syncers(_process: int) -> "ThreadPoolExecutor":
    """Threads that wait for the disk. A forked process inherits none of them, so it makes its own."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # commands that only read do without

    return ThreadPoolExecutor(_SYNCERS, thread_name_prefix="stablenew-sync")


def _flush_each(waiting: Iterable[tuple[int, int]]) -> _Failures:
    return {number: _flush(descriptor) for number, descriptor in waiting}


def file_steps(descriptor: int) -> SyncWork[None]:
    """Wait until a file's bytes are on the disk itself. The disk begins with them now, while others are still written.

    Raises:
        SyncFailed: the fsync failed.
    """
    # After a failed fsync the kernel marks the unwritten pages clean. Asking again would succeed and mean nothing,
    # so the caller has to write a new file.
    _start_writing(descriptor)
    try:
        yield descriptor
    except OSError as error:
        raise SyncFailed(error.errno, f"the disk failed: {error.strerror or error}") from error


def _start_writing(descriptor: int) -> None:
    """Have the kernel begin: Linux writes dirty pages before it drops them, so the advice to drop them starts it."""
    if sys.platform != "win32" and sys.platform != "darwin":  # which have no such call
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def folder_steps(path: StrPath) -> SyncWork[None]:
    """Wait until the names in a folder are on the disk. Windows has no such call and needs none.

    Raises:
        OSError: the fsync failed.
    """
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        yield descriptor
    except OSError as error:
        if error.errno not in _UNSUPPORTED:  # some network file systems do not support it
            raise
    finally:
        with contextlib.suppress(OSError):  # a folder has no bytes that closing could lose
            os.close(descriptor)


def _flush(descriptor: int) -> OSError | None:
    """Fsync `descriptor`. Returns the error, or None."""
    try:
        if not (sys.platform == "darwin" and _flush_fully(descriptor)):
            os.fsync(descriptor)
    except OSError as error:
        return error
    return None


def _flush_fully(descriptor: int) -> bool:
    """For macOS, where fsync stops at the drive's cache. False when the file system does not support it."""
    import fcntl  # noqa: PLC0415

    try:
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True
