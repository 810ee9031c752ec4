"""The tables of the index, and opening it. One SQLite file per store, in the user's cache folder.

Run ids (the integers of this index) sort by time: milliseconds since 1970, then 16 bits of the run id's hash, then
5 bits that number the distinct prompts of the run. So a page is a walk along the primary key, and so is a search for
words, because the row ids of the full-text table are these ids too. Words that repeat (models, samplers, tags) are
stored once, in the table `name`, and rows refer to them by id; so are prompts, found by their hash.
"""

import contextlib
import functools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import CacheFailed
from stablenew.formats.settings import INDEXED, Setting
from stablenew.store.local_state import cache_folder, store_key

if TYPE_CHECKING:
    from stablenew.formats.query_language import Glob

VERSION: Final = 3
"""A file with another number was made by another version of the program: it is rebuilt."""

MAX_MILLISECONDS: Final = (1 << 42) - 1
HASH_BITS: Final = 16
USE_BITS: Final = 5
MAX_USE: Final = (1 << USE_BITS) - 1
"""The last prompt number of a run; further distinct prompts of the run share it."""

LARGEST_ID: Final = (1 << 63) - 1
COMPLETED: Final = "completed"
FIELD_PACK: Final = 1
"""The pack of a run, as `<name> NUL <id>`."""
FIELD_OTHER_PACK: Final = 2
"""A pack that is named only in records: searches find it, but it is not shown."""
FIELD_TAG: Final = 3
FIELD_LORA: Final = 4
FIELD_EMBEDDING: Final = 5

Row: TypeAlias = tuple[Any, ...]
TextKind: TypeAlias = Literal["word", "prompt", "negative"]
"""What a column refers to by id: a word of `name`, or a body of `text` that is a prompt or a negative prompt."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; with `text` it holds the id of a text, and readers hand over the text itself."""

    name: str
    sql: str = "INTEGER"
    text: TextKind | None = None


class Table:
    """The columns of one table, by name: SQL, the order of a row and the columns of texts all follow from them."""

    def __init__(self, name: str, columns: Iterable[Column], constraint: str = "") -> None:
        self.name = name
        self.columns = tuple(columns)
        self.positions: Final[Mapping[str, int]] = {column.name: place for place, column in enumerate(self.columns)}
        self.texts: Final[Mapping[int, TextKind]] = {
            place: column.text for place, column in enumerate(self.columns) if column.text
        }
        self._pick = itemgetter(*self.positions)
        declared = [f"{column.name} {column.sql}".strip() for column in self.columns]
        suffix = " WITHOUT ROWID" if constraint else ""
        self.create_sql = f"CREATE TABLE {name}({', '.join([*declared, *filter(None, [constraint])])}){suffix};"
        self.insert_sql = f"INSERT INTO {name} VALUES ({','.join('?' * len(self.columns))})"

    def row(self, values: Mapping[str, Any]) -> Row:
        """`values` in the order of the columns. Raises: KeyError: a column has no value."""
        return self._pick(values)  # type: ignore[no-any-return]


_SETTING_TYPES: Final = {"text": "INTEGER", "integer": "INTEGER", "number": "REAL", "seed": ""}


def setting_column(setting: Setting) -> Column:
    """The column that holds a setting; a seed has no SQL type, because it may exceed 64 bits and is then a text."""
    return Column(setting.name, _SETTING_TYPES[setting.type], "word" if setting.type == "text" else None)


RUN: Final = Table(
    "run",
    (
        Column("id", "INTEGER PRIMARY KEY"),
        Column("run_id", "TEXT NOT NULL UNIQUE"),
        Column("folder_signature", "INTEGER NOT NULL"),
        Column("file_signature", "INTEGER NOT NULL"),
        Column("is_hot", "INTEGER NOT NULL"),
        Column("created"),
        Column("state", "INTEGER NOT NULL", "word"),
        Column("status", "INTEGER NOT NULL", "word"),
        Column("engine", text="word"),
        Column("action", text="word"),
        Column("plan_size"),
        Column("record_count", "INTEGER NOT NULL"),
        Column("output_count", "INTEGER NOT NULL"),
        Column("duration", "REAL"),
        Column("seed", ""),
        Column("seed_count", "INTEGER NOT NULL"),
        Column("rating"),
        Column("best_rating"),
        Column("stars"),
        Column("rated_count", "INTEGER NOT NULL"),
        Column("pick_count", "INTEGER NOT NULL"),
        Column("reject_count", "INTEGER NOT NULL"),
        Column("note_count", "INTEGER NOT NULL"),
        Column("problem", "TEXT"),
    ),
)
VARIANT: Final = Table(
    "variant",
    (
        Column("run", "INTEGER NOT NULL"),
        Column("position", "INTEGER NOT NULL"),
        Column("number", "INTEGER NOT NULL"),
        Column("use", "INTEGER NOT NULL"),
        Column("status", text="word"),
        Column("prompt", text="prompt"),
        Column("negative", text="negative"),
        *map(setting_column, INDEXED),
        Column("duration", "REAL"),
        Column("rating"),
        Column("outputs", "TEXT"),
    ),
    "PRIMARY KEY(run, position)",
)

_SCHEMA: Final = f"""
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
INSERT INTO name(id, text) VALUES (1, 'completed');
CREATE TABLE text(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
{RUN.create_sql}
{VARIANT.create_sql}
CREATE TABLE label(field INTEGER, name INTEGER, at INTEGER, PRIMARY KEY(field, name, at)) WITHOUT ROWID;
CREATE VIRTUAL TABLE use_text USING fts5(prompt, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE negative_text USING fts5(
  prompt, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2'
);
CREATE TABLE change(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, kind TEXT NOT NULL, old_id INTEGER, new_id INTEGER
);
INSERT INTO meta VALUES ('token', lower(hex(randomblob(8))));
INSERT INTO use_text(use_text, rank) VALUES ('automerge', 0), ('crisismerge', 1000);
"""
FINISH: Final = """
CREATE INDEX IF NOT EXISTS run_hot ON run(id) WHERE is_hot;
CREATE INDEX IF NOT EXISTS run_stars ON run(stars, id) WHERE stars IS NOT NULL;
CREATE INDEX IF NOT EXISTS run_status ON run(status, id) WHERE status <> 1;
CREATE INDEX IF NOT EXISTS variant_model ON variant(model, run);
CREATE INDEX IF NOT EXISTS variant_model_sampler ON variant(model, sampler, run);
CREATE INDEX IF NOT EXISTS variant_sampler ON variant(sampler, run);
CREATE INDEX IF NOT EXISTS variant_seed ON variant(seed, run) WHERE seed IS NOT NULL;
CREATE INDEX IF NOT EXISTS variant_prompt ON variant(prompt, run);
CREATE INDEX IF NOT EXISTS label_at ON label(at);
INSERT INTO use_text(use_text) VALUES ('optimize');
INSERT INTO use_text(use_text, rank) VALUES ('automerge', 4), ('crisismerge', 16);
"""
"""Run after the index was filled for the first time: sorting once is several times faster than keeping sorted."""


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
            connection.create_function("matches_glob", 2, _matches_glob, deterministic=True)
            return connection
        connection.close()
    return None


def _matches_glob(pattern: str, text: str) -> bool:
    """As SQLite's GLOB, which backtracks and can take forever."""
    return _glob(pattern).matches(text)


@functools.lru_cache
def _glob(pattern: str) -> "Glob":
    from stablenew.formats.query_language import Glob  # noqa: PLC0415

    return Glob(pattern)


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
    except sqlite3.OperationalError:  # a full disk, say: the index itself may be fine
        raise
    except sqlite3.DatabaseError:
        pass
    delete_index(path)
    connection = _connect(path)
    connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
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


def first_id(created_ms: int) -> int:
    """The least id that a run created at this moment can have."""
    return min(max(created_ms, 0), MAX_MILLISECONDS) << (HASH_BITS + USE_BITS)


def run_of(identifier: int) -> int:
    """The id of the run that an id of a prompt use belongs to."""
    return identifier & ~MAX_USE
