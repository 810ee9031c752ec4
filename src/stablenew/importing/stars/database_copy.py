"""A private copy of another program's SQLite database: theirs is never written, locked or waited for."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from stablenew.disk.regular_file import open_regular
from stablenew.errors import ConfigError

_HEAD: Final = b"SQLite format 3\0"
_TRIES: Final = 5
_SIDES: Final = ("-wal", "-journal")


class ForeignDatabase:
    """The copy, open for reading."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        """Where the original lies."""
        self._connection = connection

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; none where it is not there."""
        return frozenset(row[1] for row in self._connection.execute(f'PRAGMA table_info("{table}")'))

    def has(self, table: str, *columns: str) -> bool:
        """Whether a table has these columns."""
        return self.columns(table).issuperset(columns) and bool(self.columns(table))

    def rows(self, query: str) -> Iterator[sqlite3.Row]:
        """The rows of a query."""
        return iter(self._connection.execute(query))

    def select(self, table: str, wanted: Sequence[str], where: str = "1") -> Iterator[dict[str, Any]]:
        """Rows of a table with the wanted columns; those that this version of the program lacks are None."""
        there = self.columns(table)
        names = ", ".join(f'"{name}"' if name in there else f'NULL AS "{name}"' for name in wanted)
        for row in self._connection.execute(f'SELECT {names} FROM "{table}" WHERE {where}'):  # noqa: S608
            yield dict(row)


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with open_regular(path.resolve()) as file:
            return file.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


@contextlib.contextmanager
def open_copy(path: Path) -> Iterator[ForeignDatabase]:
    """A copy of the database at `path`, with what its program has not merged yet.

    Raises:
        ConfigError: it cannot be copied or read as a database.
    """
    with tempfile.TemporaryDirectory(prefix="stablenew-") as folder:
        copy = Path(folder) / "copy.sqlite"
        try:
            _copy_at_rest(path, copy)
            connection = sqlite3.connect(copy)
            connection.row_factory = sqlite3.Row
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            with contextlib.closing(connection):
                connection.execute("PRAGMA query_only = 1")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                yield ForeignDatabase(path, connection)
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} cannot be read as a database: {error}") from None
        except OSError as error:
            raise ConfigError(f"{path} cannot be copied: {error.strerror or error}") from None


def _copy_at_rest(path: Path, copy: Path) -> None:
    """Copy the files of a database again if its program wrote meanwhile."""
    for _ in range(_TRIES):
        before = _stamps(path)
        shutil.copyfile(path, copy)
        for ending in _SIDES:
            Path(f"{copy}{ending}").unlink(missing_ok=True)  # of the try before
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
        if _stamps(path) == before:
            return
    raise ConfigError(f"{path} is being written all the time; close its program and try again")


def _stamps(path: Path) -> list[tuple[int, int] | None]:
    stamps: list[tuple[int, int] | None] = []
    for ending in ("", *_SIDES):
        try:
            status = Path(f"{path}{ending}").stat()
        except FileNotFoundError:
            stamps.append(None)
        else:
            stamps.append((status.st_size, status.st_mtime_ns))
    return stamps
