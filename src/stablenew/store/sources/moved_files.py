"""MovedFiles: where images lie now whose files were moved or renamed after their import. This machine's own state.

A sealed record keeps the place that an image had. When its bytes are found at another place in a source, that is
noted here by digest; whoever opens such a file still checks its size and SHA-256.
"""

import base64
import contextlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from stablenew.formats.documents.output_reference import Origin
from stablenew.store.local_state import state_folder, store_key

_CONTROL: Final = re.compile("[\x00-\x1f]")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS moved(digest TEXT PRIMARY KEY, root TEXT NOT NULL, path BLOB NOT NULL) WITHOUT ROWID
"""


class MovedFiles:
    """Where images of one store were found last, for those that are not where their records say."""

    def __init__(self, store_root: Path) -> None:
        self._file = state_folder() / "sources" / f"{store_key(store_root)}-moved.sqlite"

    def note(self, places: Iterable[tuple[str, str, str]]) -> None:
        """Remember digest, root and path of files. A note that cannot be kept costs nothing but another search."""
        rows = [(digest, root, os.fsencode(path)) for digest, root, path in places]
        if not rows:
            return
        with contextlib.suppress(OSError, sqlite3.Error):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._insert(rows)
            except sqlite3.OperationalError:
                raise  # in use, or the disk is full: what is there may be sound
            except sqlite3.DatabaseError:  # damaged, so that no note would ever be kept again
                self._file.unlink()
                self._insert(rows)

    def _insert(self, rows: list[tuple[str, str, bytes]]) -> None:
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO moved VALUES (?, ?, ?)", rows)
            connection.commit()

    def find(self, digest: str) -> Origin | None:
        """Where an image was found last; None unless it was found away from its recorded place."""
        if not self._file.exists():
            return None
        with contextlib.suppress(sqlite3.Error), self._open() as connection:
            row = connection.execute("SELECT root, path FROM moved WHERE digest = ?", (digest,)).fetchone()
            if row:
                return _origin_of(row[0], row[1])
        return None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=30)) as connection:
            connection.execute(_SCHEMA)
            yield connection


def origin_fields(raw: bytes) -> dict[str, str]:
    """Path and name of a file beneath a root as `Origin` holds them; its bytes as well, where a text cannot be it."""
    decoded = raw.decode("utf-8", "replace")
    shown = _CONTROL.sub("\ufffd", decoded)
    fields = {"path": shown, "name": shown.rpartition("/")[2]}
    return fields if shown.encode("utf-8") == raw else {**fields, "path_bytes": base64.b64encode(raw).decode("ascii")}


def _origin_of(root: str, raw: bytes) -> Origin:
    return Origin.model_validate({"root": root, **origin_fields(raw)})
