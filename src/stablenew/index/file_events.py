"""FileEvents: file system events about a store. They are only hints: queues overflow, and network shares send none."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew.disk.network_share import network_share_type
from stablenew.disk.private_folder import make_private_folder
from stablenew.formats.run_id import is_run_id
from stablenew.store.change_hints import hints_path

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver


class FileEvents:
    """Collects file system events: the runs that may have changed, and that new hints were written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._condition = threading.Condition()
        self._names: set[str] = set()
        self._is_woken = False
        self._observer: BaseObserver | None = None
        self._watched = 0
        self.polling_reason: str | None = None

    def wait(self, timeout: float) -> set[str]:
        """The runs that events named, after at most `timeout` seconds."""
        with self._condition:
            if not self._names and not self._is_woken:
                self._condition.wait(timeout)
            names, self._names = self._names, set()
            self._is_woken = False
            return names

    def wake(self, *names: str) -> None:
        """End a wait, with these runs."""
        with self._condition:
            self._names.update(names)
            self._is_woken = True
            self._condition.notify_all()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Collect events inside the block, as far as the platform sends any."""
        self._listen()
        try:
            yield
        finally:
            self._end()

    def renew(self) -> bool:
        """Watch again if the store's folder was replaced by another; whether it was."""
        if self._watched == _inode(self._root):
            return False
        self._end()
        self._listen()
        return True

    def _listen(self) -> None:
        self._watched = _inode(self._root)
        share = network_share_type(self._root)
        if share is not None:
            self.polling_reason = f"{share} sends no events for what other machines write"
        elif self._watched == 0:
            self.polling_reason = f"there is no {self._root} yet"
        else:
            self._start_observer()

    def _start_observer(self) -> None:
        from watchdog.events import (  # noqa: PLC0415
            DirCreatedEvent,
            DirDeletedEvent,
            DirModifiedEvent,
            DirMovedEvent,
            FileClosedEvent,
            FileCreatedEvent,
            FileModifiedEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer  # noqa: PLC0415

        events = self

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: "FileSystemEvent") -> None:
                events.add(event)

        hints = hints_path(self._root)
        make_private_folder(hints.parent)
        # Without a filter, watchdog also reports its own listing of folders, in an endless loop.
        folders = [DirCreatedEvent, DirDeletedEvent, DirMovedEvent, DirModifiedEvent]
        files = [FileCreatedEvent, FileModifiedEvent, FileClosedEvent]
        observer = Observer()
        try:
            observer.schedule(Handler(), str(self._root), recursive=False, event_filter=folders)
            observer.schedule(Handler(), str(hints.parent), recursive=False, event_filter=files)
            observer.start()
        except OSError as error:
            self.polling_reason = f"the system allows no more watches ({error.strerror or error})"
            with contextlib.suppress(RuntimeError):
                observer.stop()
            return
        self.polling_reason = None
        self._observer = observer

    def _end(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def add(self, event: "FileSystemEvent") -> None:
        """Add the runs that an event is about."""
        paths = (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))
        names = [os.path.basename(path) for path in paths if os.path.dirname(path) == str(self._root)]
        self.wake(*(name for name in names if is_run_id(name)))


def _inode(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_ino
    return 0
