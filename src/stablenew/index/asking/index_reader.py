"""IndexReader: asking the index. Any number of processes may do so while one writes."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.index.index_schema import FIELD_PACK, FIELD_TAG, LARGEST_ID, MAX_USE, open_for_reading, sqlite_errors
from stablenew.index.stored_values import MAX_SHOWN_OUTPUTS, unpack_outputs, write_seed

if TYPE_CHECKING:
    from stablenew.formats.query_language import Pattern, Query
    from stablenew.index.asking.query_sql import QueryCompiler, Sql, Walk

TIME: Final = "time"
OLDEST: Final = "oldest"
SORTS: Final = {
    "rating": "r.stars",
    "duration": "r.duration",
    "outputs": "r.output_count",
    "variants": "r.record_count",
}
"""What else than time pages can be sorted by: the largest first, what is not known last."""

Row = dict[str, Any]
"""A run in the JSON form of JobSummary."""
_MOST_PARAMETERS: Final = 500
Cursor = tuple[Any, ...]
"""Where a page ended: what the next one starts after."""


class IndexReader:
    """One index, read. Threads may share it and take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._names: list[tuple[int, str]] = []

    def __del__(self) -> None:
        """A reader that somebody forgot lets go of its file all the same."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        """The connection; a new one when the index was made anew under the same name."""
        inode = self.path.stat().st_ino if self.path.exists() else 0
        if inode != self._inode:
            self.close()
            self._names = []
        if self._connection is None and inode:
            self._connection = open_for_reading(self.path)
            self._inode = inode
        return self._connection

    def fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one SQL query; none when there is no index."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            return [] if connection is None else connection.execute(query, parameters).fetchall()

    def iter_chunks(self, query: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one SQL query, `size` at a time."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            if connection is None:
                return
            cursor = connection.execute(query)
            while rows := cursor.fetchmany(size):
                yield rows

    def get_meta(self, key: str, default: Any = None) -> Any:
        """A fact about the index itself."""
        rows = self.fetch("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else default

    @property
    def is_complete(self) -> bool:
        """Whether the index was filled once; until then it holds only the newest runs."""
        return bool(self.get_meta("is_complete", 0))

    def changes_since(self, sequence: int) -> list[tuple[int, str, str]]:
        """(number, run id, what happened) of everything after the change of that number."""
        return self.fetch("SELECT seq, run_id, kind FROM change WHERE seq > ? ORDER BY seq", (sequence,))

    def last_change(self) -> tuple[str, int]:
        """Which index this is (one made anew is another), and the number of the last change in it."""
        which = "(SELECT value FROM meta WHERE key = 'token')"
        last = "(SELECT seq FROM sqlite_sequence WHERE name = 'change')"
        rows = self.fetch(f"SELECT {which}, {last}")
        return (str(rows[0][0]), int(rows[0][1] or 0)) if rows else ("", 0)

    def find_names(self, patterns: "Sequence[Pattern]") -> list[int]:
        """The numbers of the words that fit one of the patterns. A pack fits by its name or its id."""
        matchers = [pattern.matcher() for pattern in patterns]
        return [
            number
            for number, text in self.names()
            if any(matches(part) for part in text.split("\0") for matches in matchers)
        ]

    def names(self) -> list[tuple[int, str]]:
        """Every word, in the order of its number."""
        with self._guard:
            last = self._names[-1][0] if self._names else 0
            self._names += self.fetch("SELECT id, text FROM name WHERE id > ? ORDER BY id", (last,))
            return self._names

    def name(self, number: int) -> str:
        """The word of a number."""
        if number > len(self._names):
            self.names()
        return self._names[number - 1][1]

    def _name_or_none(self, number: int | None) -> str | None:
        return None if number is None else self.name(number)

    def find_ids(
        self, query: "Query", *, limit: int, after: Cursor | None = None, sort: str = TIME, is_ascending: bool = False
    ) -> list[Cursor]:
        """The runs that fit, in order, as cursors: (id,) by time, else (value, id). `after` is where to go on."""
        from stablenew.index.asking.query_sql import PLAIN_WALK, QueryCompiler  # noqa: PLC0415

        with self._guard:
            compiler = QueryCompiler(query, self.find_names)
            if sort != TIME:
                return self._find_sorted(compiler.where(), SORTS[sort], after, limit)
            where = compiler.where()
            few = self._few(compiler) if query.conditions and self.is_complete else None
            walk = PLAIN_WALK if few is not None or not self.is_complete else compiler.walk()
            if few is not None:
                where.text = f"r.id IN ({','.join(map(str, few)) or 'NULL'}) AND {where.text}"
            low, high = compiler.bounds()
            if after is not None:
                low, high = (max(low, after[0] + MAX_USE + 1), high) if is_ascending else (low, min(high, after[0]))
            return self._walk(walk, where, (low, high), limit, is_ascending=is_ascending)

    def all_ids(self, *, limit: int, after: Cursor | None = None, is_ascending: bool = False) -> list[Cursor]:
        """As `find_ids` by time, for all runs."""
        test, order = (">", "ASC") if is_ascending else ("<", "DESC")
        start = after[0] if after is not None else -1 if is_ascending else LARGEST_ID
        return self.fetch(f"SELECT id FROM run WHERE id {test} ? ORDER BY id {order} LIMIT ?", (start, limit))

    def _few(self, compiler: "QueryCompiler") -> list[int] | None:
        """All runs that can fit, if there are only few of them."""
        from stablenew.index.asking.query_sql import FEW  # noqa: PLC0415

        for selection in compiler.few():
            query = f"SELECT DISTINCT * FROM ({selection.text}) LIMIT {FEW + 1}"
            ids = [row[0] for row in self.fetch(query, selection.parameters)]
            if len(ids) <= FEW:
                return ids
        return None

    def _walk(
        self, walk: "Walk", where: "Sql", bounds: tuple[int, int], limit: int, *, is_ascending: bool
    ) -> list[Cursor]:
        connection = self._open()
        if connection is None:
            return []
        query = (
            f"SELECT {walk.key} & ~{MAX_USE} FROM {walk.source} {walk.joins} "
            f"WHERE {walk.key} >= ? AND {walk.key} < ?{walk.tests} AND {where.text} "
            f"ORDER BY {walk.key} {'ASC' if is_ascending else 'DESC'}"
        )
        found: dict[int, None] = {}
        for (run,) in connection.execute(query, (*bounds, *walk.parameters, *where.parameters)):
            found[run] = None
            if len(found) == limit:
                break
        return [(run,) for run in found]

    def _find_sorted(self, where: "Sql", column: str, after: Cursor | None, limit: int) -> list[Cursor]:
        value = f"COALESCE({column}, -1)"
        position = "" if after is None else f" AND ({value}, r.id) < (?, ?)"
        query = (
            f"SELECT DISTINCT {value} AS value, r.id FROM run r JOIN variant v ON v.run = r.id "
            f"WHERE {where.text}{position} ORDER BY value DESC, r.id DESC LIMIT ?"
        )
        return self.fetch(query, (*where.parameters, *(after or ()), limit))

    def count(self, query: "Query") -> int:
        """How many runs fit."""
        if not query.conditions:
            return int(self.fetch("SELECT count(*) FROM run")[0][0]) if self._open() else 0
        from stablenew.index.asking.query_sql import QueryCompiler  # noqa: PLC0415

        where = QueryCompiler(query, self.find_names).where()
        sql = f"SELECT count(DISTINCT r.id) FROM run r CROSS JOIN variant v ON v.run = r.id WHERE {where.text}"
        return int(self.fetch(sql, where.parameters)[0][0]) if self._open() else 0

    def id_of(self, run_id: str) -> int | None:
        """The number of a run."""
        rows = self.fetch("SELECT id FROM run WHERE run_id = ?", (run_id,))
        return rows[0][0] if rows else None

    def rows(self, ids: Iterable[int]) -> list[Row]:
        """The runs as JobSummary has them, in the given order; one that is gone is left out."""
        with self._guard:
            connection = self._open()
            if connection is None:
                return []
            return [row for row in (self._row(connection, identifier) for identifier in ids) if row is not None]

    def outputs(self, identifier: int) -> list[tuple[int, str, str]]:
        """Variant, path and digest of the final outputs of a run, in order."""
        variants = self.fetch("SELECT number, outputs FROM variant WHERE run = ? ORDER BY position", (identifier,))
        return [(number, *output) for number, packed in variants for output in unpack_outputs(packed)]

    def run_id_of(self, identifier: int) -> str | None:
        """The run of a number."""
        rows = self.fetch("SELECT run_id FROM run WHERE id = ?", (identifier,))
        return rows[0][0] if rows else None

    def run_ids(self, identifiers: Sequence[int]) -> list[str]:
        """The runs of numbers, in any order; one that is gone is left out."""
        found: list[str] = []
        for start in range(0, len(identifiers), _MOST_PARAMETERS):
            some = identifiers[start : start + _MOST_PARAMETERS]
            query = f"SELECT run_id FROM run WHERE id IN ({','.join('?' * len(some))})"
            found += [run_id for (run_id,) in self.fetch(query, tuple(some))]
        return found

    def _row(self, connection: sqlite3.Connection, identifier: int) -> Row | None:
        run = connection.execute(_SELECT_RUN, (identifier,)).fetchone()
        if run is None:
            return None
        variants = connection.execute(_SELECT_VARIANTS, (identifier,)).fetchall()
        labels = connection.execute("SELECT field, name FROM label WHERE at = ?", (identifier,)).fetchall()
        outputs = [output for variant in variants for output in unpack_outputs(variant[2])]
        return {
            "kind": "stablenew.job_summary",
            "schema_version": "1.0",
            "run_id": run[0],
            "created_at": None if run[1] is None else timestamp_of(run[1]),
            "status": self.name(run[3]),
            "state": self.name(run[2]),
            "packs": sorted(self.name(name).split("\0")[0] for kind, name in labels if kind == FIELD_PACK),
            "one_click_action": self._name_or_none(run[5]),
            "engine": self._name_or_none(run[4]),
            "model": self._name_or_none(variants[0][0]),
            "prompt": variants[0][1],
            "tags": sorted(self.name(name) for kind, name in labels if kind == FIELD_TAG),
            "record_count": run[7],
            "plan_size": run[6],
            "output_count": run[8],
            "duration_seconds": run[9],
            "seed": write_seed(run[10]),
            "seed_count": run[11],
            "rating": run[12],
            "best_rating": run[13],
            "rated_count": run[14],
            "pick_count": run[15],
            "reject_count": run[16],
            "note_count": run[17],
            "outputs": [{"path": path, "digest": digest} for path, digest in outputs[:MAX_SHOWN_OUTPUTS]],
            "problem": run[18],
        }


_SELECT_RUN: Final = (
    "SELECT run_id, created, state, status, engine, action, plan_size, record_count, output_count, duration, seed, "
    "seed_count, rating, best_rating, rated_count, pick_count, reject_count, note_count, problem FROM run WHERE id = ?"
)
_SELECT_VARIANTS: Final = (
    "SELECT model, body, outputs FROM variant LEFT JOIN text ON text.id = prompt WHERE run = ? "
    f"ORDER BY position LIMIT {MAX_SHOWN_OUTPUTS}"
)


def timestamp_of(milliseconds: int) -> str:
    """Milliseconds since 1970 as they are written in documents."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from stablenew.formats.clock import format_timestamp  # noqa: PLC0415

    return format_timestamp(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds))
