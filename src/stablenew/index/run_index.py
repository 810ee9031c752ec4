"""RunIndex: writing the index. Only the process that holds the index's lock does so.

Followers are notified of each change by a `RunChange`.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from stablenew.index.index_file import open_for_writing
from stablenew.index.index_schema import (
    CONTENT_TABLES,
    FINISH,
    OPINION_TABLES,
    PLACE,
    RUN_IS,
    TAG,
)
from stablenew.index.picture_links import SamePictures, concerns_copies, link_copies, runs_about
from stablenew.index.reading.run_rows import RunRows
from stablenew.index.row_writer import RowWriter

RUN_ADDED: Final = "run_added"
RUN_CHANGED: Final = "run_changed"
RUN_REMOVED: Final = "run_removed"
RESET: Final = "reset"
"""So much changed at once that followers should read everything again."""


class RunChange(NamedTuple):
    """One change; the run id is empty for a reset."""

    kind: str
    run_id: str


KEPT_CHANGES: Final = 100_000
_PICTURES_MARK: Final = "pictures_mark"
"""What was known of copies when they were linked last; absent where more of them may have come since."""


class Known(NamedTuple):
    """The signatures of a run folder when it was last read: different ones mean that it changed."""

    folder_signature: int
    file_signature: int
    is_hot: bool


class HotRun(NamedTuple):
    """A run whose folder may change at any time, as it was when it was last read."""

    run_id: str
    state: str
    folder_signature: int
    file_signature: int

    @property
    def known(self) -> Known:
        """Its signatures."""
        return Known(self.folder_signature, self.file_signature, is_hot=True)


class _Change(NamedTuple):
    run_id: str
    kind: str
    old_id: int | None
    new_id: int | None
    is_content: bool = True
    """Whether anything but opinions and scores changed."""


class RunIndex:
    """The index of one store, for writing. The caller holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_for_writing(path)
        self._rows = RowWriter(self._connection)
        self.pictures: SamePictures | None = None
        """Which images have the same pixels, where whoever keeps the index follows that."""
        self.inode = path.stat().st_ino
        self._hot: tuple[int, list[HotRun]] | None = None

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(sqlite3.DatabaseError):
            self._connection.execute("PRAGMA optimize")
        self._connection.close()

    def get_meta(self, key: str, default: Any = None) -> Any:
        """A value of the index's own metadata."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def set_meta(self, **values: Any) -> None:
        """Set values of the index's own metadata."""
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def known(self) -> dict[str, Known]:
        """The signatures of every run, by run id."""
        rows = self._connection.execute("SELECT run_id, folder_signature, file_signature, is_hot FROM run")
        return {run_id: Known(folder, file, bool(is_hot)) for run_id, folder, file, is_hot in rows}

    def hot_runs(self) -> list[HotRun]:
        """The runs whose folders may change at any time, newest first."""
        change_count = self._connection.total_changes  # nobody else writes the index
        if self._hot is None or self._hot[0] != change_count:
            self._hot = change_count, list(map(HotRun._make, self._connection.execute(_HOT_RUNS)))
        return self._hot[1]

    def mark_settled(self, run_ids: Sequence[str]) -> None:
        """Record that the folders of these runs need not be inspected every time any more."""
        if not run_ids:
            return
        with self._transaction():
            rows = ((run_id,) for run_id in run_ids)
            self._connection.executemany(f"UPDATE run SET is_hot = 0 WHERE {RUN_IS}", rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._rows.forget_texts()
            raise
        self._connection.execute("COMMIT")

    def upsert_runs(self, runs: Sequence[RunRows], *, is_quiet: bool = False, are_new: bool = False) -> list[RunChange]:
        """Insert, replace or delete runs as they were read, in one transaction. Returns the changes.

        With `is_quiet` followers are not notified; `are_new` promises that the index has none of these runs.
        """
        latest = {rows.run_id: rows for rows in runs}
        with self._transaction():
            known = {} if are_new else self._find_stored(latest)
            self._rows.begin()
            opined = [rows for run_id, rows in latest.items() if _is_same_content(rows, known.get(run_id))]
            self._notice_copies(latest.values(), known.values())
            self._rows.replace_opinions([_moved_to(known[rows.run_id].identifier, rows) for rows in opined])
            same = {rows.run_id for rows in opined}
            for run_id, stored in known.items():
                if run_id not in same:
                    self._rows.delete(stored.identifier)
            placed = self._rows.place([rows for rows in latest.values() if rows.run and rows.run_id not in same])
            self._rows.insert(placed)
            self._rows.fold_ratings(are_new=are_new)
            new_ids = {rows.run_id: rows.identifier for rows in placed}
            changes = list(_iter_changes(latest, known, new_ids, same))
            if not is_quiet:
                self._announce(changes)
        return [RunChange(change.kind, change.run_id) for change in changes]

    def _notice_copies(self, runs: Iterable[RunRows], replaced: "Iterable[_Stored]") -> None:
        """Where copies may come or go, have them linked before long."""
        places = (row for rows in runs if rows.content for row in rows.content[CONTENT_TABLES.index(PLACE)])
        tags = (row for rows in runs if rows.opinions for row in rows.opinions[OPINION_TABLES.index(TAG)])
        same = self.pictures.current() if self.pictures else {}
        if concerns_copies(self._connection, same, places, tags, [stored.identifier for stored in replaced]):
            self._connection.execute("DELETE FROM meta WHERE key = ?", (_PICTURES_MARK,))

    def link_pictures(self) -> list[RunChange]:
        """Make images with the same pixels, and those that a person said are copies, one picture each."""
        mark = self.pictures.mark if self.pictures else ""
        if self.get_meta(_PICTURES_MARK) == mark:
            return []
        same = self.pictures.current() if self.pictures else {}
        with self._transaction():
            self._rows.begin()
            images = ((image,) for image in link_copies(self._connection, same))
            self._connection.executemany("INSERT INTO touched(id) VALUES (?)", images)
            about = runs_about(self._connection)
            self._rows.fold_ratings(are_new=False)
            self._announce([_Change(run_id, RUN_CHANGED, identifier, identifier) for identifier, run_id in about])
            self.set_meta(**{_PICTURES_MARK: mark})
        return [RunChange(RUN_CHANGED, run_id) for _, run_id in about]

    def finish_filling(self) -> None:
        """Build the SQL indexes that would have slowed the first filling down."""
        self._connection.executescript(f"BEGIN; {FINISH} COMMIT;")

    def announce_reset(self) -> None:
        """Notify followers that they should read everything again."""
        with self._transaction():
            self._announce([_Change("", RESET, None, None)])

    def _announce(self, changes: "list[_Change]") -> None:
        query = "INSERT INTO change(run_id, kind, old_id, new_id, is_content) VALUES (?, ?, ?, ?, ?)"
        cursor = self._connection.executemany(query, changes)
        if cursor.rowcount > 0:
            query = "DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - ?"
            self._connection.execute(query, (KEPT_CHANGES,))

    def _find_stored(self, run_ids: Iterable[str]) -> "dict[str, _Stored]":
        """Those of these runs that the index has."""
        query = f"SELECT id, content_signature FROM run WHERE {RUN_IS}"
        found = {run_id: self._connection.execute(query, (run_id,)).fetchone() for run_id in run_ids}
        return {run_id: _Stored(*row) for run_id, row in found.items() if row is not None}


_HOT_RUNS: Final = """
    SELECT run_id, text, folder_signature, file_signature FROM run JOIN name ON name.id = run.state
    WHERE is_hot ORDER BY run.id DESC
"""


class _Stored(NamedTuple):
    """What the index has of a run before an update."""

    identifier: int
    content_signature: int


def _moved_to(identifier: int, rows: RunRows) -> RunRows:
    return rows if rows.identifier == identifier else rows.moved_to(identifier)


def _is_same_content(rows: RunRows, stored: _Stored | None) -> bool:
    return rows.run is not None and stored is not None and rows.content_signature == stored.content_signature


def _iter_changes(
    run_ids: Iterable[str], stored: Mapping[str, _Stored], new_ids: Mapping[str, int], same: Collection[str]
) -> Iterator[_Change]:
    for run_id in run_ids:
        old = stored[run_id].identifier if run_id in stored else None
        if run_id in same:
            yield _Change(run_id, RUN_CHANGED, old, old, is_content=False)
        elif run_id in new_ids:
            yield _Change(run_id, RUN_ADDED if old is None else RUN_CHANGED, old, new_ids[run_id])
        elif old is not None:
            yield _Change(run_id, RUN_REMOVED, old, None)
