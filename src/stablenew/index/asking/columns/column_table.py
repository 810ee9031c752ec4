"""ColumnTable: the columns of an index, loaded from it, saved beside it, and patched with what changed."""

import contextlib
import json
import zipfile
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from stablenew.disk.atomic_file import replace_cached_by
from stablenew.index.asking.columns.arrays import Arrays, read_columns
from stablenew.index.asking.columns.masks import Column, is_in
from stablenew.index.asking.columns.saved_columns import pack, pack_column, unpack, unpack_column
from stablenew.index.asking.columns.split_seeds import seed_columns
from stablenew.index.asking.columns.table_columns import (
    EXTRA_TYPES,
    LABEL_TYPES,
    OPINION_TYPES,
    ROW_TYPES,
    RUN_TYPES,
    SLOT_TYPES,
    TAG_TYPES,
    TRASH_TYPES,
    TableColumns,
)
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import HASH_BITS, NO_IMAGE
from stablenew.index.run_index import RESET
from stablenew.index.text_ids import hash_body

_SIZES: Final = ("width", "height")
_ROW_SQL: Final = ", ".join(
    f"COALESCE(NULLIF(p.{name}, 0), v.{name})"
    if name in _SIZES
    else f"p.{name}"
    if name in ("number", "image", "type", "stage")
    else f"v.{name}"
    for name in ROW_TYPES
)
_TABLE_TYPES: Final = (RUN_TYPES, ROW_TYPES, EXTRA_TYPES, LABEL_TYPES, OPINION_TYPES, TAG_TYPES, TRASH_TYPES)
_LAYOUT: Final = " ".join(["coded", *(name for types in _TABLE_TYPES for name in types)])
"""A saved table with other columns was written by another version of the program."""
_SELECT_IMAGES: Final = "SELECT id, rating, is_trashed FROM image"
_MAX_PATCHED: Final = 5_000
_MAX_DEAD: Final = 0.25
_CHUNK: Final = 100_000
_SAVED_TABLES: Final = ("runs", "rows", "labels", "opinions", "tags", "trash")


class ColumnTable(TableColumns):
    """The columns of one index. `refresh` brings them up to date."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self._path = reader.path.with_name("columns.npz")
        self._version: tuple[str, int] | None = None
        super().__init__()

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self.touched_runs: set[int] | None = set()
        """The ids of runs that the last refresh read again; None when it read everything."""
        self.changed_runs: set[int] = set()
        """Those of them that changed in more than opinions and scores."""
        self.touched_images: Column = np.empty(0, np.int64)
        """The images of runs that the last refresh read again, before or after it."""

    @property
    def has_only_new_opinions(self) -> bool:
        """Whether the last refresh changed no row, but only what is said of images and runs."""
        return self.touched_runs is not None and not self.changed_runs

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
            else:
                self._read_copies()
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
                arrays.restore({name: unpack(f"{table}.{name}", saved, kind) for name, kind in arrays.types.items()})
            self._read_copies()
            self.image_ratings = unpack_column("image_ratings", saved, np.float32)
            self.is_trashed = unpack_column("is_trashed", saved, np.bool_)
            self.order()
            self._version = (str(saved["token"]), int(saved["change"]))
        if self._version is None:
            self.clear()

    def _save(self, version: tuple[str, int]) -> None:
        saved = {"token": np.array(version[0]), "change": np.array(version[1])}
        for table in _SAVED_TABLES:
            arrays: Arrays = getattr(self, table)
            for name in arrays.types:
                saved |= pack(f"{table}.{name}", arrays.saved(name))
        saved |= pack_column("image_ratings", self.image_ratings) | pack_column("is_trashed", self.is_trashed)
        with contextlib.suppress(OSError):
            replace_cached_by(self._path, lambda file: np.savez(file, allow_pickle=False, **saved))

    def _read_copies(self) -> None:
        rows = sorted(self._reader.fetch("SELECT id, picture FROM image WHERE picture IS NOT NULL"))
        pairs = np.array(rows, np.int64).reshape(-1, 2)
        self.copies, self.pictures = pairs[:, 0], pairs[:, 1]
        empty = self._reader.fetch("SELECT id FROM text WHERE hash = ?", (hash_body("", "prompt"),)) if rows else []
        self.no_prompts = [-1, *(number for (number,) in empty)]

    def _read_everything(self) -> None:
        self.clear()
        self._read_copies()
        self._append_runs(None)
        self._append_where(self.opinions, "opinion", "1")
        self._append_where(self.tags, "standing_tag", "1")
        self._append_where(self.trash, "trash", "1")
        self._append_labels(None)
        self._set_images(self._reader.fetch(f"{_SELECT_IMAGES} WHERE rating IS NOT NULL OR is_trashed"))
        self.touched_runs = None
        for table in _SAVED_TABLES:
            getattr(self, table).trim()
        self.order()

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
        runs = f"run IN ({','.join(map(str, sorted(touched)))})"
        trashed = [image for (image,) in self._reader.fetch(f"SELECT DISTINCT image FROM trash WHERE {runs}")]
        images = np.union1d(self.pictures_of(np.array(trashed, np.int64)), self.rows["image"][self.rows_of(ids)])
        for said in (self.opinions, self.trash):
            images = np.union1d(images, said["image"][np.isin(said["run"], ids)])
        self.touched_images = images
        self._patch_opinions(ids, runs, images)
        self._update_runs(sorted(touched - changed))
        if changed:
            content = np.fromiter(changed, np.int64, len(changed))
            slots = np.flatnonzero(np.isin(self.runs["id"], content) & self.runs["is_alive"])
            self.runs["is_alive"][slots] = False
            self.rows["is_alive"][is_in(self.rows["run"], slots)] = False
            self.labels.keep(~np.isin(self.labels["run"], content))
            self._append_labels(sorted(changed))
            self._append_runs(sorted(changed))
            self.order()
            self.touched_images = np.union1d(self.touched_images, self.rows["image"][self.rows_of(ids)])

    def _patch_opinions(self, ids: Column, runs: str, images: Column) -> None:
        """Read again what is said in these runs, and of these images in all: another word may be the last."""
        query = f"SELECT image FROM opinion WHERE {runs} UNION SELECT image FROM tag WHERE {runs}"
        found = [image for (image,) in self._reader.fetch(query)]
        images = np.union1d(images, self.tags["image"][np.isin(self.tags["run"], ids)])
        images = np.union1d(images, self.pictures_of(np.array(found, np.int64)))
        images = images[images > NO_IMAGE].astype(np.int64)
        listed = (json.dumps(self.with_copies(images).tolist()),)
        for said, table in ((self.opinions, "opinion"), (self.tags, "standing_tag"), (self.trash, "trash")):
            said.keep(~np.isin(said["run"], ids) & ~np.isin(said["image"], images))
            self._append_where(said, table, "image IN (SELECT value FROM json_each(?))", listed)
            self._append_where(said, table, f"{runs} AND image = {NO_IMAGE}")
        self._set_images([(image, None, None) for image in images.tolist()])
        self._set_images(self._reader.fetch(f"{_SELECT_IMAGES} WHERE id IN (SELECT value FROM json_each(?))", listed))

    def _append_runs(self, only: list[int] | None) -> None:
        first = self.runs.count
        chosen = "" if only is None else f"WHERE id IN ({','.join(map(str, only))})"
        for rows in self._reader.iter_chunks(f"SELECT {', '.join(RUN_TYPES)} FROM run {chosen} ORDER BY id", _CHUNK):
            columns = read_columns(RUN_TYPES, rows)
            columns |= {name: np.zeros(len(rows), kind) for name, kind in SLOT_TYPES.items()}
            columns["is_alive"][:] = True
            self.runs.append(columns)
        new_ids = self.runs["id"][first:]
        chosen = "" if only is None else f"WHERE v.run IN ({','.join(map(str, only))})"
        query = (
            f"SELECT v.run, v.seed, v.made, {_ROW_SQL} FROM variant v "
            f"LEFT JOIN place p ON p.run = v.run AND p.position = v.position "
            f"{chosen} ORDER BY v.run, v.position, p.number"
        )
        start = self.rows.count
        for rows in self._reader.iter_chunks(query, _CHUNK):
            columns = read_columns({"run": np.int64, "seed": object, "made": np.int64, **ROW_TYPES}, rows)
            made = columns.pop("made")
            columns["lag"] = np.where(made >= 0, made - (columns["run"] >> HASH_BITS), 0)
            columns["run"] = (first + np.searchsorted(new_ids, columns["run"])).astype(np.int32)
            columns |= seed_columns([row[1] for row in rows])
            columns["is_alive"] = np.ones(len(rows), np.bool_)
            columns["image"] = self.pictures_of(columns["image"])
            self.rows.append(columns)
        slots = self.rows["run"][start:]
        self.runs["first_row"][first:] = start + np.searchsorted(slots, np.arange(first, self.runs.count))
        counts = np.bincount(slots - first, minlength=self.runs.count - first)
        self.runs.set("row_count", slice(first, None), counts.astype(np.int32))

    def _update_runs(self, ids: list[int]) -> None:
        """Read the rows of these runs in the table `run` again."""
        query = f"SELECT {', '.join(RUN_TYPES)} FROM run WHERE id IN ({','.join(map(str, ids))}) ORDER BY id"
        rows = self._reader.fetch(query) if ids else []
        columns = read_columns(RUN_TYPES, rows)
        slots = self.slots_of(columns["id"])
        for name in RUN_TYPES:
            self.runs.set(name, slots, columns[name])

    def _append_where(self, arrays: Arrays, table: str, condition: str, parameters: Sequence[Any] = ()) -> None:
        query = f"SELECT {', '.join(arrays.types)} FROM {table} WHERE {condition}"
        for rows in self._reader.iter_chunks(query, _CHUNK, parameters):
            columns = read_columns(arrays.types, rows)
            columns["image"] = self.pictures_of(columns["image"])
            arrays.append(columns)

    def _append_labels(self, only: list[int] | None) -> None:
        chosen = "" if only is None else f"WHERE run IN ({','.join(map(str, only))})"
        for rows in self._reader.iter_chunks(f"SELECT run, position, field, name FROM label {chosen}", _CHUNK):
            self.labels.append_rows(rows)

    def _set_images(self, rows: Sequence[tuple[int, float | None, int | None]]) -> None:
        """Take in what is said of images: id, mean rating, whether it is in the trash."""
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        missing = int(ids.max(initial=-1)) + 1 - len(self.image_ratings)
        if missing > 0:
            self.image_ratings = np.concatenate([self.image_ratings, np.full(missing, np.nan, np.float32)])
            self.is_trashed = np.concatenate([self.is_trashed, np.zeros(missing, np.bool_)])
        self.image_ratings[ids] = np.array([row[1] for row in rows], np.float32)
        self.is_trashed[ids] = np.array([bool(row[2]) for row in rows], np.bool_)
