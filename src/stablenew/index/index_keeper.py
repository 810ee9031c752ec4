"""IndexKeeper: creates the index of a store where it is missing, and refreshes it before it is read.

Only the process that holds the index's lock writes it; the others read. A sweep over every run folder takes time, so it
is done when there is a sign that it is needed, or when the last one is `PATIENCE` times its own duration ago.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import RunLocked
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_file import delete_index, index_folder, index_path, sqlite_errors
from stablenew.index.reading.folder_snapshot import root_signature
from stablenew.store.change_hints import end_of_hints, hints_path
from stablenew.store.run_folder import check_place

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from stablenew.index.reconciler import Progress, Reconciler

PATIENCE: Final = 50
MIN_AGE_SECONDS: Final = 2.0
CHEAP_SECONDS: Final = 0.25
"""A sweep that takes no longer than this is not postponed."""
_POLL_SECONDS: Final = 0.1

FRESH: Final = "fresh"
UPDATED: Final = "updated"
FOLLOWED: Final = "followed"
BEHIND: Final = "behind"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How up to date an index is.

    `state` is `fresh` (there was nothing to do), `updated`, `followed` (another process keeps it up to date), or
    `behind`: it has what programs on this machine wrote, but the slow sweep for changes from elsewhere was postponed.
    """

    state: str
    change_count: int = 0


class IndexKeeper:
    """Keeps the index of the store at `root` up to date."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = index_path(root)
        self.reader = IndexReader(self.path)

    def is_fresh(self) -> bool:
        """Whether there is no sign of a change. Costs a few system calls."""
        meta = dict(self.reader.fetch("SELECT key, value FROM meta"))
        if not meta.get("is_complete") or meta.get("root_signature") != root_signature(self.root):
            return False
        if self._is_due(meta.get("swept_at", 0), meta.get("sweep_seconds", 0)):
            return False
        if end_of_hints(hints_path(self.root)) != meta.get("hints_place"):
            return False
        return not self.reader.fetch("SELECT 1 FROM run WHERE is_hot LIMIT 1")

    def facts(self) -> dict[str, Any]:
        """Location, content and state of the index, as JSON."""
        check_place(self.root)
        lock = try_index_lock(self.root)
        if lock is not None:
            lock.release()
        swept_at, count = self.reader.get_meta("swept_at"), self.reader.fetch("SELECT count(*) FROM run")
        state = "in step" if self.is_fresh() else "to be brought in step" if swept_at else "not made yet"
        return {
            "store": str(self.root.absolute()),
            "path": str(self.path),
            "state": "kept in step by another process" if lock is None else state,
            "is_complete": self.reader.is_complete,
            "run_count": count[0][0] if count else 0,
            "size_bytes": _size_of(self.path),
            "age_seconds": None if swept_at is None else max(0.0, time.time() - swept_at),
            "sweep_seconds": self.reader.get_meta("sweep_seconds"),
        }

    def _is_due(self, swept_at: float, sweep_seconds: float) -> bool:
        age = time.time() - swept_at
        return (
            not 0 <= age < max(MIN_AGE_SECONDS, PATIENCE * sweep_seconds)
        )  # a negative age means that the clock was set back

    def refresh(self, *, is_patient: bool = False, progress: "Progress | None" = None) -> Freshness:
        """Bring the index up to date, creating it where it is missing. With `is_patient` no sweep is postponed.

        Raises:
            NotAStore: something other than a folder is at the store's path.
        """
        check_place(self.root)
        if not is_patient and self.is_fresh():
            return Freshness(FRESH)
        lock = try_index_lock(self.root) or self._wait_for_filling(progress)
        if lock is None:
            return Freshness(FOLLOWED)
        with self._reconciling(lock) as reconciler:
            return self._refresh(reconciler, is_patient=is_patient, progress=progress)

    def _refresh(self, reconciler: "Reconciler", *, is_patient: bool, progress: "Progress | None") -> Freshness:
        index = reconciler.index
        if is_patient or not index.get_meta("is_complete", 0):
            return Freshness(UPDATED, len(reconciler.sweep(progress=progress)))
        hinted = reconciler.apply_hints()
        cost = index.get_meta("sweep_seconds", 0)
        is_due = hinted is None or self._is_due(index.get_meta("swept_at", 0), cost)
        if cost <= CHEAP_SECONDS and (is_due or index.get_meta("root_signature") != root_signature(self.root)):
            return Freshness(UPDATED, len(reconciler.sweep(progress=progress)) + len(hinted or ()))
        hot = reconciler.check_hot_runs()
        return Freshness(BEHIND if is_due else UPDATED, len(hinted or ()) + len(hot))

    def sweep(self, *, deep: bool = False, progress: "Progress | None" = None) -> Freshness:
        """Sweep over every run folder now; with `deep`, inspect each.

        Raises:
            NotAStore: see `refresh`.
            RunLocked: another process keeps the index up to date.
        """
        with self._reconciling(self._lock()) as reconciler:
            return Freshness(UPDATED, len(reconciler.sweep(deep=deep, progress=progress)))

    def rebuild(self, progress: "Progress | None" = None) -> Freshness:
        """Rebuild the index from the run folders. If it is interrupted, the next use continues.

        Raises:
            NotAStore: see `refresh`.
            RunLocked: another process keeps the index up to date.
        """
        lock = self._lock()
        self.reader.close()
        delete_index(self.path)
        with self._reconciling(lock) as reconciler:
            return Freshness(UPDATED, len(reconciler.sweep(progress=progress)))

    def _lock(self) -> "BaseFileLock":
        check_place(self.root)
        lock = try_index_lock(self.root)
        if lock is None:
            raise RunLocked("another stablenew process keeps this index in step; stop it (serve, index watch) first")
        return lock

    def _wait_for_filling(self, progress: "Progress | None") -> "BaseFileLock | None":
        """Wait while another process fills the index for the first time; the lock, if that process ended before."""
        while not self.reader.is_complete:
            lock = try_index_lock(self.root)
            if lock is not None:
                return lock
            if progress is not None:
                done = self.reader.fetch("SELECT count(*) FROM run")
                progress(done[0][0] if done else 0, 0)
            time.sleep(_POLL_SECONDS)
        return None

    @contextlib.contextmanager
    def _reconciling(self, lock: "BaseFileLock") -> "Iterator[Reconciler]":
        from stablenew.index.reconciler import Reconciler  # noqa: PLC0415
        from stablenew.index.run_index import RunIndex  # noqa: PLC0415

        try:
            with sqlite_errors(self.path), contextlib.closing(RunIndex(self.path)) as index:
                yield Reconciler(index, self.root)
        finally:
            lock.release()


def _size_of(path: Path) -> int:
    """Bytes of the index at `path`: of SQLite's file, and of the log and the columns that stand beside it."""
    size = 0
    for part in path.parent.glob("*"):
        with contextlib.suppress(OSError):  # a log may be merged meanwhile
            size += part.stat().st_size
    return size


def try_index_lock(root: Path) -> "BaseFileLock | None":
    """The lock that allows writing the index of a store; None when another process holds it."""
    from filelock import Timeout  # noqa: PLC0415

    from stablenew.store.run_lock import file_lock  # noqa: PLC0415

    folder = index_folder(root)
    make_private_folder(folder)
    lock = file_lock(folder / "writer.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
