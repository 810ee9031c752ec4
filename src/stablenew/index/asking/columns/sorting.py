"""Jobs and images in an order: by time, stars, scores, a setting, or at random."""

import hashlib
from typing import Final, NamedTuple

import numpy as np

from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.conditions import SETTING_COLUMNS
from stablenew.index.asking.columns.masks import Column, Mask
from stablenew.index.asking.columns.named_numbers import NamedNumbers
from stablenew.index.asking.orders import BEST, NEWEST, OLDEST, RANDOM, TIME, UNRATED, WORST

JOB_SORTS: Final = {"duration": "duration", "outputs": "output_count", "variants": "record_count"}
"""The columns by which jobs can be sorted: the largest first."""
_RATING: Final = "rating"


class SortedList(NamedTuple):
    """A sorted list of jobs or images, by slot or row."""

    places: Column
    values: Column | None
    """What they are sorted by beside time, ascending; None when they are sorted by time alone."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.places.nbytes + (0 if self.values is None else self.values.nbytes)


class Sorting:
    """Sorts what fits a query."""

    def __init__(self, table: ColumnTable, numbers: NamedNumbers) -> None:
        self._table = table
        self._numbers = numbers

    def jobs(self, fits: Mask | None, sort: str) -> SortedList:
        """The jobs that fit, given by slot; None for all."""
        order = self._table.run_order
        if fits is not None:
            order = order[fits[order]]
        if sort == OLDEST:
            return SortedList(order, None)
        order = order[::-1]
        if sort == TIME:
            return SortedList(order, None)
        values = self._best_ratings() if sort == _RATING else self._table.runs[JOB_SORTS[sort]]
        return _by_value(order, -np.nan_to_num(values[order].astype(np.float64), nan=-1.0))

    def _best_ratings(self) -> Column:
        """The greatest mean rating of an image of each run; its own rating where no image has one."""
        rows, best = self._table.rows, np.full(self._table.runs.count, -1.0)
        ratings = self._table.by_row(self._table.image_ratings, np.nan)
        rated = np.flatnonzero(~np.isnan(ratings) & rows["is_alive"])
        np.maximum.at(best, rows["run"][rated], ratings[rated])
        own = self._table.runs["rating"]
        return np.where(best < 0, own, best)

    def images(self, fits: Mask, sort: str) -> SortedList:
        """The images of the rows that fit, each once."""
        order = self._table.row_order
        order = order[fits[order]]
        if sort != OLDEST:
            order = order[::-1]
        order = self._without_repeats(order)
        if sort in (NEWEST, OLDEST):
            return SortedList(order, None)
        return _by_value(order, self.values(order, sort))

    def _without_repeats(self, order: Column) -> Column:
        """Each image once, in the first of its places."""
        if not self._table.has_shared_images:
            return order
        images = self._table.rows["image"][order]
        shared = np.flatnonzero(self._table.is_shared[images])
        _, firsts = np.unique(images[shared], return_index=True)
        is_repeat = np.zeros(len(order), np.bool_)
        is_repeat[shared] = True
        is_repeat[shared[firsts]] = False
        kept: Column = order[~is_repeat]
        return kept

    def values(self, order: Column, sort: str) -> Column:
        """What images are sorted by, ascending; unknown ones come last."""
        if sort.startswith(f"{RANDOM}."):
            return self._random_values(order, sort)
        values = self._numbers_of_rows(sort.removeprefix("-"), order).astype(np.float64)
        if sort == UNRATED:
            return (~np.isnan(values)).astype(np.float64)
        is_ascending = sort == WORST or sort.startswith("-")
        return np.nan_to_num(values if is_ascending else -values, nan=np.inf)

    def _numbers_of_rows(self, name: str, places: Column | None) -> Column:
        """The number of each of some rows, or of all, that an order names: a rating, score, aspect or setting."""
        rows, chosen = self._table.rows, slice(None) if places is None else places
        if name in (BEST, WORST, UNRATED):
            return self._table.by_row(self._table.image_ratings, np.nan, places)
        if name in SETTING_COLUMNS:
            return rows.at(SETTING_COLUMNS[name], chosen)
        if name.startswith("settings."):
            numbers: Column = self._numbers.setting_numbers(name)[chosen]
            return numbers
        return self._table.by_row(self._numbers.score(name), np.nan, places)

    def _random_values(self, order: Column, sort: str) -> Column:
        """Numbers that only depend on the image and the seed, so that pages fit together."""
        seed = int.from_bytes(hashlib.blake2b(sort.encode(), digest_size=6).digest(), "big") | 1
        images = self._table.rows["image"][order].astype(np.uint64)
        mixed = (images + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        return (mixed >> np.uint64(16)).astype(np.float64)

    def rank_values(self, sort: str) -> Column:
        """What rows are sorted by, ascending; NaN where it is not known."""
        values = self._numbers_of_rows(sort.removeprefix("-"), None)
        is_ascending = sort in (WORST, UNRATED) or sort.startswith("-")
        return values if is_ascending else -values


def _by_value(order: Column, values: Column) -> SortedList:
    """Sorted by `values`, ascending; what has equal values stays in order."""
    places = np.argsort(values, kind="stable")
    return SortedList(order[places], values[places])
