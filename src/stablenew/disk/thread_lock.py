"""A lock for the threads of one process that a forked child does not inherit."""

import os
import threading
from types import TracebackType


class ThreadLock:
    """A reentrant lock; a forked child has one of its own, because the thread that held the parent's is not there."""

    def __init__(self) -> None:
        self._process, self._lock = os.getpid(), threading.RLock()

    def __enter__(self) -> None:
        if os.getpid() != self._process:
            self._process, self._lock = os.getpid(), threading.RLock()
        self._lock.acquire()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._lock.release()
