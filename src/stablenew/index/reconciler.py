"""Reconciling the index with the run folders: only what changed is read.

A sweep lists the store, compares the signature of every run folder with the stored one, and reads those that differ.
A file that is written in place does not change the folder, only the file signature. That one is compared for hot runs
(not sealed, or written a moment ago) every time, and for one run folder in `SLICES` with each sweep, in turn.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stablenew import garbage_collection
from stablenew.disk.folder_signature import YOUNG_NS, folder_signature
from stablenew.formats.run_id import is_run_id
from stablenew.index.reading.folder_snapshot import (
    UNREADABLE,
    is_marked_unread,
    mark_unread,
    root_signature,
    take_snapshot,
)
from stablenew.index.reading.reader_pool import iter_rows
from stablenew.index.run_index import RUN_ADDED, RUN_CHANGED, RUN_REMOVED, Known, RunChange, RunIndex
from stablenew.store.change_hints import NOWHERE, end_of_hints, hints_path, read_hints
from stablenew.store.run_folder import is_run_entry

SLICES: Final = 32
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
    root_signature: int = 0


class Reconciler:
    """Reconciles one index with one store. The caller holds the index's lock."""

    def __init__(self, index: RunIndex, root: Path) -> None:
        self.index = index
        self._root = root

    def sweep(self, *, deep: bool = False, progress: Progress | None = None) -> Changes:
        """Find and read everything that changed; with `deep`, inspect every folder.

        A sweep may be interrupted at any moment; the next one continues from there.
        """
        started = time.perf_counter()
        hints_place = end_of_hints(hints_path(self._root))
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
        place, path = self.index.get_meta("hints_place", NOWHERE), hints_path(self._root)
        if end_of_hints(path) == place:
            return Changes()
        run_ids, end, is_whole = read_hints(path, place)
        if not is_whole:
            return None
        changes = self.update(run_ids)
        self.index.set_meta(hints_place=end)
        return changes

    def check_hot_runs(self) -> Changes:
        """Inspect the runs that are being written, or were a moment ago; read those that changed."""
        scan = _Scan()
        for run_id in self.index.hot_run_ids():
            self._inspect(run_id, self.index.known_of(run_id), scan)
        self.index.mark_settled(scan.settled)
        return self._read(scan.to_read)

    def _scan(self, known: dict[str, Known], part: int) -> _Scan:
        """List the store. Consumes `known`: the runs left over at the end have disappeared."""
        scan = _Scan()
        try:
            scan.root_signature = root_signature(self._root)
            with os.scandir(self._root) as entries:
                for entry in entries:
                    name = entry.name
                    if is_run_id(name) and entry.is_dir(follow_symlinks=False):
                        self._compare(entry, known.pop(name, None), part, scan)
        except (FileNotFoundError, NotADirectoryError):
            scan.root_signature = 0
        scan.new.sort(reverse=True)  # so that the newest runs are searchable first
        scan.to_read.extend(known)
        return scan

    def _compare(self, entry: os.DirEntry[str], before: Known | None, part: int, scan: _Scan) -> None:
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
        elif before.is_hot or part == SLICES or entry.inode() % SLICES == part:
            self._inspect(entry.name, before, scan)

    def _inspect(self, run_id: str, before: Known | None, scan: _Scan) -> None:
        try:
            snapshot = take_snapshot(os.path.join(self._root, run_id))
        except OSError:
            if before is None or before.file_signature != UNREADABLE:  # otherwise it is unchanged
                scan.to_read.append(run_id)
            return
        signature = snapshot.file_signature
        if before is not None and is_marked_unread(before.file_signature):
            signature = mark_unread(signature)
        if before is None or (snapshot.folder_signature, signature) != before[:2]:
            scan.to_read.append(run_id)
        elif is_marked_unread(signature):
            self._retry(run_id, scan)
        elif before.is_hot:
            self._compare_state(run_id, snapshot.newest_ns, scan)

    def _retry(self, run_id: str, scan: _Scan) -> None:
        """A document that could not be read may be readable now, without a trace in its folder."""
        from stablenew.index.reading.run_reading import RunReader  # noqa: PLC0415

        if RunReader(self._root).is_readable(run_id):
            scan.to_read.append(run_id)

    def _compare_state(self, run_id: str, newest_ns: int, scan: _Scan) -> None:
        """A run that is not sealed changes state when its writer dies, without a trace in its folder."""
        from stablenew.store.run import SEALED, Run  # noqa: PLC0415

        state = self.index.state_of(run_id)
        if state == SEALED:
            if newest_ns < time.time_ns() - YOUNG_NS:
                scan.settled.append(run_id)
        elif Run(self._root / run_id).state != state:
            scan.to_read.append(run_id)

    def _read(
        self, run_ids: list[str], *, is_quiet: bool = False, are_new: bool = False, progress: Progress | None = None
    ) -> Changes:
        changes = Changes()
        waiting = []
        done = 0
        with garbage_collection.paused():
            for runs in iter_rows(self._root, run_ids):
                waiting.extend(runs)
                done += len(runs)
                if len(waiting) >= BATCH or done == len(run_ids):
                    changes.add(self.index.upsert_runs(waiting, is_quiet=is_quiet, are_new=are_new))
                    waiting.clear()
                    if progress is not None:
                        progress(done, len(run_ids))
        return changes
