"""The columns of the index in memory, and what can be looked up in them: rows of runs, images of rows, orders by time.

A row is an output of a run, or a variant without outputs. The rows of a run are contiguous; a run that changes gets new
rows at the end, and its old ones are marked as dead.
"""

from itertools import pairwise
from typing import Any, Final

import numpy as np

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.arrays import Arrays
from stablenew.index.asking.columns.masks import Column, Mask, is_in, look_up
from stablenew.index.index_schema import HASH_BITS, NO_IMAGE

RUN_TYPES: Final[dict[str, Any]] = {
    "id": np.int64,
    **dict.fromkeys(("status", "engine", "source", "action"), np.int32),
    **dict.fromkeys(("record_count", "output_count", "duration", "rating", "rated_count", "note_count"), np.float32),
}
SLOT_TYPES: Final[dict[str, Any]] = {"is_alive": np.bool_, "first_row": np.int32, "row_count": np.int32}
_SETTING_TYPES: Final[dict[str, Any]] = {
    setting.name: np.int32 if setting.type == "text" else np.float32 for setting in INDEXED if setting.name != "seed"
}
ROW_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(("position", "prompt", "negative", "number", "image", "type", "stage"), np.int32),
    **_SETTING_TYPES,
}
EXTRA_TYPES: Final[dict[str, Any]] = {
    "run": np.int32,
    "is_alive": np.bool_,
    "lag": np.int64,
    "seed_high": np.float64,
    "seed_low": np.uint32,
}
_CODED_RUNS: Final = (*(name for name in RUN_TYPES if name not in ("id", "duration")), "row_count")
_CODED_ROWS: Final = (*("position", "negative", "number", "type", "stage"), *_SETTING_TYPES, "lag", "seed_high")
"""The columns that mostly have few different values. `lag` is when an image was made, in milliseconds after the time of
its run: 0, but for imported ones. `seed_high` is a seed without its lowest 32 bits, divided by 2^32."""
LABEL_TYPES: Final[dict[str, Any]] = {"run": np.int64, "position": np.int32, "field": np.int32, "name": np.int32}
OPINION_TYPES: Final[dict[str, Any]] = {
    "run": np.int64,
    "image": np.int32,
    "rater": np.int32,
    "rating": np.float32,
    "flag": np.int32,
    "is_empty": np.bool_,
    "is_latest": np.bool_,
    "is_flag_latest": np.bool_,
}
TAG_TYPES: Final[dict[str, Any]] = {"run": np.int64, "image": np.int32, "name": np.int32}
TRASH_TYPES: Final[dict[str, Any]] = {"run": np.int64, "image": np.int32}
_MAX_SPANS: Final = 1_000


class TableColumns:
    """The columns of one index."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.runs = Arrays(RUN_TYPES | SLOT_TYPES, _CODED_RUNS)
        self.rows = Arrays(ROW_TYPES | EXTRA_TYPES, _CODED_ROWS)
        self.labels = Arrays(LABEL_TYPES)
        self.opinions = Arrays(OPINION_TYPES)
        self.tags = Arrays(TAG_TYPES)
        self.trash = Arrays(TRASH_TYPES)
        """Which runs say of which images whether they are in the trash."""
        self.image_ratings: Column = np.empty(0, np.float32)
        """The mean rating of each image, by its id."""
        self.copies: Column = np.empty(0, np.int64)
        """The ids of images that are copies of another, in order; `pictures` has those of the others."""
        self.pictures: Column = np.empty(0, np.int64)
        self.no_prompts: list[int] = []
        """The ids of texts that say nothing, where there are copies."""
        self.is_trashed: Mask = np.empty(0, np.bool_)
        """Which images are in the trash, by their ids."""
        self.order()

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
        says_something = ~np.isin(self.rows["prompt"][rows], self.no_prompts)
        described = images[fits[rows] & says_something]
        hidden = rows[~says_something & np.isin(images, described)]
        if not len(hidden):
            return fits
        found = fits.copy()
        found[hidden] = False
        return found

    def rows_of(self, run_ids: Column) -> Column:
        """The rows of some runs."""
        slots, _ = self.known_slots_of(run_ids)
        firsts, counts = self.runs["first_row"][slots].tolist(), self.runs.at("row_count", slots).tolist()
        parts = [np.arange(first, first + count) for first, count in zip(firsts, counts, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def order(self) -> None:
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
