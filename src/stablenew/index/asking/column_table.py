"""The columns of the index as arrays: read from it, kept beside it, and brought up to date by what changed."""

import contextlib
import zipfile
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from stablenew.disk.atomic_file import replace_cached_by
from stablenew.formats.query_language import RUN_NUMBERS, VARIANT_NUMBERS, VARIANT_WORDS
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.asking.query_sql import FLAG_COLUMNS, NUMBER_COLUMNS
from stablenew.index.index_schema import FIELD_OTHER_PACK, FIELD_PACK, FIELD_TAG, MAX_USE
from stablenew.index.run_index import RESET

Ids: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = npt.NDArray[Any]

_RUN_COLUMNS: Final = (
    *("status", "engine", "action", "note_count", "rated_count"),
    *(NUMBER_COLUMNS[name] for name in RUN_NUMBERS),
    *FLAG_COLUMNS.values(),
)
_VARIANT_COLUMNS: Final = (
    *VARIANT_WORDS,
    *(NUMBER_COLUMNS[name] for name in VARIANT_NUMBERS if name != "seed"),
    "negative",
)
_LAYOUT: Final = " ".join((*_RUN_COLUMNS, *_VARIANT_COLUMNS))
"""A saved table with other columns is of another program."""
_LABELS_HELD: Final = f"field IN ({FIELD_PACK}, {FIELD_OTHER_PACK}, {FIELD_TAG})"
_MOST_PATCHED: Final = 5_000
_CHUNK: Final = 100_000


@dataclass(frozen=True, slots=True)
class ColumnTable:
    """The columns. What is not known is NaN; words are their numbers in the index's list of names."""

    run_ids: Ids
    """Rising."""
    run_columns: Column
    use_ids: Ids
    """Run and prompt of each variant, in the order of the runs."""
    variant_columns: Column
    label_ids: Ids
    """The run of each label."""
    labels: Column
    """Its field and its name."""

    def run(self, name: str) -> Column:
        """A column of runs."""
        column: Column = self.run_columns[_RUN_COLUMNS.index(name)]
        return column

    def variant(self, name: str) -> Column:
        """A column of variants."""
        column: Column = self.variant_columns[_VARIANT_COLUMNS.index(name)]
        return column


class TableFile:
    """The table of one index, and the file beside it that saves reading it all again."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self._path = reader.path.with_name("columns.npz")
        self._version: tuple[str, int] | None = None
        self.table = _read_table(reader, [-1])

    def refresh(self) -> bool:
        """Take in what the index learned since; whether there was anything."""
        token, last = self._reader.last_change()
        version = (f"{_LAYOUT} {token}", last)
        if version == self._version:
            return False
        if self._version is None:
            self._load()
        if not self._patch(version):
            self.table = _read_table(self._reader, None)
            self._save(version)
        self._version = version
        return True

    def _load(self) -> None:
        damage = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
        with contextlib.suppress(*damage), self._path.open("rb") as file:
            saved = np.load(file, allow_pickle=False)
            if str(saved["token"]).startswith(f"{_LAYOUT} "):
                self.table = ColumnTable(*(saved[one.name] for one in fields(ColumnTable)))
                self._version = (str(saved["token"]), int(saved["change"]))

    def _save(self, version: tuple[str, int]) -> None:
        saved: dict[str, Any] = {one.name: getattr(self.table, one.name) for one in fields(ColumnTable)}
        saved |= {"token": np.array(version[0]), "change": np.array(version[1])}
        with contextlib.suppress(OSError):
            replace_cached_by(self._path, lambda file: np.savez(file, **saved))

    def _patch(self, version: tuple[str, int]) -> bool:
        """Read again only the runs that changed, if that is possible."""
        if self._version is None or self._version[0] != version[0]:
            return False
        query = "SELECT seq, kind, old_id, new_id FROM change WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._reader.fetch(query, (self._version[1], _MOST_PATCHED + 1))
        is_gapless = not rows or rows[0][0] == self._version[1] + 1
        if not is_gapless or len(rows) > _MOST_PATCHED or any(kind == RESET for _, kind, _, _ in rows):
            return False
        touched = {one for _, _, old, new in rows for one in (old, new) if one is not None}
        if touched:
            self.table = _merge(_without(self.table, touched), _read_table(self._reader, sorted(touched)))
        return True


def _read_table(reader: IndexReader, only: list[int] | None) -> ColumnTable:
    """The columns of the whole index, or of some runs."""
    chosen = "" if only is None else f"IN ({','.join(map(str, only))})"
    runs = f"run WHERE id {chosen}" if chosen else "run"
    variants = f"variant WHERE run {chosen}" if chosen else "variant"
    labels = f"label WHERE {_LABELS_HELD}" + (f" AND at {chosen}" if chosen else "")
    return ColumnTable(
        *_read_columns(reader, "id", _RUN_COLUMNS, f"{runs} ORDER BY id", np.float32),
        *_read_columns(reader, "run | use", _VARIANT_COLUMNS, f"{variants} ORDER BY run, position", np.float32),
        *_read_columns(reader, "at", ("field", "name"), labels, np.int32),
    )


def _read_columns(
    reader: IndexReader, key: str, columns: tuple[str, ...], source: str, kind: type[Any]
) -> tuple[Ids, Column]:
    ids, parts = [np.empty(0, np.int64)], [np.empty((len(columns), 0), kind)]
    for rows in reader.iter_chunks(f"SELECT {key}, {', '.join(columns)} FROM {source}", _CHUNK):
        ids.append(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
        parts.append(np.array([row[1:] for row in rows], kind).T)
    return np.concatenate(ids), np.concatenate(parts, axis=1)


def _without(table: ColumnTable, runs: set[int]) -> ColumnTable:
    gone = np.fromiter(runs, np.int64, len(runs))
    kept_runs = ~np.isin(table.run_ids, gone)
    kept_rows = ~np.isin(table.use_ids & ~MAX_USE, gone)
    kept_labels = ~np.isin(table.label_ids, gone)
    return ColumnTable(
        table.run_ids[kept_runs],
        table.run_columns[:, kept_runs],
        table.use_ids[kept_rows],
        table.variant_columns[:, kept_rows],
        table.label_ids[kept_labels],
        table.labels[:, kept_labels],
    )


def _merge(first: ColumnTable, second: ColumnTable) -> ColumnTable:
    """Both tables as one, in the order of the runs."""
    run_ids = np.concatenate([first.run_ids, second.run_ids])
    use_ids = np.concatenate([first.use_ids, second.use_ids])
    runs, rows = np.argsort(run_ids, kind="stable"), np.argsort(use_ids & ~MAX_USE, kind="stable")
    return ColumnTable(
        run_ids[runs],
        np.concatenate([first.run_columns, second.run_columns], axis=1)[:, runs],
        use_ids[rows],
        np.concatenate([first.variant_columns, second.variant_columns], axis=1)[:, rows],
        np.concatenate([first.label_ids, second.label_ids]),
        np.concatenate([first.labels, second.labels], axis=1),
    )
