"""Lists, counts and facets of jobs and images, from the columns of the index in memory.

A query selects rows: outputs of runs. An image is selected when one of its rows is, and so is a job.
"""

import hashlib
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from stablenew.formats.query_language import Condition, Query
from stablenew.formats.settings import INDEXED
from stablenew.index.asking.arrays import Column, Mask
from stablenew.index.asking.column_table import ColumnTable
from stablenew.index.asking.conditions import RUN_WORD_COLUMNS, SETTING_COLUMNS, Conditions
from stablenew.index.asking.facet_codes import FacetCodes, code_variants
from stablenew.index.asking.image_groups import gather_groups, group_keys
from stablenew.index.asking.index_reader import (
    BEST,
    IMAGES,
    JOBS,
    NEWEST,
    OLDEST,
    RANDOM,
    TIME,
    WORST,
    IndexReader,
)
from stablenew.index.index_schema import FIELD_PACK, FIELD_TAG, NO_IMAGE

FACETS: Final = (
    "status",
    "pack",
    *(setting.query for setting in INDEXED if setting.query and setting.has_facet),
    *("rating", "tag", "engine"),
)
"""The facets of jobs."""
IMAGE_FACETS: Final = (*FACETS, "type", "stage", "source")
JOB_SORTS: Final = {"duration": "duration", "outputs": "output_count", "variants": "record_count"}
"""The columns by which jobs can be sorted: the largest first."""
_RATING: Final = "rating"
_MAX_CACHED: Final = 32

Key = tuple[Any, ...]
"""Where something stands in a list: what it is sorted by, first."""


class FacetValue(NamedTuple):
    """A value of a facet and how many jobs, or images, have it."""

    value: str | float
    job_count: int


class _List(NamedTuple):
    """A sorted list of jobs or images, by slot or row."""

    places: Column
    values: Column | None
    """What they are sorted by beside time, ascending; None when they are sorted by time alone."""


class ColumnCache:
    """The columns of one index. `refresh` brings them up to date; only what changed is read again.

    Threads may share it and take turns.
    """

    def __init__(self, reader: IndexReader, rater: str) -> None:
        self._guard = threading.RLock()
        self._reader = reader
        self.table = ColumnTable(reader)
        self._conditions = Conditions(self.table, reader, rater)
        self._forget()

    def refresh(self, rater: str) -> None:
        """Take in what changed in the index, and whose ratings are one's own."""
        with self._guard:
            if self.table.refresh() or rater != self._conditions.rater:
                self._conditions.rater = rater
                self._conditions.forget()
                self._forget()

    def _forget(self) -> None:
        self._rows: dict[tuple[Condition, ...], Mask] = {}
        self._lists: dict[tuple[str, Query, str], _List] = {}
        self._codes: dict[tuple[str, str], FacetCodes] = {}
        self._counted: dict[tuple[str, Query], dict[str, list[FacetValue]]] = {}

    def job_ids(self, query: Query, sort: str) -> Column:
        """The ids of all runs that fit, in order."""
        with self._guard:
            ids: Column = self.table.runs["id"][self._list(JOBS, query, sort).places]
            return ids

    def jobs_with(self, query: Query, sort: str, columns: Sequence[str]) -> tuple[Column, list[Column]]:
        """The same, and some columns of these runs."""
        with self._guard:
            places = self._list(JOBS, query, sort).places
            return self.table.runs["id"][places], [self.table.runs[name][places] for name in columns]

    def image_places(self, query: Query, sort: str) -> Column:
        """The rows of all images that fit, in order."""
        with self._guard:
            return self._list(IMAGES, query, sort).places

    def image_columns(self, places: Column) -> tuple[Column, Column, Mask]:
        """The ids of images by their rows, their widths divided by their heights, and whether somebody rated them."""
        with self._guard:
            rows, ratings = self.table.rows, self.table.image_ratings
            images = rows["image"][places]
            heights = np.where(rows["height"][places] > 0, rows["height"][places], np.nan)
            is_rated = np.zeros(max(len(ratings), self.table.image_count) + 1, np.bool_)
            is_rated[: len(ratings)] = ~np.isnan(ratings)
            return images, rows["width"][places] / heights, is_rated[images]

    def grouped(self, places: Column, by: str, utc_offset_milliseconds: int) -> tuple[Column, Column]:
        """These rows of images with groups together, and where each group starts."""
        with self._guard:
            order, starts = gather_groups(group_keys(self.table, places, by, utc_offset_milliseconds))
            return places[order], starts

    def page(self, kind: str, query: Query, sort: str, after: Key | None, limit: int) -> list[Key]:
        """The keys of a part of the list of jobs or images: (value, run, position, number) or without the value.

        For jobs they end with the run.
        """
        with self._guard:
            found = self._list(kind, query, sort)
            key_of = self._key_of(kind, sort, found)
            start = 0 if after is None else bisect_right(range(len(found.places)), _rank(after, sort), key=key_of)
            return [self._cursor(kind, found, place) for place in range(start, min(start + limit, len(found.places)))]

    def _cursor(self, kind: str, found: _List, place: int) -> Key:
        own = self._own_key(kind, int(found.places[place]))
        return own if found.values is None else (float(found.values[place]), *own)

    def _own_key(self, kind: str, place: int) -> Key:
        table = self.table
        if kind == JOBS:
            return (int(table.runs["id"][place]),)
        run = table.runs["id"][table.rows["run"][place]]
        return (int(run), int(table.rows["position"][place]), int(table.rows["number"][place]))

    def _key_of(self, kind: str, sort: str, found: _List) -> Callable[[int], Key]:
        return lambda place: _rank(self._cursor(kind, found, place), sort)

    def count(self, kind: str, query: Query) -> int:
        """How many jobs or images fit."""
        with self._guard:
            return int(np.count_nonzero(self._units(kind, self._matching(query.conditions))))

    def first_images(self, query: Query, run_ids: Sequence[int], limit: int) -> list[list[tuple[int, int]]]:
        """For each run the position and number of its first images that fit."""
        with self._guard:
            mask = self._matching(query.conditions)
            rows, runs = self.table.rows, self.table.runs
            slots, is_known = self.table.known_slots_of(np.array(run_ids, np.int64))
            found: list[list[tuple[int, int]]] = [[] for _ in run_ids]
            for place, slot in zip(np.flatnonzero(is_known).tolist(), slots.tolist(), strict=True):
                first = int(runs["first_row"][slot])
                fitting = first + np.flatnonzero(mask[first : first + int(runs["row_count"][slot])])
                fitting = fitting[rows["image"][fitting] >= 0][:limit]
                found[place] = list(
                    zip(rows["position"][fitting].tolist(), rows["number"][fitting].tolist(), strict=True)
                )
            return found

    def _list(self, kind: str, query: Query, sort: str) -> _List:
        key = (kind, query, sort)
        if key not in self._lists:
            if len(self._lists) >= _MAX_CACHED:
                self._lists.clear()
            self._lists[key] = self._sorted_jobs(query, sort) if kind == JOBS else self._sorted_images(query, sort)
        return self._lists[key]

    def _sorted_jobs(self, query: Query, sort: str) -> _List:
        order = self.table.run_order
        if query.conditions:
            order = order[self._units(JOBS, self._matching(query.conditions))[order]]
        if sort == OLDEST:
            return _List(order, None)
        order = order[::-1]
        if sort == TIME:
            return _List(order, None)
        values = self._best_ratings() if sort == _RATING else self.table.runs[JOB_SORTS[sort]]
        return _by_value(order, -np.nan_to_num(values[order].astype(np.float64), nan=-1.0))

    def _best_ratings(self) -> Column:
        """The greatest mean rating of an image of each run; its own rating where no image has one."""
        rows, best = self.table.rows, np.full(self.table.runs.count, -1.0)
        ratings = self._by_row(self.table.image_ratings)
        rated = np.flatnonzero(~np.isnan(ratings) & rows["is_alive"])
        np.maximum.at(best, rows["run"][rated], ratings[rated])
        own = self.table.runs["rating"]
        return np.where(best < 0, own, best)

    def _sorted_images(self, query: Query, sort: str) -> _List:
        order = self.table.row_order
        fits = self._matching(query.conditions) & (self.table.rows["image"] >= 0)
        order = order[fits[order]]
        if sort != OLDEST:
            order = order[::-1]
        order = self._without_repeats(order)
        if sort in (NEWEST, OLDEST):
            return _List(order, None)
        return _by_value(order, self._sort_values(order, sort))

    def _without_repeats(self, order: Column) -> Column:
        """Each image once, in the first of its places."""
        if not self.table.has_shared_images:
            return order
        images = self.table.rows["image"][order]
        shared = np.flatnonzero(self.table.place_counts[images] > 1)
        _, firsts = np.unique(images[shared], return_index=True)
        is_repeat = np.zeros(len(order), np.bool_)
        is_repeat[shared] = True
        is_repeat[shared[firsts]] = False
        kept: Column = order[~is_repeat]
        return kept

    def _sort_values(self, order: Column, sort: str) -> Column:
        """What images are sorted by, ascending; unknown ones come last."""
        if sort.startswith(f"{RANDOM}."):
            return self._random_values(order, sort)
        name = sort.removeprefix("-")
        values = self._by_row(
            self.table.image_ratings if name in (BEST, WORST) else self._conditions.numbers.score(name)
        )
        values = values[order].astype(np.float64)
        is_ascending = sort == WORST or sort.startswith("-")
        return np.nan_to_num(values if is_ascending else -values, nan=np.inf)

    def _random_values(self, order: Column, sort: str) -> Column:
        """Numbers that only depend on the image and the seed, so that pages fit together."""
        seed = int.from_bytes(hashlib.blake2b(sort.encode(), digest_size=6).digest(), "big") | 1
        images = self.table.rows["image"][order].astype(np.uint64)
        mixed = (images + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        return (mixed >> np.uint64(16)).astype(np.float64)

    def _by_row(self, of_images: Column) -> Column:
        """A column of images, by row."""
        padded = np.full(max(len(of_images), self.table.image_count) + 1, np.nan)
        padded[: len(of_images)] = of_images
        padded[NO_IMAGE] = np.nan
        found: Column = padded[self.table.rows["image"]]
        return found

    def _matching(self, conditions: tuple[Condition, ...]) -> Mask:
        """The rows for which all conditions hold."""
        if conditions not in self._rows:
            if len(self._rows) >= _MAX_CACHED:
                self._rows.clear()
            mask = self.table.rows["is_alive"].copy()
            for condition in conditions:
                mask &= self._conditions.mask(condition)
            self._rows[conditions] = mask
        return self._rows[conditions]

    def _units(self, kind: str, rows: Mask) -> Mask:
        """The jobs, by slot, or images, by id, that have one of `rows`."""
        if kind == JOBS:
            units = np.zeros(self.table.runs.count, np.bool_)
            units[self.table.rows["run"][rows]] = True
            return units
        units = np.zeros(self.table.image_count + 1, np.bool_)
        units[self.table.rows["image"][rows]] = True  # rows without an image mark the last one
        units[-1:] = False
        return units

    def facets(self, kind: str, query: Query) -> dict[str, list[FacetValue]]:
        """For each facet its values and how many jobs or images have them, most frequent first.

        The conditions on a facet do not apply to its own counts.
        """
        with self._guard:
            if (kind, query) not in self._counted:
                if len(self._counted) >= _MAX_CACHED:
                    self._counted.clear()
                self._counted[kind, query] = self.count_facets(kind, query)
            return self._counted[kind, query]

    def count_facets(self, kind: str, query: Query) -> dict[str, list[FacetValue]]:
        """As `facets`, without the cache."""
        names = FACETS if kind == JOBS else IMAGE_FACETS
        own = {name: query.without(name).conditions for name in names}
        rows = {conditions: self._matching(conditions) for conditions in set(own.values())}
        units = {conditions: self._units(kind, mask) for conditions, mask in rows.items()}
        places = {conditions: np.flatnonzero(mask) for conditions, mask in units.items()}
        found = {}
        for name, conditions in own.items():
            if name in ("pack", "tag"):
                found[name] = self._count_labels(kind, name, units[conditions], rows[conditions])
            else:
                codes = self._coded(kind, name)
                counts = codes.count(places[conditions], rows[conditions])
                found[name] = self._describe(name, codes.values, counts)
        return found

    def _coded(self, kind: str, name: str) -> FacetCodes:
        if (kind, name) not in self._codes:
            column = self._facet_column(name)
            alive = self.table.rows["is_alive"]
            if kind == JOBS:
                units, count = self.table.rows["run"], self.table.runs.count
            else:
                units, count = self.table.rows["image"], self.table.image_count
                alive = alive & (units >= 0)
            self._codes[kind, name] = code_variants(column, np.where(alive, units, count), count)
        return self._codes[kind, name]

    def _facet_column(self, name: str) -> Column:
        """A value of each row as a number; NaN where there is none."""
        rows = self.table.rows
        column: Column
        if name == _RATING:
            column = np.floor(self._by_row(self.table.image_ratings) + 0.5)
            return column
        if name in RUN_WORD_COLUMNS:
            column = self.table.runs[name][rows["run"]]
        else:
            column = rows[SETTING_COLUMNS.get(name, name)]
        if np.issubdtype(column.dtype, np.floating):
            return column
        return np.where(column < 0, np.nan, column)

    def _count_labels(self, kind: str, name: str, units: Mask, rows: Mask) -> list[FacetValue]:
        """Packs and tags: a job or image may have several."""
        field = FIELD_PACK if name == "pack" else FIELD_TAG
        labels, table = self.table.labels, self.table
        chosen = labels["field"] == field
        slots, is_known = table.known_slots_of(labels["run"][chosen])
        names = labels["name"][chosen][is_known]
        pairs = [self._pairs_of_runs(kind, slots, names, units, rows)]
        if name == "tag":
            tags = table.tags
            of_run = tags["image"] == NO_IMAGE
            slots, is_known = table.known_slots_of(tags["run"][of_run])
            pairs.append(self._pairs_of_runs(kind, slots, tags["name"][of_run][is_known], units, rows))
            pairs.append(self._pairs_of_images(kind, tags["image"][~of_run], tags["name"][~of_run], units, rows))
        merged = np.unique(np.concatenate(pairs))
        values, counts = np.unique(merged & 0xFFFF_FFFF, return_counts=True)
        return self._describe(name, values, counts)

    def _pairs_of_runs(self, kind: str, slots: Column, names: Column, units: Mask, rows: Mask) -> Column:
        """Pairs of unit and name, for labels of whole runs."""
        if kind == JOBS:
            chosen = units[slots]
            return _pair(slots[chosen], names[chosen])
        firsts, counts = self.table.runs["first_row"][slots], self.table.runs["row_count"][slots]
        places = np.repeat(firsts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
        repeated = np.repeat(names, counts)
        images = self.table.rows["image"][places]
        chosen = rows[places] & (images >= 0)
        return _pair(images[chosen], repeated[chosen])

    def _pairs_of_images(self, kind: str, images: Column, names: Column, units: Mask, rows: Mask) -> Column:
        """Pairs of unit and name, for tags of images."""
        if kind == IMAGES:
            is_there = images < len(units)
            chosen = np.flatnonzero(is_there)[units[images[is_there]]]
            return _pair(images[chosen], names[chosen])
        tagged = np.zeros(self.table.image_count + 1, np.bool_)
        tagged[images[images < self.table.image_count]] = True
        found = np.flatnonzero(rows & tagged[self.table.rows["image"]])
        order = np.argsort(images, kind="stable")
        starts = np.searchsorted(images[order], self.table.rows["image"][found], "left")
        ends = np.searchsorted(images[order], self.table.rows["image"][found], "right")
        counts = ends - starts
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
        slots = np.repeat(self.table.rows["run"][found], counts)
        return _pair(slots, names[order][places])

    def _describe(self, name: str, values: Column, counts: Column) -> list[FacetValue]:
        found: dict[str | float, int] = {}
        is_number = name == _RATING or np.issubdtype(self._facet_type(name), np.floating)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            shown = round(value, 5) if is_number else self._reader.name(int(value)).split("\0")[0]
            found[shown] = found.get(shown, 0) + count
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [FacetValue(value, count) for value, count in ordered if count]

    def _facet_type(self, name: str) -> Any:
        return self.table.rows.types.get(SETTING_COLUMNS.get(name, name), np.int32)


def _pair(units: Column, names: Column) -> Column:
    pairs: Column = units.astype(np.int64) << 32 | names
    return pairs


def _by_value(order: Column, values: Column) -> _List:
    """Sorted by `values`, ascending; what has equal values stays in order."""
    places = np.argsort(values, kind="stable")
    return _List(order[places], values[places])


def _rank(cursor: Key, sort: str) -> Key:
    """A cursor as something that ascends along the list."""
    sign = 1 if sort == OLDEST else -1
    has_value = sort not in (TIME, OLDEST, NEWEST)
    return (*cursor[:1], *(sign * part for part in cursor[1:])) if has_value else tuple(sign * part for part in cursor)
