"""IndexReader: SQL queries to the index. Any number of processes may read it while one writes."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.formats.common_names import common_file_name, common_file_pattern
from stablenew.formats.digest import PREFIX
from stablenew.index.index_file import iter_id_lists, iter_parts, open_for_reading, sqlite_errors
from stablenew.index.index_schema import DIGEST_KEY, DIGEST_KEY_BYTES, LARGEST_ID, RUN_IS
from stablenew.index.stored_values import (
    DIGEST_BYTES,
    is_joined,
    read_path,
    split_names,
    unpack_digest,
)

if TYPE_CHECKING:
    from stablenew.formats.query_language import Pattern
    from stablenew.index.asking.orders import Cursor

Row = dict[str, Any]
"""A run in the JSON form of JobSummary, or an image."""
_MAX_PATTERNS: Final = 500
"""Conditions whose words are remembered."""
PATH_COLUMNS: Final = "p.path, v.number, p.stage, p.type, i.digest"
"""What `path_of` needs, of the tables `place`, `variant` and `image`."""
_SCORES: Final = ("metric.", "aspect.")


class IndexReader:
    """Reads one index. Threads may share it and take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._names: list[tuple[int, str]] = []
        self._families: tuple[tuple[str, int, int], list[str]] | None = None
        """The names of families, after which change and with how many words."""
        self._patterns: dict[tuple[tuple[Pattern, ...], int], list[int]] = {}

    def __del__(self) -> None:
        """Closes the file when garbage collected."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection | None:
        """The connection; a new one when the index was rebuilt under the same name."""
        if self._connection is not None and self._connection.in_transaction:
            return self._connection  # inside a snapshot nothing else is looked at
        try:
            inode = os.stat(self.path).st_ino
        except (FileNotFoundError, NotADirectoryError):
            inode = 0
        if inode != self._inode:
            self.close()
        if self._connection is None:
            self._names = []  # after it was closed, another index may even have the same inode
            self._patterns = {}
            self._inode = inode
            self._connection = open_for_reading(self.path) if inode else None
        return self._connection

    def fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one SQL query; none when there is no index."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            return [] if connection is None else connection.execute(query, parameters).fetchall()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """Inside the block all queries see the index as it was at the first of them; None when there is no index."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            if connection is None or connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    def iter_chunks(self, query: str, size: int, parameters: Sequence[Any] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of one SQL query, `size` at a time."""
        with self._guard, sqlite_errors(self.path):
            connection = self._open()
            if connection is None:
                return
            cursor = connection.execute(query, parameters)
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
        """Which index this is (a rebuilt one is another), and the number of the last change in it."""
        which = "(SELECT value FROM meta WHERE key = 'token')"
        last = "(SELECT seq FROM sqlite_sequence WHERE name = 'change')"
        rows = self.fetch(f"SELECT {which}, {last}")
        return (str(rows[0][0]), int(rows[0][1] or 0)) if rows else ("", 0)

    def find_names(self, patterns: "Sequence[Pattern]") -> list[int]:
        """The ids of the words that match one of the patterns. A pack matches by its name or its id."""
        with self._guard:
            names = self.names()
            key = (tuple(patterns), len(names))
            if key not in self._patterns:
                if len(self._patterns) >= _MAX_PATTERNS:
                    self._patterns.clear()
                from stablenew.formats.query_language import match_any  # noqa: PLC0415

                matches = match_any(patterns)
                self._patterns[key] = [number for number, text in names if any(map(matches, text.split("\0")))]
            return self._patterns[key]

    def find_files(self, patterns: "Sequence[Pattern]") -> list[int]:
        """The ids of the common names of model files that match one of the patterns, by these names or as spelled."""
        from stablenew.formats.query_language import Pattern  # noqa: PLC0415

        stems = filter(None, (common_file_pattern(pattern.text) for pattern in patterns))
        matching = self.find_names(list(dict.fromkeys([*patterns, *map(Pattern, stems)])))
        commons = {common_file_name(self.name(number)) for number in matching}
        return [number for number, text in self.names() if text in commons]

    def find_runs(self, patterns: "Sequence[Pattern]") -> list[int]:
        """The ids of the runs whose run id matches one of the patterns, or begins with it."""
        from stablenew.formats.query_language import Pattern, match_any  # noqa: PLC0415

        found: dict[int, None] = {}
        prefixes = {pattern.text.casefold() for pattern in patterns if not pattern.has_wildcard}
        for prefix in filter(str.isascii, prefixes):
            rows = self.fetch("SELECT id FROM run WHERE substr(run_id, 1, ?) = ?", (len(prefix), prefix))
            found |= dict.fromkeys(number for (number,) in rows)
        wild = [Pattern(f"{pattern.text}*") for pattern in patterns if pattern.has_wildcard]
        if wild:
            matches = match_any(wild)
            rows = self.fetch("SELECT id, run_id FROM run")
            found |= dict.fromkeys(number for number, run_id in rows if matches(run_id))
        return list(found)

    def find_images(self, pattern: "Pattern") -> list[int]:
        """The ids of the images whose digest begins with the hex digits of a pattern."""
        prefix = pattern.text.lower().removeprefix(PREFIX).rstrip("*")
        if not prefix or set(prefix) - set("0123456789abcdef") or len(prefix) > 2 * DIGEST_BYTES:
            return []
        low = bytes.fromhex(prefix.ljust(2 * DIGEST_BYTES, "0"))
        high = bytes.fromhex(prefix.ljust(2 * DIGEST_BYTES, "f"))
        query = (
            f"SELECT id FROM image WHERE {DIGEST_KEY} BETWEEN ? AND ? AND substr(digest, 1, {DIGEST_BYTES}) "
            "BETWEEN ? AND ?"
        )
        keys = (low[:DIGEST_KEY_BYTES], high[:DIGEST_KEY_BYTES])
        return [row[0] for row in self.fetch(query, (*keys, low, high))]

    def family_names(self) -> list[str]:
        """The fields of families that this index has: `settings.NAME`, `metric.NAME` and `aspect.NAME`."""
        with self._guard:
            state = (*self.last_change(), len(self.names()))
            if self._families is None or self._families[0] != state:
                self._families = state, self._read_family_names()
            return list(self._families[1])

    def _read_family_names(self) -> list[str]:
        settings = sorted({name for _, text in self.names() if is_joined(text) for name in split_names(text)})
        return [f"settings.{name}" for name in settings] + self._score_names()

    def _score_names(self) -> list[str]:
        """The names of scores. Words are never forgotten, so each is looked for."""
        words = [(number, text) for number, text in self.names() if text.startswith(_SCORES)]
        query = "SELECT EXISTS (SELECT 1 FROM score WHERE name = ? AND value IS NOT NULL)"
        return [text for number, text in words if self.fetch(query, (number,)) == [(1,)]]

    def names(self) -> list[tuple[int, str]]:
        """Every word, in the order of its id."""
        with self._guard, sqlite_errors(self.path):
            self._open()  # first, since a new index has other words than those that are known
            last = self._names[-1][0] if self._names else 0
            added = self.fetch("SELECT id, text FROM name WHERE id > ? ORDER BY id", (last,))
            self._names += added
            return self._names

    def name(self, number: int) -> str:
        """The word of an id."""
        if number > len(self._names):
            self.names()
        return self._names[number - 1][1]

    def name_or_none(self, number: int | None) -> str | None:
        """The word of an id, if there is one."""
        return None if number is None else self.name(number)

    def bodies(self, numbers: Sequence[int]) -> dict[int, str]:
        """The prompts and other long texts of ids."""
        found: dict[int, str] = {}
        for some in iter_id_lists(numbers):
            found.update(self.fetch(f"SELECT id, body FROM text WHERE id IN ({some})"))
        return found

    def all_ids(self, *, limit: int, after: "Cursor | None" = None, is_ascending: bool = False) -> "list[Cursor]":
        """The ids of all runs by time, as cursors. `after` is where to go on."""
        test, order = (">", "ASC") if is_ascending else ("<", "DESC")
        start = after[0] if after is not None else -1 if is_ascending else LARGEST_ID
        return self.fetch(f"SELECT id FROM run WHERE id {test} ? ORDER BY id {order} LIMIT ?", (start, limit))

    def run_count(self) -> int:
        """How many runs there are."""
        rows = self.fetch("SELECT count(*) FROM run")
        return int(rows[0][0]) if rows else 0

    def id_of(self, run_id: str) -> int | None:
        """The id of a run; None when the index does not have it."""
        rows = self.fetch(f"SELECT id FROM run WHERE {RUN_IS}", (run_id,))
        return rows[0][0] if rows else None

    def path_of(self, stored: Sequence[Any]) -> str | None:
        """The path in the run of what `PATH_COLUMNS` selected; None for an image in place."""
        path, variant, stage, kind, digest = stored
        if not isinstance(path, int):
            return path  # type: ignore[no-any-return]
        media_type = self.name(kind).rpartition("\0")[2]
        return read_path(path, variant, self.name(stage), unpack_digest(digest), media_type)

    def run_id_of(self, identifier: int) -> str | None:
        """The run id of an id."""
        rows = self.fetch("SELECT run_id FROM run WHERE id = ?", (identifier,))
        return rows[0][0] if rows else None

    def run_ids(self, identifiers: Sequence[int]) -> list[str]:
        """The run ids of ids, in any order; deleted ones are left out."""
        found: list[str] = []
        for some in iter_parts(identifiers):
            query = f"SELECT run_id FROM run WHERE id IN ({','.join('?' * len(some))})"
            found += [run_id for (run_id,) in self.fetch(query, tuple(some))]
        return found
