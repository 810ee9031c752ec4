"""RunWatcher: keeps an index up to date while it runs, and notifies subscribers of changes.

File system events are hints; reconciliation decides. One watch on the store reports run folders that are added or
removed, another one reports the hints of this machine's programs that wrote to a run; unfinished runs are inspected
several times a second. What these miss (overflowing event queues, changes on another machine, a suspended laptop) is
found by the next sweep. Sweeps take at most one twentieth of the time, and so do the inspections of unfinished runs but
those that are being written and the newest.

Of several watchers of one store, one is the leader and writes the index; the others follow, and one of them takes over
when it ends.
"""

import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.file_events import FileEvents
from stablenew.index.index_file import index_path
from stablenew.index.index_keeper import try_index_lock
from stablenew.index.reconciler import Reconciler
from stablenew.index.run_index import RESET, RunChange, RunIndex

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LOG: Final = logging.getLogger("stablenew")

TICK_SECONDS: Final = 0.2
RETRY_SECONDS: Final = 2.0
QUIET_SECONDS: Final = 1.0
"""After events, the minimum time until a sweep for changes that they may have missed."""
LAZY_SECONDS: Final = 30.0
"""Without events, the minimum time between sweeps."""
COST_FACTOR: Final = 20
LAZY_COST_FACTOR: Final = 100
FOLLOW_SECONDS: Final = 0.02
CLOCK_JUMP_SECONDS: Final = 5.0
MOST_CHANGES: Final = 100_000


class Subscription:
    """A queue of all changes from now on, in order. Iterating blocks; `get` has a timeout."""

    def __init__(self, watcher: "RunWatcher") -> None:
        self._watcher = watcher
        self._changes: queue.Queue[RunChange] = queue.Queue(MOST_CHANGES)

    def get(self, timeout: float | None = None) -> RunChange | None:
        """The next change; None when there was none within `timeout` seconds."""
        with contextlib.suppress(queue.Empty):
            return self._changes.get(timeout=timeout)
        return None

    def __iter__(self) -> Iterator[RunChange]:
        while self._watcher.is_running or not self._changes.empty():
            change = self.get(TICK_SECONDS)
            if change is not None:
                yield change

    def put(self, change: RunChange) -> None:
        """Queue a change. When the queue is full, because nobody reads it, a reset replaces everything in it."""
        try:
            self._changes.put_nowait(change)
        except queue.Full:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._changes.get_nowait()
            self._changes.put_nowait(RunChange(RESET, ""))

    def close(self) -> None:
        """Unsubscribe."""
        self._watcher.unsubscribe(self)


class RunWatcher:
    """Watches the store at `root` from `start` to `stop`, or as a context manager."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._reader = IndexReader(index_path(self.root))
        self._subscriptions: list[Subscription] = []
        self._guard = threading.Lock()
        self._events = FileEvents(self.root)
        self._stopped = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_leading = False
        self._published = ("", 0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it is started and not stopped."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped.is_set()

    @property
    def is_leading(self) -> bool:
        """Whether it writes the index; otherwise it follows another watcher that does."""
        return self._is_leading

    @property
    def polling_reason(self) -> str | None:
        """Why it polls instead of waiting for events; None when there are events."""
        return self._events.polling_reason

    def start(self) -> None:
        """Start in a background thread. `wait_until_ready` waits for the first sweep."""
        self._thread = threading.Thread(target=self._run, name="stablenew-watcher", daemon=True)
        self._thread.start()

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Wait until the index is up to date for the first time; False after the timeout."""
        return self._ready.wait(timeout)

    def stop(self) -> None:
        """Stop, so that another watcher can lead."""
        self._stopped.set()
        self._events.wake()
        if self._thread is not None:
            self._thread.join()
        self._reader.close()

    def subscribe(self) -> Subscription:
        """A subscription to all changes from now on."""
        subscription = Subscription(self)
        with self._guard:
            self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Send it no more changes."""
        with self._guard, contextlib.suppress(ValueError):
            self._subscriptions.remove(subscription)

    def _run(self) -> None:
        self._published = self._reader.last_change()
        while not self._stopped.is_set():
            lock = try_index_lock(self.root)
            if lock is None:
                self._follow()
            else:
                self._lead(lock)

    def _follow(self) -> None:
        """Publish what the leader writes, for a second."""
        if self._reader.is_complete:
            self._ready.set()
        until = time.monotonic() + 1
        while time.monotonic() < until and not self._stopped.wait(FOLLOW_SECONDS):
            self._publish()

    def _lead(self, lock: "BaseFileLock") -> None:
        self._is_leading = True
        try:
            with contextlib.closing(RunIndex(index_path(self.root))) as index, self._events.listening():
                _Leader(index, self.root, self._events).lead(self._stopped, self._after_step)
        except (sqlite3.DatabaseError, OSError) as error:  # damaged index, full disk
            _LOG.warning("the index of %s could not be updated: %s; trying again", self.root, error)
            self._stopped.wait(RETRY_SECONDS)
        finally:
            self._is_leading = False
            lock.release()

    def _after_step(self) -> None:
        self._publish()
        self._ready.set()

    def _publish(self) -> None:
        latest = self._reader.last_change()
        if latest == self._published:
            return
        if latest[0] == self._published[0]:
            changes = [RunChange(kind, run_id) for _, run_id, kind in self._reader.changes_since(self._published[1])]
        else:  # the index was rebuilt
            changes = [RunChange(RESET, "")]
        self._published = latest
        with self._guard:
            for subscription in self._subscriptions:
                for change in changes:
                    subscription.put(change)


class _Leader:
    """The part of a watcher that writes the index."""

    def __init__(self, index: RunIndex, root: Path, events: FileEvents) -> None:
        self._index = index
        self._reconciler = Reconciler(index, root)
        self._root = root
        self._events = events
        self._swept_at = 0.0
        self._next_look = 0.0
        self._wall = time.time()
        self._monotonic = time.monotonic()
        self._has_missed = False

    def lead(self, stopped: threading.Event, after_step: Callable[[], None]) -> None:
        """Keep the index up to date until `stopped`, or until its file is deleted."""
        self._sweep()
        after_step()
        while not stopped.is_set() and self._is_still_there():
            self._step(self._events.wait(TICK_SECONDS), after_step)

    def _is_still_there(self) -> bool:
        with contextlib.suppress(OSError):
            return os.stat(self._index.path).st_ino == self._index.inode
        return False

    def _step(self, names: set[str], after_step: Callable[[], None]) -> None:
        """Runs named by events and hints first, published at once; looking at others takes longer and can wait."""
        if names:
            self._has_missed = True
            self._reconciler.update(names)
            after_step()
        hinted = self._reconciler.apply_hints()
        if hinted is None:
            self._has_missed = True
        elif len(hinted):
            after_step()
        self._look()
        after_step()
        if self._is_sweep_due():
            self._sweep()
            after_step()

    def _look(self) -> None:
        """Look at all hot runs, but for no more than one twentieth of the time: thousands may lack their seal."""
        started = time.monotonic()
        if started < self._next_look:
            self._reconciler.check_attended_runs()
            return
        self._reconciler.check_hot_runs()
        ended = time.monotonic()
        self._next_look = ended + COST_FACTOR * (ended - started) - TICK_SECONDS

    def _is_sweep_due(self) -> bool:
        if self._events.renew() or self._has_clock_jumped():
            return True
        cost = self._index.get_meta("sweep_seconds", 0)
        age = time.monotonic() - self._swept_at
        if self._has_missed or self._events.polling_reason is not None:
            return bool(age > max(QUIET_SECONDS, COST_FACTOR * cost))
        return bool(age > max(LAZY_SECONDS, LAZY_COST_FACTOR * cost))

    def _has_clock_jumped(self) -> bool:
        """Whether wall and monotonic clock have diverged: the time was set, or the machine was suspended."""
        wall, monotonic = time.time(), time.monotonic()
        jump = abs((wall - self._wall) - (monotonic - self._monotonic))
        self._wall, self._monotonic = wall, monotonic
        return jump > CLOCK_JUMP_SECONDS

    def _sweep(self) -> None:
        self._has_missed = False
        self._reconciler.sweep()
        self._swept_at = time.monotonic()
