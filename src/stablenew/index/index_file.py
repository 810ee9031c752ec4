"""The file of the index: where it lies, opening it for reading or writing, and what one statement takes.

It can be deleted at any time.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import CacheFailed
from stablenew.index.index_schema import CREATE, VERSION
from stablenew.store.local_state import cache_folder, store_key

Item = TypeVar("Item")
_MAX_PARAMETERS: Final = 500
"""Of one statement; SQLite before 3.32 took 999."""


def index_folder(root: Path) -> Path:
    """The folder of a store's index and everything that belongs to it."""
    return cache_folder() / "index" / store_key(root)


def index_path(root: Path) -> Path:
    """The path of a store's index, whether it exists or not."""
    return index_folder(root) / "history.sqlite"


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """A read-only connection to the index; None when there is no index that this program can read."""
    if not path.exists():
        return None
    with contextlib.suppress(sqlite3.DatabaseError):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=30
        )
        if _version_of(connection) == VERSION:
            return connection
        connection.close()
    return None


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection for writing; the index is created where it is missing, damaged or of another version.

    The caller holds the index's lock.
    """
    make_private_folder(path.parent)
    try:
        connection = _connect(path)
        version = _version_of(connection)
        if version == VERSION:
            return connection
        connection.close()
    except sqlite3.OperationalError:  # such as a full disk: the index itself may be fine
        raise
    except sqlite3.DatabaseError:
        pass
    delete_index(path)
    connection = _connect(path)
    connection.executescript(f"BEGIN; {CREATE} PRAGMA user_version={VERSION}; COMMIT;")
    return connection


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Inside the block, errors of SQLite become one clear error.

    Raises:
        CacheFailed: the index cannot be read or written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        remedy = "free some space, or set STABLENEW_STATE_DIR to a folder on another disk"
        raise CacheFailed(f"the index {path} cannot be used: {error}; {remedy}") from error
    except sqlite3.DatabaseError as error:
        raise CacheFailed(f"the index {path} is damaged: {error}; `stablenew index rebuild` recreates it") from error


def iter_parts(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """`values` in order, in parts that are short enough for the parameters of a statement."""
    return (values[start : start + _MAX_PARAMETERS] for start in range(0, len(values), _MAX_PARAMETERS))


def iter_id_lists(ids: Sequence[int]) -> Iterator[str]:
    """The same of ids, each part as `1,2,3`, to be written into the statement."""
    return (",".join(map(str, part)) for part in iter_parts(ids))


def delete_index(path: Path) -> None:
    """Remove an index and its side files. Processes that have it open keep reading what was in it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    try:
        for pragma in ("page_size=8192", "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _version_of(connection: sqlite3.Connection) -> int:
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        connection.close()
        raise
