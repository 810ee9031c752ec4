"""Rows of runs in the tables of the index: deleted, replaced, inserted, each in a transaction of the caller."""

import json
import sqlite3
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from stablenew.index.index_schema import (
    CONTENT_TABLES,
    FULL_TEXT_TABLES,
    HASH_BITS,
    NO_IMAGE,
    NOTE,
    OPINION,
    OPINION_TABLES,
    PLACE,
    RUN,
    SCORE,
    TAG,
    TRASH,
    Row,
    Table,
    TextKind,
)
from stablenew.index.opinion_folding import DELETE_UNUSED, FOLD_TOUCHED, TOUCHED
from stablenew.index.reading.run_rows import RunRows
from stablenew.index.text_ids import BodyIds, ImageIds, TextIds, WordIds, with_ids

_identifier: Final = attrgetter("identifier")


class RowWriter:
    """Writes rows by one connection, and remembers the ids of texts that it has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.executescript(TOUCHED)
        self._texts: dict[TextKind, TextIds] = {
            "word": WordIds(connection),
            "image": ImageIds(connection),
            **{kind: BodyIds(connection, kind) for kind in FULL_TEXT_TABLES},
        }

    def forget_texts(self) -> None:
        """Look ids of texts up again: a transaction was rolled back."""
        for texts in self._texts.values():
            texts.forget()

    def begin(self) -> None:
        """Forget which images a change before this one touched."""
        self._connection.execute("DELETE FROM touched")

    def delete(self, identifier: int) -> None:
        """Delete a run, and the images that no other run has or has an opinion about."""
        self._touch(PLACE, identifier)
        self._delete_opinions(identifier)
        for table in CONTENT_TABLES:
            self._connection.execute(f"DELETE FROM {table.name} WHERE run = ?", (identifier,))
        self._connection.execute("DELETE FROM run WHERE id = ?", (identifier,))

    def _delete_opinions(self, identifier: int) -> None:
        for table in OPINION_TABLES:
            self._touch(table, identifier)
            for condition in _conditions(table):
                self._connection.execute(f"DELETE FROM {table.name} WHERE {condition}", {"run": identifier})

    def _touch(self, table: Table, identifier: int) -> None:
        """Remember the images of a run in a table: their ratings may change, or nothing may be left of them."""
        for column in table.image_columns:
            query = (
                f"INSERT OR IGNORE INTO touched(id) SELECT {column} FROM {table.name} WHERE {_conditions(table)[-1]}"
            )
            self._connection.execute(query, {"run": identifier})

    def replace_opinions(self, runs: Sequence[RunRows]) -> None:
        """Update runs of which only opinions and scores changed."""
        for rows in runs:
            self._delete_opinions(rows.identifier)
            self._connection.execute("DELETE FROM run WHERE id = ?", (rows.identifier,))
        self._insert_rows(RUN, [rows.run for rows in runs if rows.run])
        self._insert_opinions(runs)

    def _insert_opinions(self, runs: Sequence[RunRows]) -> None:
        for place, table in enumerate(OPINION_TABLES):
            self._insert_rows(table, [row for rows in runs for row in rows.opinions[place]])
            if table in (OPINION, TAG, NOTE, TRASH):
                ids = [(rows.identifier,) for rows in runs if rows.opinions[place]]
                query = f"INSERT OR IGNORE INTO touched(id) SELECT image FROM {table.name} WHERE run = ?"
                self._connection.executemany(query, ids)

    def fold_ratings(self, *, are_new: bool) -> None:
        """Bring the ratings of touched images up to date, and delete the images that nothing refers to any more."""
        connection = self._connection
        connection.execute("DELETE FROM touched WHERE id = ?", (NO_IMAGE,))
        if connection.execute("SELECT 1 FROM touched LIMIT 1").fetchone() is None:
            return
        for statement in FOLD_TOUCHED:
            connection.execute(statement)
        if not are_new and connection.execute(DELETE_UNUSED).rowcount:
            self._texts["image"].forget()

    def place(self, runs: Sequence[RunRows]) -> list[RunRows]:
        """Each run under a free id, sorted by id: the tables are faster to fill in that order."""
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
        base, slot = rows.identifier >> HASH_BITS, rows.identifier
        for probe in range(1, slots):
            identifier = base << HASH_BITS | (slot + probe) % slots
            query = "SELECT 1 FROM run WHERE id = ?"
            if identifier not in taken and self._connection.execute(query, (identifier,)).fetchone() is None:
                return identifier
        raise OverflowError(f"more than {slots} runs of one millisecond, {rows.run_id} among them")

    def insert(self, runs: Sequence[RunRows]) -> None:
        """Insert runs that the index does not have, under the ids that `place` gave them."""
        self._insert_rows(RUN, [rows.run for rows in runs if rows.run])
        for place, table in enumerate(CONTENT_TABLES):
            self._insert_rows(table, [row for rows in runs for row in rows.content[place]])
        self._insert_opinions(runs)

    def _insert_rows(self, table: Table, rows: Sequence[Row]) -> None:
        sources = {place: self._texts[kind].ids_of for place, kind in table.texts.items()}
        self._connection.executemany(table.insert_sql, with_ids(rows, sources))


def _conditions(table: Table) -> tuple[str, ...]:
    """What finds the rows of the run `:run` in a table, the last those whose images may be found in no other way."""
    if table is SCORE:
        return "image IN (SELECT image FROM place WHERE run = :run) AND run = :run", "run = :run AND is_apart"
    return ("run = :run",)
