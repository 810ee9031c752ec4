"""The tables of the index, and opening it. One SQLite file a store, in the user's cache folder.

Ids of runs sort by time: milliseconds since 1970, then 16 bits of the run id's hash, then 5 bits that number the
different prompts of the run. So a page is a walk along the primary key, and so is a search for words, because the row
ids of the full-text table are these ids too. Words that repeat (models, samplers, tags) are kept once and numbered;
so are prompts, by their hash.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from stablenew.store.local_state import cache_folder, store_key

VERSION: Final = 2
"""Another number in a file means that another program made it: it is made anew."""

MAX_MILLISECONDS: Final = (1 << 42) - 1
HASH_BITS: Final = 16
USE_BITS: Final = 5
MAX_USE: Final = (1 << USE_BITS) - 1
"""The last prompt number of a run; a run with more different prompts has all the rest under it."""

LARGEST_ID: Final = (1 << 63) - 1
COMPLETED: Final = "completed"
FIELD_PACK: Final = 1
"""As `<name> NUL <id>`."""
FIELD_OTHER_PACK: Final = 2
"""A pack that only records name: it is found, but not shown."""
FIELD_TAG: Final = 3
FIELD_LORA: Final = 4
FIELD_EMBEDDING: Final = 5

_SCHEMA: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
INSERT INTO name(id, text) VALUES (1, 'completed');
CREATE TABLE text(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE run(
  id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE,
  folder_signature INTEGER NOT NULL, file_signature INTEGER NOT NULL, is_hot INTEGER NOT NULL,
  created INTEGER, state INTEGER NOT NULL, status INTEGER NOT NULL, engine INTEGER, action INTEGER,
  plan_size INTEGER, record_count INTEGER NOT NULL, output_count INTEGER NOT NULL, duration REAL,
  seed, seed_count INTEGER NOT NULL,
  rating INTEGER, best_rating INTEGER, stars INTEGER, rated_count INTEGER NOT NULL,
  pick_count INTEGER NOT NULL, reject_count INTEGER NOT NULL, note_count INTEGER NOT NULL, problem TEXT
);
CREATE TABLE variant(
  run INTEGER NOT NULL, position INTEGER NOT NULL, number INTEGER NOT NULL, use INTEGER NOT NULL,
  status INTEGER, prompt INTEGER, negative INTEGER,
  model INTEGER, sampler INTEGER, scheduler INTEGER, vae INTEGER,
  steps INTEGER, clip_skip INTEGER, width INTEGER, height INTEGER, cfg_scale REAL, denoising_strength REAL,
  seed, duration REAL, rating INTEGER, outputs TEXT,
  PRIMARY KEY(run, position)
) WITHOUT ROWID;
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
"""After the first filling: to sort once is several times faster than to keep sorted."""


def index_folder(root: Path) -> Path:
    """Where the index of a store and everything that belongs to it is kept."""
    return cache_folder() / "index" / store_key(root)


def index_path(root: Path) -> Path:
    """Where the index of a store is, or would be."""
    return index_folder(root) / "history.sqlite"


def open_for_reading(path: Path) -> sqlite3.Connection | None:
    """The index for reading, or None when there is none that this program can read."""
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
    """The index for writing; made anew when there is none, another program made it, or it is damaged.

    The caller holds the index's lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(sqlite3.DatabaseError):
        connection = _connect(path)
        version = _version_of(connection)
        if version == VERSION:
            return connection
        connection.close()
    delete_index(path)
    connection = _connect(path)
    connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
    return connection


def delete_index(path: Path) -> None:
    """Remove an index and its side files. Whoever has it open keeps what was there."""
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
    """The least id that a run made at this moment can have."""
    return min(max(created_ms, 0), MAX_MILLISECONDS) << (HASH_BITS + USE_BITS)


def run_of(identifier: int) -> int:
    """The id of the run that an id of a prompt use belongs to."""
    return identifier & ~MAX_USE
