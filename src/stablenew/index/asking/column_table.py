"""The columns of the index in memory: loaded from it, saved beside it, and patched with what changed.

A row is an output of a run, or a variant without outputs. The rows of a run are contiguous; a run that changes gets new
rows at the end, and its old ones are marked as dead.
"""

import contextlib
import zipfile
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from stablenew.disk.atomic_file import replace_cached_by
from stablenew.formats.settings import INDEXED
from stablenew.index.asking.arrays import Arrays, Column, Mask, is_in, read_columns
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.run_index import RESET
from stablenew.index.stored_values import read_seed

_RUN_TYPES: Final[dict[str, Any]] = {
    "id": np.int64,
    **dict.fromkeys(("status", "engine", "source", "action"), np.int32),
    **dict.fromkeys(("record_count", "output_count", "duration", "rating", "rated_count", "note_count"), np.float32),
}
_SLOT_TYPES: Final[dict[str, Any]] = {"is_alive": np.bool_, "first_row": np.int32, "row_count": np.int32}
_SETTING_TYPES: Final[dict[str, Any]] = {
    setting.name: np.int32 if setting.type == "text" else np.float32 for setting in INDEXED if setting.name != "seed"
}
_ROW_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(("position", "prompt", "negative", "number", "image", "type", "stage"), np.int32),
    **_SETTING_TYPES,
}
_EXTRA_TYPES: Final[dict[str, Any]] = {"run": np.int32, "is_alive": np.bool_, "seed": np.float64, "seed_low": np.uint32}
_SIZES: Final = ("width", "height")
_ROW_SQL: Final = ", ".join(
    f"COALESCE(p.{name}, v.{name})"
    if name in _SIZES
    else f"p.{name}"
    if name in ("number", "image", "type", "stage")
    else f"v.{name}"
    for name in _ROW_TYPES
)
_LABEL_TYPES: Final[dict[str, Any]] = {"run": np.int64, "position": np.int32, "field": np.int32, "name": np.int32}
_OPINION_TYPES: Final[dict[str, Any]] = {
    "run": np.int64,
    "image": np.int32,
    "rater": np.int32,
    "rating": np.float32,
    "flag": np.int32,
    "note_count": np.int32,
    "is_latest": np.bool_,
}
_TAG_TYPES: Final[dict[str, Any]] = {"run": np.int64, "image": np.int32, "name": np.int32}
_LAYOUT: Final = " ".join([*_RUN_TYPES, *_ROW_TYPES, *_LABEL_TYPES, *_OPINION_TYPES, *_TAG_TYPES])
"""A saved table with other columns was written by another version of the program."""
_MAX_PATCHED: Final = 5_000
_MAX_DEAD: Final = 0.25
_CHUNK: Final = 100_000
_SAVED_TABLES: Final = ("runs", "rows", "labels", "opinions", "tags")


class ColumnTable:
    """The columns of one index. `refresh` brings them up to date."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self._path = reader.path.with_name("columns.npz")
        self._version: tuple[str, int] | None = None
        self._clear()

    def _clear(self) -> None:
        self.runs = Arrays(_RUN_TYPES | _SLOT_TYPES)
        self.rows = Arrays(_ROW_TYPES | _EXTRA_TYPES)
        self.labels = Arrays(_LABEL_TYPES)
        self.opinions = Arrays(_OPINION_TYPES)
        self.tags = Arrays(_TAG_TYPES)
        self.image_ratings: Column = np.empty(0, np.float32)
        """The mean rating of each image, by its id."""
        self.touched_runs: set[int] | None = set()
        """The ids of runs that the last refresh read again; None when it read everything."""
        self.changed_runs: set[int] = set()
        """Those of them that changed in more than opinions and scores."""
        self._order()

    def refresh(self) -> bool:
        """Take in what changed in the index; whether anything did."""
        token, last = self._reader.last_change()
        if (f"{_LAYOUT} {token}", last) == self._version:
            return False
        with self._reader.snapshot():
            token, last = self._reader.last_change()
            version = (f"{_LAYOUT} {token}", last)
            if self._version is None:
                self._load()
            if not self._patch(version):
                self._read_everything()
                self._save(version)
            self._version = version
        return True

    def _load(self) -> None:
        damage = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
        with contextlib.suppress(*damage), self._path.open("rb") as file:
            saved = np.load(file, allow_pickle=False)
            if not str(saved["token"]).startswith(f"{_LAYOUT} "):
                return
            for table in _SAVED_TABLES:
                arrays: Arrays = getattr(self, table)
                arrays.append({name: saved[f"{table}.{name}"] for name in arrays.types})
            self.image_ratings = saved["image_ratings"]
            self._order()
            self._version = (str(saved["token"]), int(saved["change"]))
        if self._version is None:
            self._clear()

    def _save(self, version: tuple[str, int]) -> None:
        saved = {
            f"{table}.{name}": column
            for table in _SAVED_TABLES
            for name, column in getattr(self, table).saved().items()
        }
        saved |= {"token": np.array(version[0]), "change": np.array(version[1]), "image_ratings": self.image_ratings}
        with contextlib.suppress(OSError):
            replace_cached_by(self._path, lambda file: np.savez(file, allow_pickle=False, **saved))

    def _read_everything(self) -> None:
        self._clear()
        self._append_runs(None)
        self._append_small(None)
        rated = self._reader.fetch("SELECT id, rating FROM image WHERE rating IS NOT NULL")
        self._set_ratings([row[0] for row in rated], dict(rated))
        self.touched_runs = None
        self._order()

    def _patch(self, version: tuple[str, int]) -> bool:
        """Read again only the runs that changed, if that is possible."""
        if self._version is None or self._version[0] != version[0]:
            return False
        query = "SELECT seq, kind, old_id, new_id, is_content FROM change WHERE seq > ? ORDER BY seq LIMIT ?"
        changes = self._reader.fetch(query, (self._version[1], _MAX_PATCHED + 1))
        is_gapless = not changes or changes[0][0] == self._version[1] + 1
        if not is_gapless or len(changes) > _MAX_PATCHED or any(change[1] == RESET for change in changes):
            return False
        touched = {run for change in changes for run in change[2:4] if run is not None}
        changed = {run for change in changes if change[4] for run in change[2:4] if run is not None}
        if touched:
            self._patch_runs(touched, changed)
        self.touched_runs, self.changed_runs = touched, changed
        return bool(np.count_nonzero(~self.rows["is_alive"]) <= _MAX_DEAD * max(self.rows.count, _CHUNK))

    def _patch_runs(self, touched: set[int], changed: set[int]) -> None:
        ids = np.fromiter(touched, np.int64, len(touched))
        images = self.opinions["image"][np.isin(self.opinions["run"], ids)]
        for arrays in (self.opinions, self.tags):
            arrays.keep(~np.isin(arrays["run"], ids))
        opined = self.opinions.count
        self._append_small(sorted(touched), with_labels=False)
        images = np.union1d(images, self.opinions["image"][opined:]).tolist()
        query = f"SELECT id, rating FROM image WHERE id IN ({','.join(map(str, images))})"
        self._set_ratings(images, dict(self._reader.fetch(query)))
        self._update_runs(sorted(touched - changed))
        if changed:
            content = np.fromiter(changed, np.int64, len(changed))
            slots = np.flatnonzero(np.isin(self.runs["id"], content) & self.runs["is_alive"])
            self.runs["is_alive"][slots] = False
            self.rows["is_alive"][is_in(self.rows["run"], slots)] = False
            self.labels.keep(~np.isin(self.labels["run"], content))
            self._append_labels(sorted(changed))
            self._append_runs(sorted(changed))
            self._order()

    def _append_runs(self, only: list[int] | None) -> None:
        first = self.runs.count
        chosen = "" if only is None else f"WHERE id IN ({','.join(map(str, only))})"
        for rows in self._reader.iter_chunks(f"SELECT {', '.join(_RUN_TYPES)} FROM run {chosen} ORDER BY id", _CHUNK):
            columns = read_columns(_RUN_TYPES, rows)
            columns |= {name: np.zeros(len(rows), kind) for name, kind in _SLOT_TYPES.items()}
            columns["is_alive"][:] = True
            self.runs.append(columns)
        new_ids = self.runs["id"][first:]
        chosen = "" if only is None else f"WHERE v.run IN ({','.join(map(str, only))})"
        query = (
            f"SELECT v.run, v.seed, {_ROW_SQL} FROM variant v "
            f"LEFT JOIN place p ON p.run = v.run AND p.position = v.position "
            f"{chosen} ORDER BY v.run, v.position, p.number"
        )
        start = self.rows.count
        for rows in self._reader.iter_chunks(query, _CHUNK):
            columns = read_columns({"run": np.int64, "seed": object, **_ROW_TYPES}, rows)
            columns["run"] = (first + np.searchsorted(new_ids, columns["run"])).astype(np.int32)
            columns |= _seed_columns([row[1] for row in rows])
            columns["is_alive"] = np.ones(len(rows), np.bool_)
            self.rows.append(columns)
        slots = self.rows["run"][start:]
        self.runs["first_row"][first:] = start + np.searchsorted(slots, np.arange(first, self.runs.count))
        self.runs["row_count"][first:] = np.bincount(slots - first, minlength=self.runs.count - first)

    def _update_runs(self, ids: list[int]) -> None:
        """Read the rows of these runs in the table `run` again."""
        query = f"SELECT {', '.join(_RUN_TYPES)} FROM run WHERE id IN ({','.join(map(str, ids))}) ORDER BY id"
        rows = self._reader.fetch(query) if ids else []
        columns = read_columns(_RUN_TYPES, rows)
        slots = self.slots_of(columns["id"])
        for name in _RUN_TYPES:
            self.runs[name][slots] = columns[name]

    def _append_small(self, only: list[int] | None, *, with_labels: bool = True) -> None:
        chosen = "" if only is None else f"WHERE run IN ({','.join(map(str, only))})"
        for arrays, table in ((self.opinions, "opinion"), (self.tags, "tag")):
            for rows in self._reader.iter_chunks(f"SELECT {', '.join(arrays.types)} FROM {table} {chosen}", _CHUNK):
                arrays.append_rows(rows)
        if with_labels:
            self._append_labels(only)

    def _append_labels(self, only: list[int] | None) -> None:
        chosen = "" if only is None else f"WHERE run IN ({','.join(map(str, only))})"
        for rows in self._reader.iter_chunks(f"SELECT run, position, field, name FROM label {chosen}", _CHUNK):
            self.labels.append_rows(rows)

    def _set_ratings(self, images: Iterable[int], ratings: dict[int, float | None]) -> None:
        ids = np.fromiter(images, np.int64)
        size = int(ids.max(initial=-1)) + 1
        if size > len(self.image_ratings):
            missing = np.full(size - len(self.image_ratings), np.nan, np.float32)
            self.image_ratings = np.concatenate([self.image_ratings, missing])
        found = [ratings.get(image) for image in ids.tolist()]
        self.image_ratings[ids] = np.array(found, np.float32)

    def _order(self) -> None:
        """Work out what only depends on which runs and rows there are."""
        alive = np.flatnonzero(self.runs["is_alive"])
        self.run_order: Column = alive[np.argsort(self.runs["id"][alive], kind="stable")].astype(np.int32)
        """The slots of runs by id, that is by time."""
        self.sorted_ids: Column = self.runs["id"][self.run_order]
        counts = self.runs["row_count"][self.run_order]
        starts = self.runs["first_row"][self.run_order] - (np.cumsum(counts) - counts)
        self.row_order: Column = (np.repeat(starts, counts) + np.arange(int(counts.sum()))).astype(np.int32)
        """The rows by time, and in a run by position."""
        images = self.rows["image"]
        held = images[self.rows["is_alive"] & (images >= 0)]
        self.image_count = int(held.max(initial=-1)) + 1
        """One more than the greatest image id."""
        self.place_counts: Column = np.bincount(held, minlength=self.image_count)
        """In how many places each image is, by its id."""
        self.has_shared_images = bool((self.place_counts > 1).any())

    def slots_of(self, run_ids: Column) -> Column:
        """The slots of runs, which must be in the index."""
        found: Column = self.run_order[np.searchsorted(self.sorted_ids, run_ids)]
        return found

    def known_slots_of(self, run_ids: Column) -> tuple[Column, Mask]:
        """The slots of those runs that are in the table, and which of them are."""
        places = np.searchsorted(self.sorted_ids, run_ids)
        is_known: Mask = places < len(self.sorted_ids)
        is_known[is_known] = self.sorted_ids[places[is_known]] == run_ids[is_known]
        return self.run_order[places[is_known]], is_known

    def variant_rows(self, run_ids: Column, positions: Column) -> tuple[Column, Column]:
        """The first row of each variant, and the row after its last; both the same for one that is not there."""
        slots, is_known = self.known_slots_of(run_ids)
        keys = self.rows["run"].astype(np.int64) << 32 | self.rows["position"]  # ascending
        wanted = slots.astype(np.int64) << 32 | positions[is_known]
        firsts, ends = np.zeros(len(run_ids), np.int64), np.zeros(len(run_ids), np.int64)
        firsts[is_known] = np.searchsorted(keys, wanted, "left")
        ends[is_known] = np.searchsorted(keys, wanted, "right")
        return firsts, ends


def _seed_columns(stored: list[Any]) -> dict[str, Column]:
    """Seeds need more than 64 bits: as a rounded number, and the low bits to tell apart what rounds to the same."""
    seeds = [read_seed(seed) for seed in stored]
    return {
        "seed": np.array([np.nan if seed is None else float(seed) for seed in seeds], np.float64),
        "seed_low": np.array([0 if seed is None else seed & 0xFFFF_FFFF for seed in seeds], np.uint32),
    }
