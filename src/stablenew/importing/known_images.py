"""KnownImages: which images a store describes already, and which files were looked at. A cache.

One SQLite file per store, in the user's cache folder. Deleted, it comes back from the records of the runs; then every
file is read once more, and found to be known.
"""

import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stablenew.disk.folder_signature import folder_signature
from stablenew.errors import FormatError
from stablenew.importing.folder_walk import FoundFile, path_of
from stablenew.store.local_state import cache_folder, store_key
from stablenew.store.run import Run
from stablenew.store.run_lock import file_guard
from stablenew.store.run_store import RunStore

_VERSION: Final = 1
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS run(run_id TEXT PRIMARY KEY, signature INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS image(digest TEXT NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY(digest, run_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS image_run ON image(run_id);
CREATE TABLE IF NOT EXISTS file(
  root TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, outcome TEXT NOT NULL,
  PRIMARY KEY(root, path)
) WITHOUT ROWID;
PRAGMA user_version={_VERSION};
"""


class KnownImages:
    """The images and files of one store."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        path = cache_folder() / "imports" / f"{store_key(store.root)}.sqlite"
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def refresh(self) -> None:
        """Take in runs that came since, however they came, and forget those that are gone."""
        known = dict(self._connection.execute("SELECT run_id, signature FROM run"))
        present: set[str] = set()
        with self._transaction():
            for run in self._store.iter_runs():
                present.add(run.run_id)
                signature = _signature(run)
                if known.get(run.run_id) != signature:
                    self._forget(run.run_id)
                    self._add_images(run.run_id, _digests_of(run))
                    self._connection.execute("INSERT INTO run VALUES (?, ?)", (run.run_id, signature))
            for run_id in known.keys() - present:
                self._forget(run_id)

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """A block in which no other import writes: what is not known at its beginning is not taken in twice."""
        with file_guard(self._path):
            yield

    def has(self, digest: str) -> bool:
        """Whether some run of the store describes the image."""
        return self._connection.execute("SELECT 1 FROM image WHERE digest = ?", (digest,)).fetchone() is not None

    def outcome(self, root_id: str, file: FoundFile) -> str | None:
        """What became of a file that looks as it did then; None where it is new or changed."""
        row = self._connection.execute(
            "SELECT outcome FROM file WHERE root = ? AND path = ? AND size = ? AND modified = ?",
            (root_id, os.fsencode(file.path), file.size_bytes, file.modified_ns),
        ).fetchone()
        return row[0] if row else None

    def outcomes(self, root_id: str) -> dict[str, tuple[int, int, str]]:
        """Size, modified time and outcome of every file that was looked at beneath a root, by its path.

        One query: a look through a hundred thousand files that asks for each takes several times as long.
        """
        query = "SELECT path, size, modified, outcome FROM file WHERE root = ?"
        rows = self._connection.execute(query, (root_id,))
        return {os.fsdecode(path): (size, modified, sys.intern(outcome)) for path, size, modified, outcome in rows}

    def add(self, run: Run, digests: Iterable[str]) -> None:
        """Count the images of a run that was just sealed."""
        with self._transaction():
            self._forget(run.run_id)
            self._add_images(run.run_id, digests)
            self._connection.execute("INSERT INTO run VALUES (?, ?)", (run.run_id, _signature(run)))

    def note(self, root_id: str, outcomes: Iterable[tuple[FoundFile, str]]) -> None:
        """Remember what became of files, so that they are not read again while they look the same."""
        rows = [
            (root_id, os.fsencode(file.path), file.size_bytes, file.modified_ns, outcome) for file, outcome in outcomes
        ]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)", rows)

    def forget_files(self, root_id: str, files: Iterable[str]) -> None:
        """Let files be read again, as if they had never been seen."""
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM file WHERE root = ? AND path = ?", [(root_id, os.fsencode(path)) for path in files]
            )

    def _add_images(self, run_id: str, digests: Iterable[str]) -> None:
        rows = [(digest, run_id) for digest in digests]
        self._connection.executemany("INSERT OR IGNORE INTO image VALUES (?, ?)", rows)

    def _forget(self, run_id: str) -> None:
        self._connection.execute("DELETE FROM image WHERE run_id = ?", (run_id,))
        self._connection.execute("DELETE FROM run WHERE run_id = ?", (run_id,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def imported_paths(run: Run) -> list[tuple[str, str]]:
    """Root and path of every image that a run describes in its place."""
    return [(output.origin.root, path_of(output.origin)) for _, output in run.iter_outputs() if output.origin]


def _digests_of(run: Run) -> list[str]:
    with contextlib.suppress(OSError, FormatError):
        return [output.digest for _, output in run.iter_outputs()]
    return []


def _signature(run: Run) -> int:
    """A sealed run does not change any more; of another one its folder tells."""
    return 1 if run.is_sealed else folder_signature(run.path.stat())


def _open(path: Path) -> sqlite3.Connection:
    """The cache; one that cannot be read, or is of another version, is made again."""
    with contextlib.suppress(sqlite3.DatabaseError):
        connection = _connect(path)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version in (0, _VERSION):
            connection.executescript(_SCHEMA)
            return connection
        connection.close()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    connection = _connect(path)
    connection.executescript(_SCHEMA)
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
