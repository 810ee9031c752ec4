"""The columns of the index in memory: loaded from it, saved beside it, and patched with what changed.

A row is an output of a run, or a variant without outputs. The rows of a run are contiguous; a run that changes gets new
rows at the end, and its old ones are marked as dead.
"""

import contextlib
import json
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from stablenew.disk.atomic_file import replace_cached_by
from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.arrays import Arrays, read_columns
from stablenew.index.asking.columns.masks import Column, Mask, is_in, look_up
from stablenew.index.asking.columns.saved_columns import pack, pack_column, unpack, unpack_column
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import HASH_BITS, NO_IMAGE
from stablenew.index.run_index import RESET
from stablenew.index.stored_values import read_seed
from stablenew.index.text_ids import hash_body

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
_EXTRA_TYPES: Final[dict[str, Any]] = {
    "run": np.int32,
    "is_alive": np.bool_,
    "lag": np.int64,
    "seed_high": np.float64,
    "seed_low": np.uint32,
}
_CODED_RUNS: Final = (*(name for name in _RUN_TYPES if name not in ("id", "duration")), "row_count")
_CODED_ROWS: Final = (*("position", "negative", "number", "type", "stage"), *_SETTING_TYPES, "lag", "seed_high")
"""The columns that mostly have few different values. `lag` is when an image was made, in milliseconds after the time of
its run: 0, but for imported ones. `seed_high` is a seed without its lowest 32 bits, divided by 2^32."""
_SIZES: Final = ("width", "height")
_ROW_SQL: Final = ", ".join(
    f"COALESCE(NULLIF(p.{name}, 0), v.{name})"
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
    "is_empty": np.bool_,
    "is_latest": np.bool_,
    "is_flag_latest": np.bool_,
}
_TAG_TYPES: Final[dict[str, Any]] = {"run": np.int64, "image": np.int32, "name": np.int32}
_LAYOUT: Final = " ".join(
    ["coded", *_RUN_TYPES, *_ROW_TYPES, *_EXTRA_TYPES, *_LABEL_TYPES, *_OPINION_TYPES, *_TAG_TYPES]
)
"""A saved table with other columns was written by another version of the program."""
_SELECT_IMAGES: Final = "SELECT id, rating, is_trashed FROM image"
_MAX_SPANS: Final = 1_000
_MAX_PATCHED: Final = 5_000
_MAX_DEAD: Final = 0.25
_CHUNK: Final = 100_000
SEED_BITS: Final = 32
SEED_MASK: Final = (1 << SEED_BITS) - 1
_SAVED_TABLES: Final = ("runs", "rows", "labels", "opinions", "tags")


class ColumnTable:
    """The columns of one index. `refresh` brings them up to date."""

    def __init__(self, reader: IndexReader) -> None:
        self._reader = reader
        self._path = reader.path.with_name("columns.npz")
        self._version: tuple[str, int] | None = None
        self._clear()

    def _clear(self) -> None:
        self.runs = Arrays(_RUN_TYPES | _SLOT_TYPES, _CODED_RUNS)
        self.rows = Arrays(_ROW_TYPES | _EXTRA_TYPES, _CODED_ROWS)
        self.labels = Arrays(_LABEL_TYPES)
        self.opinions = Arrays(_OPINION_TYPES)
        self.tags = Arrays(_TAG_TYPES)
        self.image_ratings: Column = np.empty(0, np.float32)
        """The mean rating of each image, by its id."""
        self.copies: Column = np.empty(0, np.int64)
        """The ids of images that are copies of another, in order; `pictures` has those of the others."""
        self.pictures: Column = np.empty(0, np.int64)
        self._no_prompts: list[int] = []
        self.is_trashed: Mask = np.empty(0, np.bool_)
        """Which images are in the trash, by their ids."""
        self.touched_runs: set[int] | None = set()
        """The ids of runs that the last refresh read again; None when it read everything."""
        self.changed_runs: set[int] = set()
        """Those of them that changed in more than opinions and scores."""
        self.touched_images: Column = np.empty(0, np.int64)
        """The images of runs that the last refresh read again, before or after it."""
        self._order()

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
            self._order()
            self._version = (str(saved["token"]), int(saved["change"]))
        if self._version is None:
            self._clear()

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
        self._no_prompts = [-1, *(number for (number,) in empty)]

    def pictures_of(self, images: Column) -> Column:
        """For each of some images the one that stands for its picture: itself, unless it is a copy."""
        if not len(self.copies):
            return images
        places = np.minimum(np.searchsorted(self.copies, images), len(self.copies) - 1)
        found: Column = np.where(self.copies[places] == images, self.pictures[places], images)
        return found.astype(images.dtype)

    def with_copies(self, images: Column) -> Column:
        """Some images, and the copies that they stand for."""
        return np.union1d(images, self.copies[np.isin(self.pictures, images)])

    def with_prompts(self, fits: Mask) -> Mask:
        """Some rows without those of copies that say nothing of how they were made, where another of the same does."""
        rows, images = self._copy_rows, self.rows["image"][self._copy_rows]
        if not len(rows):
            return fits
        says_something = ~np.isin(self.rows["prompt"][rows], self._no_prompts)
        described = images[fits[rows] & says_something]
        hidden = rows[~says_something & np.isin(images, described)]
        if not len(hidden):
            return fits
        found = fits.copy()
        found[hidden] = False
        return found

    def _read_everything(self) -> None:
        self._clear()
        self._read_copies()
        self._append_runs(None)
        self._append_where(self.opinions, "opinion", "1")
        self._append_where(self.tags, "standing_tag", "1")
        self._append_labels(None)
        self._set_images(self._reader.fetch(f"{_SELECT_IMAGES} WHERE rating IS NOT NULL OR is_trashed"))
        self.touched_runs = None
        for table in (self.runs, self.rows, self.labels, self.opinions, self.tags):
            table.trim()
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
        runs = f"run IN ({','.join(map(str, sorted(touched)))})"
        trashed = [image for (image,) in self._reader.fetch(f"SELECT DISTINCT image FROM trash WHERE {runs}")]
        trashed_pictures = self.pictures_of(np.array(trashed, np.int64))
        images = np.union1d(self.opinions["image"][np.isin(self.opinions["run"], ids)], trashed_pictures)
        images = np.union1d(images, self.rows["image"][self.rows_of(ids)])
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
            self._order()
            self.touched_images = np.union1d(self.touched_images, self.rows["image"][self.rows_of(ids)])

    def _patch_opinions(self, ids: Column, runs: str, images: Column) -> None:
        """Read again what is said in these runs, and of these images in all: another word may be the last."""
        query = f"SELECT image FROM opinion WHERE {runs} UNION SELECT image FROM tag WHERE {runs}"
        found = [image for (image,) in self._reader.fetch(query)]
        images = np.union1d(images, self.tags["image"][np.isin(self.tags["run"], ids)])
        images = np.union1d(images, self.pictures_of(np.array(found, np.int64)))
        images = images[images > NO_IMAGE].astype(np.int64)
        listed = (json.dumps(self.with_copies(images).tolist()),)
        for said, table in ((self.opinions, "opinion"), (self.tags, "standing_tag")):
            said.keep(~np.isin(said["run"], ids) & ~np.isin(said["image"], images))
            self._append_where(said, table, "image IN (SELECT value FROM json_each(?))", listed)
            self._append_where(said, table, f"{runs} AND image = {NO_IMAGE}")
        self._set_images([(image, None, None) for image in images.tolist()])
        self._set_images(self._reader.fetch(f"{_SELECT_IMAGES} WHERE id IN (SELECT value FROM json_each(?))", listed))

    def rows_of(self, run_ids: Column) -> Column:
        """The rows of some runs."""
        slots, _ = self.known_slots_of(run_ids)
        firsts, counts = self.runs["first_row"][slots].tolist(), self.runs.at("row_count", slots).tolist()
        parts = [np.arange(first, first + count) for first, count in zip(firsts, counts, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

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
            f"SELECT v.run, v.seed, v.made, {_ROW_SQL} FROM variant v "
            f"LEFT JOIN place p ON p.run = v.run AND p.position = v.position "
            f"{chosen} ORDER BY v.run, v.position, p.number"
        )
        start = self.rows.count
        for rows in self._reader.iter_chunks(query, _CHUNK):
            columns = read_columns({"run": np.int64, "seed": object, "made": np.int64, **_ROW_TYPES}, rows)
            made = columns.pop("made")
            columns["lag"] = np.where(made >= 0, made - (columns["run"] >> HASH_BITS), 0)
            columns["run"] = (first + np.searchsorted(new_ids, columns["run"])).astype(np.int32)
            columns |= _seed_columns([row[1] for row in rows])
            columns["is_alive"] = np.ones(len(rows), np.bool_)
            columns["image"] = self.pictures_of(columns["image"])
            self.rows.append(columns)
        slots = self.rows["run"][start:]
        self.runs["first_row"][first:] = start + np.searchsorted(slots, np.arange(first, self.runs.count))
        counts = np.bincount(slots - first, minlength=self.runs.count - first)
        self.runs.set("row_count", slice(first, None), counts.astype(np.int32))

    def _update_runs(self, ids: list[int]) -> None:
        """Read the rows of these runs in the table `run` again."""
        query = f"SELECT {', '.join(_RUN_TYPES)} FROM run WHERE id IN ({','.join(map(str, ids))}) ORDER BY id"
        rows = self._reader.fetch(query) if ids else []
        columns = read_columns(_RUN_TYPES, rows)
        slots = self.slots_of(columns["id"])
        for name in _RUN_TYPES:
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

    def _order(self) -> None:
        """Work out what only depends on which runs and rows there are."""
        alive = np.flatnonzero(self.runs["is_alive"])
        self.run_order: Column = alive[np.argsort(self.runs["id"][alive], kind="stable")].astype(np.int32)
        """The slots of runs by id, that is by time."""
        self.sorted_ids: Column = self.runs["id"][self.run_order]
        counts = self.runs.at("row_count", self.run_order).astype(np.int64)
        starts = self.runs["first_row"][self.run_order] - (np.cumsum(counts) - counts)
        self.row_order: Column = (np.repeat(starts, counts) + np.arange(int(counts.sum()))).astype(np.int32)
        """The rows by the time when their images were made, those of one moment by run and position."""
        if len(self.late_rows):  # imported images are older than their runs
            times = self.times(self.row_order)
            if (times[1:] < times[:-1]).any():
                self.row_order = self.row_order[np.argsort(times, kind="stable")]
        self._count_places()

    def _count_places(self) -> None:
        images = self.rows["image"]
        self.has_image: Mask = self.rows["is_alive"] & (images >= 0)
        """The rows that are alive and hold an image."""
        self._image_spans = _spans(images)
        self.image_count = int(images.max(initial=-1)) + 1
        """One more than the greatest image id, also of rows that are dead."""
        self.is_shared: Mask = np.bincount(images[self.has_image], minlength=self.image_count) > 1
        """Which images are in several places, by their ids."""
        self.has_shared_images = bool(self.is_shared.any())
        self._copy_rows = np.flatnonzero(is_in(images, np.unique(self.pictures)) & self.has_image)

    def by_row(self, of_images: Column, unknown: Any, places: Column | None = None) -> Column:
        """What a column of images has for the images of some rows, or of all.

        It is `unknown` where there is no image, or one that the column does not have.
        """
        images = self.rows["image"]
        if places is not None:
            chosen = images[places]
            is_known = (chosen > NO_IMAGE) & (chosen < len(of_images))
            some = np.full(len(chosen), unknown, of_images.dtype)
            some[is_known] = of_images[chosen[is_known]]
            return some
        if self._image_spans is None:
            padded = np.full(max(len(of_images), self.image_count) + 1, unknown, of_images.dtype)
            padded[NO_IMAGE + 1 : len(of_images)] = of_images[NO_IMAGE + 1 :]
            return look_up(padded, images)
        found = np.full(len(images), unknown, of_images.dtype)
        for start, end in self._image_spans:
            first = int(images[start])
            if first > NO_IMAGE:
                known = of_images[first : first + end - start]
                found[start : start + len(known)] = known
        return found

    @property
    def late_rows(self) -> Column:
        """The rows of images that were not made when their run was."""
        return np.flatnonzero(self.rows.where("lag", lambda lags: lags != 0))

    def times(self, places: Column) -> Column:
        """When the images of some rows were made, in milliseconds since 1970."""
        times: Column = self.runs["id"][self.rows["run"][places]] >> HASH_BITS
        return times + self.rows.at("lag", places)

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
        firsts, ends = np.zeros(len(run_ids), np.int64), np.zeros(len(run_ids), np.int64)
        firsts[is_known] = self._first_rows(slots, positions[is_known])
        ends[is_known] = self._first_rows(slots, positions[is_known] + 1)
        return firsts, ends

    def _first_rows(self, slots: Column, positions: Column) -> Column:
        """The first row at or after each position of a run; within a run positions ascend."""
        low = self.runs["first_row"][slots].astype(np.int64)
        high = low + self.runs.at("row_count", slots)
        while (is_open := low < high).any():
            middle = (low + high) // 2
            is_before = is_open & (self.rows.at("position", np.where(is_open, middle, 0)) < positions)
            low = np.where(is_before, middle + 1, low)
            high = np.where(is_open & ~is_before, middle, high)
        return low


def _spans(images: Column) -> list[tuple[int, int]] | None:
    """The spans of rows in which one image follows the other; None where there are very many."""
    starts = np.flatnonzero(images[1:] != images[:-1] + 1) + 1
    if len(starts) >= _MAX_SPANS:
        return None
    return list(pairwise([0, *starts.tolist(), len(images)])) if len(images) else []


def _seed_columns(stored: list[Any]) -> dict[str, Column]:
    """Seeds may need more than 64 bits: what is above the lowest 32 as a number of its own, and these."""
    seeds = [read_seed(seed) for seed in stored]
    return {
        "seed_high": np.array([np.nan if seed is None else float(seed >> SEED_BITS) for seed in seeds], np.float64),
        "seed_low": np.array([0 if seed is None else seed & SEED_MASK for seed in seeds], np.uint32),
    }
