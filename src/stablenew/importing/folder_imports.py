"""FolderImports: what the page does with folders: proposes, previews, takes in, watches while it runs."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.errors import ConfigError, StableNewError, WatchedElsewhere
from stablenew.importing.folder_watch import FolderWatch
from stablenew.importing.import_preview import ImportPreview, preview_import
from stablenew.importing.importer import Importer, ImportReport
from stablenew.importing.pixel_index import update_beside
from stablenew.importing.usual_places import ImagePlace, find_places
from stablenew.store.run_store import RunStore
from stablenew.store.source_roots import SourceRoot, SourceRoots

_END_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 10.0
_PROGRAM: Final = "the page (stablenew serve)"


@dataclass(slots=True)
class _Watching:
    """A watch that runs in a thread of its own."""

    thread: threading.Thread
    stop: threading.Event = field(default_factory=threading.Event)
    problem: str | None = None

    def clear_problem(self, _report: ImportReport) -> None:
        """Note that it works."""
        self.problem = None


class FolderImports:
    """The folders of one store, for as long as a server runs. Threads may share it."""

    def __init__(self, store: RunStore) -> None:
        self._importer = Importer(store)
        self._roots = SourceRoots(store.root)
        self._guard = threading.Lock()
        self._watches: dict[str, _Watching] = {}

    def find_places(self) -> list[ImagePlace]:
        """Folders of known tools on this machine that are not a source yet."""
        known = [root.path for root in self._roots.list()]
        return [place for place in find_places() if not any(place.path.is_relative_to(path) for path in known)]

    def describe_sources(self) -> list[dict[str, Any]]:
        """The sources, whether each is there and watched, and what is wrong with its watch."""
        watches = dict(self._watches)
        return [
            {
                "id": root.id,
                "path": str(root.path),
                "is_there": root.path.is_dir(),
                "is_watched": root.is_watched,
                "problem": watches[root.id].problem if root.id in watches else None,
            }
            for root in self._roots.list()
        ]

    def preview(self, path: str) -> ImportPreview:
        """What an import of a folder would take in.

        Raises:
            ConfigError: it is not a folder that can be taken in.
        """
        return preview_import(self._importer, read_folder(path))

    def run(
        self, paths: Sequence[str], on_progress: Callable[[int, int], object], *, is_watched: bool = False
    ) -> list[ImportReport]:
        """Take folders in, one after the other; then watch them if `is_watched`.

        Raises:
            ConfigError: one is not a folder that can be taken in; then nothing was.
        """
        folders = [read_folder(path) for path in paths]
        for folder in folders:
            self._importer.check_folder(folder)
        reports = []
        for folder in folders:
            reports.append(self._importer.run(folder, lambda report: on_progress(report.read, report.to_read)))
            if is_watched:
                self.watch(self._importer.find_root(folder).id)
        if any(report.run_ids for report in reports):
            update_beside(self._importer.store)
        return reports

    def watch(self, root_id: str) -> None:
        """Take in what is saved beneath a source from now on, also after the next start.

        Raises:
            ConfigError: there is no such source.
        """
        self._start(self._roots.set_watched(root_id, is_watched=True))

    def unwatch(self, root_id: str) -> None:
        """Let a source be from now on.

        Raises:
            ConfigError: there is no such source.
        """
        self._roots.set_watched(root_id, is_watched=False)
        with self._guard:
            watching = self._watches.pop(root_id, None)
        if watching is not None:
            watching.stop.set()

    def resume(self) -> None:
        """Go on with the watches that ran when the page was open last."""
        for root in self._roots.list():
            if root.is_watched:
                self._start(root)

    def stop(self) -> None:
        """End all watches; what they took in is sealed."""
        with self._guard:
            ending, self._watches = list(self._watches.values()), {}
        for watching in ending:
            watching.stop.set()
        for watching in ending:
            watching.thread.join(_END_SECONDS)

    def _start(self, root: SourceRoot) -> None:
        with self._guard:
            running = self._watches.get(root.id)
            if running is not None and running.thread.is_alive():
                return
            thread = threading.Thread(
                target=lambda: self._follow(root, watching), name=f"stablenew-watch-{root.id}", daemon=True
            )
            watching = self._watches[root.id] = _Watching(thread)
        thread.start()

    def _follow(self, root: SourceRoot, watching: _Watching) -> None:
        while not watching.stop.is_set():
            try:
                FolderWatch(self._importer, root.path, program=_PROGRAM).run(watching.stop, watching.clear_problem)
            except WatchedElsewhere as error:  # whoever watches it may end
                watching.problem = str(error)
                watching.stop.wait(_AGAIN_SECONDS)
            except (StableNewError, OSError) as error:
                watching.problem = str(error)
                return


def read_folder(text: str) -> Path:
    """The folder that somebody typed, `~` for their own.

    Raises:
        ConfigError: it is not absolute, or not there.
    """
    cleaned = text.strip().strip("\"'")
    try:
        path = Path(cleaned).expanduser()
        is_there = path.is_dir()
    except (RuntimeError, ValueError, OSError):
        raise ConfigError(f"expected a folder, found {text[:200]!r}") from None
    if not cleaned or not path.is_absolute():
        raise ConfigError(f"expected the whole path of a folder, such as {Path.home()}; found {text[:200]!r}")
    if not is_there:
        raise ConfigError(f"there is no folder {path}")
    if path.resolve() == path.resolve().parent:
        raise ConfigError(f"{path} is a whole disk; name the folder of images in it")
    return path
