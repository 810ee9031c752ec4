"""Reconciling the index with the run folders: only what changed is read.

A sweep lists the store, compares the signature of every run folder with the stored one, and reads those that differ.
A look does the same for hot runs (not whole, or written a moment ago). A file that is written in place does not change
the folder, only the file signature. That one is compared every time for runs that are being written, were written a
moment ago, or are among the newest hot ones; for all others in turn, one in `SLICES` with each look and each sweep.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stablenew import garbage_collection
from stablenew.disk.folder_signature import YOUNG_NS, folder_signature, looking_into
from stablenew.formats.run_id import is_run_id
from stablenew.index.picture_links import SamePictures
from stablenew.index.reading.folder_snapshot import (
    UNREADABLE,
    FolderSnapshot,
    is_marked_unread,
    mark_unread,
    root_signature,
    take_snapshot,
)
from stablenew.index.reading.reader_pool import iter_rows
from stablenew.index.reading.run_rows import RunRows
from stablenew.index.run_index import RUN_ADDED, RUN_CHANGED, RUN_REMOVED, HotRun, Known, RunChange, RunIndex
from stablenew.store.change_hints import NOWHERE, end_of_hints, hints_path, read_hints
from stablenew.store.run_folder import SEAL, is_run_entry

SLICES: Final = 32
NEWEST_HOT: Final = 16
"""So many of the newest hot runs are inspected every time: another machine may be writing one of them."""
BATCH: Final = 2_000
MANY_CHANGES: Final = 20_000
"""From this number on, followers are notified of a reset instead of each change."""

Progress = Callable[[int, int], None]
"""Called with the number of runs read so far, and of runs to read."""


@dataclass(slots=True)
class Changes:
    """The run ids that a sweep found added, changed or removed."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def add(self, changes: Iterable[RunChange]) -> None:
        """Add the changes of one transaction of the index."""
        lists = {RUN_ADDED: self.added, RUN_CHANGED: self.changed, RUN_REMOVED: self.removed}
        for change in changes:
            lists[change.kind].append(change.run_id)

    def extend(self, more: "Changes") -> None:
        """Add the changes of another sweep."""
        self.added += more.added
        self.changed += more.changed
        self.removed += more.removed

    def __len__(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed)


@dataclass(slots=True)
class _Scan:
    """The work that a listing of the store leads to."""

    new: list[str] = field(default_factory=list)
    to_read: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    """What each hot run was when it was last read."""
    root_signature: int = 0


class Reconciler:
    """Reconciles one index with one store. The caller holds the index's lock."""

    def __init__(self, index: RunIndex, root: Path) -> None:
        self.index = index
        self._root = root
        self._hints = hints_path(root)
        self._looks = time.time_ns()  # programs that look only once do not all begin with the same slice
        index.pictures = SamePictures(root)

    def sweep(self, *, deep: bool = False, progress: Progress | None = None) -> Changes:
        """Find and read everything that changed; with `deep`, inspect every folder.

        A sweep may be interrupted at any moment; the next one continues from there.
        """
        started = time.perf_counter()
        hints_place = end_of_hints(self._hints)
        number = int(self.index.get_meta("sweep_number", 0)) + 1
        known = self.index.known()
        scan = self._scan(known, SLICES if deep else number % SLICES)
        self.index.mark_settled(scan.settled)
        scanned = time.perf_counter()
        is_first = not self.index.get_meta("is_complete", 0)
        is_much = is_first or len(scan.new) + len(scan.to_read) > MANY_CHANGES
        changes = self._read(scan.new, is_quiet=is_much, are_new=True, progress=progress)
        changes.extend(self._read(scan.to_read, is_quiet=is_much, progress=progress))
        if is_first:
            self.index.finish_filling()
        if is_much:
            self.index.announce_reset()
        self.index.set_meta(
            is_complete=1,
            hints_place=hints_place,
            root_signature=scan.root_signature,
            sweep_number=number,
            sweep_seconds=scanned - started,
            swept_at=time.time(),
        )
        return changes

    def update(self, run_ids: Iterable[str]) -> Changes:
        """Read these runs again, whether they changed or not."""
        return self._read([run_id for run_id in run_ids if is_run_id(run_id)])

    def apply_hints(self) -> Changes | None:
        """Read the runs that programs on this machine reported to have written; None when hints were lost."""
        place = self.index.get_meta("hints_place", NOWHERE)
        if end_of_hints(self._hints) == place:
            return Changes()
        run_ids, end, is_whole = read_hints(self._hints, place)
        if not is_whole:
            return None
        changes = self.update(run_ids)
        self.index.set_meta(hints_place=end)
        return changes

    def check_hot_runs(self) -> Changes:
        """Look at the runs that are being written, were a moment ago, or are not whole; read those that changed."""
        hot = self.index.hot_runs()
        attended = _attended(hot)
        self._looks += 1
        scan = _Scan(states={run.run_id: run.state for run in hot})
        for run, signature in zip(hot, _folder_signatures(self._root, hot) if hot else (), strict=True):
            is_turn = run.folder_signature % SLICES == self._looks % SLICES
            if signature != run.folder_signature:
                scan.to_read.append(run.run_id)
            elif is_turn or run.run_id in attended:
                self._inspect(run.run_id, run.known, scan)
        return self._finish_look(scan)

    def check_attended_runs(self) -> Changes:
        """The same only for runs that are being written, were a moment ago, or are the newest that are not whole."""
        attended = _attended(self.index.hot_runs())
        scan = _Scan(states={run.run_id: run.state for run in attended.values()})
        for run in attended.values():
            self._inspect(run.run_id, run.known, scan)
        return self._finish_look(scan)

    def _finish_look(self, scan: _Scan) -> Changes:
        self.index.mark_settled(scan.settled)
        return self._read(scan.to_read)

    def _scan(self, known: dict[str, Known], part: int) -> _Scan:
        """List the store. Consumes `known`: the runs left over at the end have disappeared."""
        hot = self.index.hot_runs()
        scan = _Scan(states={run.run_id: run.state for run in hot})
        attended = _attended(hot)
        try:
            scan.root_signature = root_signature(self._root)
            with os.scandir(self._root) as entries:
                for entry in entries:
                    name = entry.name
                    if is_run_id(name) and entry.is_dir(follow_symlinks=False):
                        is_turn = name in attended or part == SLICES or entry.inode() % SLICES == part
                        self._compare(entry, known.pop(name, None), scan, is_turn=is_turn)
        except (FileNotFoundError, NotADirectoryError):
            scan.root_signature = 0
        scan.new.sort(reverse=True)  # so that the newest runs are searchable first
        scan.to_read.extend(known)
        return scan

    def _compare(self, entry: os.DirEntry[str], before: Known | None, scan: _Scan, *, is_turn: bool) -> None:
        if before is None:
            if is_run_entry(entry):
                scan.new.append(entry.name)
            return
        try:
            signature = folder_signature(entry.stat(follow_symlinks=False))
        except OSError:
            signature = -1
        if before.folder_signature != signature:
            scan.to_read.append(entry.name)
        elif is_turn:
            self._inspect(entry.name, before, scan)

    def _inspect(self, run_id: str, before: Known | None, scan: _Scan) -> None:
        try:
            snapshot = take_snapshot(os.path.join(self._root, run_id))
        except OSError:
            if before is None or before.file_signature != UNREADABLE:  # otherwise it is unchanged
                scan.to_read.append(run_id)
            return
        is_unread = before is not None and is_marked_unread(before.file_signature)
        signature = mark_unread(snapshot.file_signature) if is_unread else snapshot.file_signature
        if before is None or (snapshot.folder_signature, signature) != before[:2]:
            scan.to_read.append(run_id)
        elif is_unread:
            self._retry(run_id, scan)
        elif before.is_hot:
            self._compare_state(run_id, snapshot, scan)

    def _retry(self, run_id: str, scan: _Scan) -> None:
        """A document that could not be read may be readable now, without a trace in its folder."""
        from stablenew.index.reading.run_reading import RunReader  # noqa: PLC0415

        if RunReader(self._root).is_readable(run_id):
            scan.to_read.append(run_id)

    def _compare_state(self, run_id: str, snapshot: FolderSnapshot, scan: _Scan) -> None:
        """A run that is not whole changes state without a trace in its folder: its writer dies, an output grows."""
        from stablenew.store.run import Run  # noqa: PLC0415
        from stablenew.store.run_folder import RUNNING, SEALED  # noqa: PLC0415
        from stablenew.store.run_lock import RunLock  # noqa: PLC0415

        state = scan.states[run_id]
        if state == SEALED:
            if snapshot.newest_ns < time.time_ns() - YOUNG_NS:
                scan.settled.append(run_id)
        elif SEAL in snapshot.names:
            if Run(self._root / run_id).state != state:
                scan.to_read.append(run_id)
        elif RunLock(self._root, run_id).is_held() != (state == RUNNING):
            scan.to_read.append(run_id)

    def _read(
        self, run_ids: list[str], *, is_quiet: bool = False, are_new: bool = False, progress: Progress | None = None
    ) -> Changes:
        changes = Changes()
        if run_ids:
            with garbage_collection.paused():
                for done, rows in self._iter_batches(run_ids):
                    changes.add(self.index.upsert_runs(rows, is_quiet=is_quiet, are_new=are_new))
                    if progress is not None:
                        progress(done, len(run_ids))
        changes.add(self.index.link_pictures())
        return changes

    def _iter_batches(self, run_ids: list[str]) -> Iterator[tuple[int, list[RunRows]]]:
        """The rows of the runs, so many at a time as one transaction writes, and how many runs were read by then."""
        waiting: list[RunRows] = []
        done = 0
        for rows in iter_rows(self._root, run_ids):
            waiting += rows
            done += len(rows)
            if len(waiting) >= BATCH or done == len(run_ids):
                yield done, waiting
                waiting = []


def _attended(hot: list[HotRun]) -> dict[str, HotRun]:
    """The runs that are inspected every time; `hot` has the newest first."""
    if not hot:
        return {}
    from stablenew.store.run_folder import RUNNING, SEALED  # noqa: PLC0415

    return {run.run_id: run for place, run in enumerate(hot) if place < NEWEST_HOT or run.state in (RUNNING, SEALED)}


def _folder_signatures(root: Path, runs: Iterable[HotRun]) -> Iterator[int]:
    """The signatures of run folders as they are now; -1 for one that is gone."""
    try:
        with looking_into(os.fspath(root)) as status_of:
            for run in runs:
                try:
                    yield folder_signature(status_of(run.run_id))
                except OSError:
                    yield -1
    except OSError:
        yield from (-1 for _ in runs)
