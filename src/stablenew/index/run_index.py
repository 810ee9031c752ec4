"""RunIndex: writing the index. Only the process that holds the index's lock does so.

Followers are notified of each change by a `RunChange`.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from stablenew.index.index_schema import (
    FINISH,
    HASH_BITS,
    MAX_USE,
    RUN,
    USE_BITS,
    VARIANT,
    Row,
    Table,
    TextKind,
    open_for_writing,
)
from stablenew.index.reading.index_rows import RunRows, join_uses
from stablenew.index.text_ids import PromptIds, WordIds, with_ids

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

_identifier: Final = attrgetter("identifier")

_LABEL_TEXT: Final = 1
"""The place of the text in a label."""


class Known(NamedTuple):
    """The signatures of a run folder when it was last read: different ones mean that it changed."""

    folder_signature: int
    file_signature: int
    is_hot: bool


class _Change(NamedTuple):
    run_id: str
    kind: str
    old_id: int | None
    new_id: int | None


class RunIndex:
    """The index of one store, for writing. The caller holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_for_writing(path)
        self.inode = path.stat().st_ino
        self._texts: dict[TextKind, WordIds | PromptIds] = {
            "word": WordIds(self._connection),
            "prompt": PromptIds(self._connection, are_negative=False),
            "negative": PromptIds(self._connection, are_negative=True),
        }

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

    def known_of(self, run_id: str) -> Known | None:
        """The signatures of one run; None when the index does not have it."""
        query = "SELECT folder_signature, file_signature, is_hot FROM run WHERE run_id = ?"
        row = self._connection.execute(query, (run_id,)).fetchone()
        return None if row is None else Known(row[0], row[1], bool(row[2]))

    def hot_run_ids(self) -> list[str]:
        """The runs whose folders must be inspected every time, newest first."""
        return [row[0] for row in self._connection.execute("SELECT run_id FROM run WHERE is_hot ORDER BY id DESC")]

    def newest_run_ids(self, limit: int) -> list[str]:
        """The newest runs."""
        return [row[0] for row in self._connection.execute("SELECT run_id FROM run ORDER BY id DESC LIMIT ?", (limit,))]

    def state_of(self, run_id: str) -> str | None:
        """The state a run had when it was read."""
        query = "SELECT text FROM run JOIN name ON name.id = run.state WHERE run_id = ?"
        row = self._connection.execute(query, (run_id,)).fetchone()
        return None if row is None else str(row[0])

    def mark_settled(self, run_ids: Sequence[str]) -> None:
        """Record that the folders of these runs need not be inspected every time any more."""
        if not run_ids:
            return
        with self._transaction():
            rows = ((run_id,) for run_id in run_ids)
            self._connection.executemany("UPDATE run SET is_hot = 0 WHERE run_id = ?", rows)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            for texts in self._texts.values():
                texts.forget()
            raise
        self._connection.execute("COMMIT")

    def upsert_runs(self, runs: Sequence[RunRows], *, is_quiet: bool = False, are_new: bool = False) -> list[RunChange]:
        """Insert, replace or delete runs as they were read, in one transaction. Returns the changes.

        With `is_quiet` followers are not notified; `are_new` promises that the index has none of these runs.
        """
        latest = {rows.run_id: rows for rows in runs}
        with self._transaction():
            old_ids = {} if are_new else self._delete_known(latest)
            placed = self._place([rows for rows in latest.values() if rows.run is not None])
            self._insert(placed)
            new_ids = {rows.run_id: rows.identifier for rows in placed}
            changes = list(_iter_changes(latest, old_ids, new_ids))
            if not is_quiet:
                self._announce(changes)
        return [RunChange(change.kind, change.run_id) for change in changes]

    def finish_filling(self) -> None:
        """Build the SQL indexes that would have slowed the first filling down."""
        self._connection.executescript(f"BEGIN; {FINISH} COMMIT;")

    def announce_reset(self) -> None:
        """Notify followers that they should read everything again."""
        with self._transaction():
            self._announce([_Change("", RESET, None, None)])

    def _announce(self, changes: "list[_Change]") -> None:
        query = "INSERT INTO change(run_id, kind, old_id, new_id) VALUES (?, ?, ?, ?)"
        cursor = self._connection.executemany(query, changes)
        if cursor.rowcount > 0:
            query = "DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - ?"
            self._connection.execute(query, (KEPT_CHANGES,))

    def _delete_known(self, run_ids: Iterable[str]) -> dict[str, int]:
        """Delete those of these runs that the index has. Returns their ids."""
        query = "SELECT id FROM run WHERE run_id = ?"
        found = {run_id: self._connection.execute(query, (run_id,)).fetchone() for run_id in run_ids}
        old_ids = {run_id: int(row[0]) for run_id, row in found.items() if row is not None}
        for identifier in old_ids.values():
            self._delete(identifier)
        return old_ids

    def _delete(self, identifier: int) -> None:
        """Delete a run. The full-text table stores no text, so the words to delete must be passed to it."""
        query = "SELECT use, body FROM variant JOIN text ON text.id = variant.prompt WHERE run = ? ORDER BY position"
        for use, prompt in join_uses(self._connection.execute(query, (identifier,))):
            query = "INSERT INTO use_text(use_text, rowid, prompt) VALUES ('delete', ?, ?)"
            self._connection.execute(query, (identifier | use, prompt))
        self._connection.execute("DELETE FROM variant WHERE run = ?", (identifier,))
        self._connection.execute("DELETE FROM label WHERE at BETWEEN ? AND ?", (identifier, identifier | MAX_USE))
        self._connection.execute("DELETE FROM run WHERE id = ?", (identifier,))

    def _place(self, runs: Sequence[RunRows]) -> list[RunRows]:
        """Each run under a free id, sorted by id: the full-text table is faster to fill in that order."""
        query = "SELECT id FROM run WHERE id IN (SELECT value FROM json_each(?))"
        wanted = json.dumps([rows.identifier for rows in runs])
        taken = {row[0] for row in self._connection.execute(query, (wanted,))}
        placed = []
        for rows in runs:
            found = rows if rows.identifier not in taken else rows.moved_to(self._free_id(rows, taken))
            taken.add(found.identifier)
            placed.append(found)
        return sorted(placed, key=_identifier)

    def _free_id(self, rows: RunRows, taken: set[int]) -> int:
        """A free id of the same millisecond."""
        slots = 1 << HASH_BITS
        base, slot = rows.identifier >> USE_BITS + HASH_BITS, rows.identifier >> USE_BITS
        for probe in range(1, slots):
            identifier = (base << HASH_BITS | (slot + probe) % slots) << USE_BITS
            query = "SELECT 1 FROM run WHERE id = ?"
            if identifier not in taken and self._connection.execute(query, (identifier,)).fetchone() is None:
                return identifier
        raise OverflowError(f"more than {slots} runs of one millisecond, {rows.run_id} among them")

    def _insert(self, runs: Sequence[RunRows]) -> None:
        self._insert_rows(RUN, [rows.run for rows in runs if rows.run is not None])
        self._insert_rows(VARIANT, [row for rows in runs for row in rows.variants])
        labels = [row for rows in runs for row in rows.labels]
        numbered = with_ids(labels, {_LABEL_TEXT: self._texts["word"].ids_of})
        self._connection.executemany("INSERT OR IGNORE INTO label VALUES (?, ?, ?)", numbered)
        uses = [row for rows in runs for row in rows.uses]
        self._connection.executemany("INSERT INTO use_text(rowid, prompt) VALUES (?, ?)", uses)

    def _insert_rows(self, table: Table, rows: Sequence[Row]) -> None:
        sources = {place: self._texts[kind].ids_of for place, kind in table.texts.items()}
        self._connection.executemany(table.insert_sql, with_ids(rows, sources))


def _iter_changes(run_ids: Iterable[str], old_ids: Mapping[str, int], new_ids: Mapping[str, int]) -> Iterator[_Change]:
    for run_id in run_ids:
        old, new = old_ids.get(run_id), new_ids.get(run_id)
        if new is not None:
            yield _Change(run_id, RUN_ADDED if old is None else RUN_CHANGED, old, new)
        elif old is not None:
            yield _Change(run_id, RUN_REMOVED, old, None)
