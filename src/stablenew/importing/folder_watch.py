"""FolderWatch: takes in what a tool saves, while it saves it."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

from stablenew.disk.network_share import network_share_type
from stablenew.importing.file_reading import ReadFile, read_files
from stablenew.importing.folder_walk import FolderWalk, FoundFile, find_file
from stablenew.importing.imported_run import MOST_IMAGES, ImportedRun
from stablenew.importing.importer import IMPORTED, KNOWN, PACKED, Importer, ImportReport, tool_of
from stablenew.importing.known_images import KnownImages
from stablenew.store.source_roots import SourceRoot
from stablenew.store.sources.moved_files import MovedFiles
from stablenew.store.sources.watch_lock import WatchLock

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

_TICK_SECONDS: Final = 0.05
_QUIET_SECONDS: Final = 1.0
"""A file that nobody closed counts as whole when it has not changed for so long."""
_SEAL_SECONDS: Final = 60.0
_RESCAN_SECONDS: Final = 60.0
"""How often the whole folder is looked through: events overflow, and a folder may have been away."""
_POLL_SECONDS: Final = 5.0
"""As `_RESCAN_SECONDS`, on a network share, whose changes no event tells."""
_AWAY_SECONDS: Final = 1.0
"""As `_RESCAN_SECONDS`, while the folder is away."""
_AGAIN_SECONDS: Final = 0.5
_WRITING_SECONDS: Final = 60.0
"""A file that is cut off and was not changed for so long will not become whole any more."""


@dataclass(slots=True, eq=False)  # watchdog keeps handlers in a set
class _Arrivals(FileSystemEventHandler):
    """Files that something happened to, and when each may be read."""

    due: dict[str, float] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    came: threading.Event = field(default_factory=threading.Event)
    """Set when there is something to read, so that nobody waits for the next tick."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        now = time.monotonic()
        if isinstance(event, FileClosedEvent):
            self.add(event.src_path, now)
        elif isinstance(event, FileMovedEvent):
            self.add(event.dest_path, now)
        elif isinstance(event, (FileCreatedEvent, FileModifiedEvent)):
            self.add(event.src_path, now + _QUIET_SECONDS)

    def add(self, path: str | bytes, due: float) -> None:
        """Read `path` at `due`, or at once when that was said before."""
        with self.guard:
            self.due[os.fsdecode(path)] = due
        if due <= time.monotonic():
            self.came.set()

    def pop_due(self) -> list[str]:
        """The files that may be read now."""
        now = time.monotonic()
        with self.guard:
            ready = [path for path, due in self.due.items() if due <= now]
            for path in ready:
                del self.due[path]
        return ready


class FolderWatch:
    """Watches one folder until it is told to stop. A run is sealed after a hundred images, or a minute of quiet."""

    def __init__(
        self,
        importer: Importer,
        folder: Path,
        on_taken: Callable[[ReadFile], object] = lambda _: None,
        program: str = "stablenew import --watch",
    ) -> None:
        """`program` is how a second watcher of the folder names this one."""
        self._importer = importer
        self._lock = WatchLock(importer.store.root, folder, program)
        self._folder = folder.resolve()
        self._on_taken = on_taken
        self._arrivals = _Arrivals()
        self._observer: BaseObserver | None = None
        self._run: ImportedRun | None = None
        self._tool = ""
        """What made the images of the open run: one program makes all of a run."""
        self._digests: list[str] = []
        self._last_taken = 0.0
        self._runs_changed = 0
        """When the folder of the runs was changed last, as it was looked at."""

    @property
    def polling_reason(self) -> str | None:
        """Why changes are only seen at the next look through the folder; None where events tell of them."""
        kind = network_share_type(self._folder)
        return f"{self._folder} is on {kind}, which sends no events" if kind else None

    def run(self, stop: threading.Event, on_report: Callable[[ImportReport], object] = lambda _: None) -> None:
        """Take in what is there, then what comes, until `stop` is set; `on_report` gets what was there.

        Raises:
            ConfigError: the folder cannot be a source.
            WatchedElsewhere: another process watches it.
            WriteFailed: the store would not take a run.
        """
        self._lock.acquire()
        try:
            self._start_observer()  # before the first look, so that nothing falls between
            root = self._importer.find_root(self._folder)
            report = self._importer.run(self._folder)
            on_report(report)
            with KnownImages(self._importer.store) as known:
                self._follow(root, known, report.import_id, stop)
        finally:
            self._stop_observer()
            self._lock.release()

    def _follow(self, root: SourceRoot, known: KnownImages, import_id: str, stop: threading.Event) -> None:
        rescan_seconds = _POLL_SECONDS if self.polling_reason else _RESCAN_SECONDS
        next_rescan = time.monotonic() + rescan_seconds
        try:
            while not stop.is_set():
                self._arrivals.came.wait(_TICK_SECONDS)
                self._arrivals.came.clear()
                self._take(root, known, import_id, self._arrivals.pop_due())
                if time.monotonic() - self._last_taken > _SEAL_SECONDS:
                    self._seal(known)
                if time.monotonic() >= next_rescan or (self._observer is not None and not self._is_observing):
                    self._rescan(root, known)
                    is_away = not self._folder.is_dir()
                    next_rescan = time.monotonic() + (_AWAY_SECONDS if is_away else rescan_seconds)
        finally:
            self._seal(known)

    def _take(self, root: SourceRoot, known: KnownImages, import_id: str, paths: list[str]) -> None:
        for path in paths:
            file = find_file(root.path, Path(path))
            if file is None or known.outcome(root.id, file) is not None:
                continue
            (read,) = read_files(root.path, [file])
            self._look_for_runs(known)
            if (read.problem is not None or read.is_cut_off) and _is_recent(file):
                self._arrivals.add(path, time.monotonic() + _AGAIN_SECONDS)  # it is still being written
                continue
            reason = self._importer.reason_against(read, known, self._digests)
            if reason is not None:
                if read.problem is not None:
                    continue  # the next look through the folder tries it again
                if reason != PACKED:  # what lacks may be installed at the next start
                    known.note(root.id, [(read.file, reason)])
                if reason == KNOWN:
                    MovedFiles(self._importer.store.root).note([(read.digest, root.id, read.file.path)])
                continue
            self._add(root, known, import_id, read)

    def _look_for_runs(self, known: KnownImages) -> None:
        """Learn of runs that others wrote meanwhile: a recorder inside the tool may have recorded this very image."""
        try:
            changed = self._importer.store.root.stat().st_mtime_ns
        except OSError:
            return
        if changed != self._runs_changed:
            self._runs_changed = changed
            known.refresh()

    def _add(self, root: SourceRoot, known: KnownImages, import_id: str, read: ReadFile) -> None:
        if self._run is not None and tool_of(read) != self._tool:
            self._seal(known)
        if self._run is None:
            self._run, self._tool = self._importer.open_run(root, import_id), tool_of(read)
        refused = len(self._run.refused)
        self._run.add([read])
        if len(self._run.refused) > refused:
            return  # the next look through the folder tries it again
        self._digests.append(read.digest)
        self._last_taken = time.monotonic()
        known.note(root.id, [(read.file, IMPORTED)])
        self._on_taken(read)
        if self._run.count >= MOST_IMAGES:
            self._seal(known)

    def _seal(self, known: KnownImages) -> None:
        run, self._run = self._run, None
        sealed = run.seal() if run is not None else None
        if sealed is not None:
            known.add(sealed, self._digests)
            self._digests = []

    def _rescan(self, root: SourceRoot, known: KnownImages) -> None:
        """Find what no event told of; and watch again a folder that was away."""
        if not self._folder.is_dir():
            self._stop_observer()
            return
        self._start_observer()
        now = time.monotonic()
        for file in FolderWalk(root.path, self._folder).files():
            if known.outcome(root.id, file) is None:
                self._arrivals.add(os.path.join(root.path, *file.path.split("/")), now)

    @property
    def _is_observing(self) -> bool:
        """Whether events come. A folder that is deleted or moved ends its emitter; the observer goes on without it."""
        observer = self._observer
        return bool(observer and observer.emitters and all(emitter.is_alive() for emitter in observer.emitters))

    def _start_observer(self) -> None:
        if self._is_observing:
            return
        self._stop_observer()
        from watchdog.observers import Observer  # noqa: PLC0415

        observer = Observer()
        try:
            observer.schedule(self._arrivals, os.fspath(self._folder), recursive=True)
            observer.start()
        except OSError:  # it went away at this moment; the next look finds it again
            return
        self._observer = observer

    def _stop_observer(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()


def _is_recent(file: FoundFile) -> bool:
    return time.time() - file.modified_ns / 1e9 < _WRITING_SECONDS


def watch_together(
    watches: Sequence[FolderWatch], stop: threading.Event, on_report: Callable[[ImportReport], object]
) -> None:
    """Run several watches, a thread each, until `stop` is set or one fails; `on_report` gets what each found at first.

    Raises:
        StableNewError, OSError: the first failure, when all others have ended.
    """
    with ThreadPoolExecutor(len(watches), thread_name_prefix="stablenew-watch") as pool:
        running = [pool.submit(watch.run, stop, on_report) for watch in watches]
        try:
            for done in as_completed(running):
                done.result()
        finally:
            stop.set()
