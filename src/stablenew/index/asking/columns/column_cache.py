"""Lists, counts and facets of jobs and images, from the columns of the index in memory.

A query selects rows: outputs of runs. An image is selected when one of its rows is, and so is a job.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from stablenew.formats.query_language import Condition, Query
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.conditions import Conditions
from stablenew.index.asking.columns.facets import FACETS, IMAGE_FACETS, FacetCounter, FacetValue
from stablenew.index.asking.columns.first_page import FirstPages
from stablenew.index.asking.columns.image_groups import gather_groups, group_keys, keep_first, stack_keys
from stablenew.index.asking.columns.kept_answers import make_room, most_masks
from stablenew.index.asking.columns.masks import Column, Mask
from stablenew.index.asking.columns.named_numbers import SettingValues
from stablenew.index.asking.columns.sorting import SortedList, Sorting
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.asking.orders import BEST, IMAGES, JOBS, NEWEST, OLDEST, TIME, UNRATED, WORST

_DEFAULT_FACETS: Final = {JOBS: FACETS, IMAGES: IMAGE_FACETS}
_MAX_CACHED: Final = 32
_LIST_BYTES: Final = 64 << 20
"""Of the lists that are kept."""
_MOST_FIRST: Final = 2_048
"""Images of a first page that are looked for without sorting the whole list."""
_OF_IMAGES: Final = (NEWEST, OLDEST, BEST, WORST, UNRATED)
"""Orders by what is the same in all places of an image."""

Key = tuple[Any, ...]
"""Where something stands in a list: what it is sorted by, first."""


class ColumnCache:
    """The columns of one index. `refresh` brings them up to date; only what changed is read again.

    Threads may share it and take turns.
    """

    def __init__(self, reader: IndexReader, rater: str) -> None:
        self._guard = threading.RLock()
        self._reader = reader
        self.table = ColumnTable(reader)
        self._conditions = Conditions(self.table, reader, rater)
        self._sorting = Sorting(self.table, self._conditions.numbers)
        self._firsts = FirstPages(self.table)
        self._facets = FacetCounter(self.table, reader, self._conditions.numbers)
        self._forget()

    def refresh(self, rater: str) -> None:
        """Take in what changed in the index, and whose ratings are one's own."""
        with self._guard:
            if self.table.refresh() or rater != self._conditions.rater:
                self._conditions.rater = rater
                self._conditions.forget()
                self._forget()

    def forget_queries(self) -> None:
        """Drop the answers of queries, as if nobody had asked any; for measuring."""
        with self._guard:
            self._rows.clear()
            self._lists.clear()
            self._counted.clear()
            self._conditions.forget_masks()

    def _forget(self) -> None:
        self._rows: dict[tuple[Condition, ...], Mask] = {}
        self._lists: dict[tuple[str, Query, str], SortedList] = {}
        self._counted: dict[tuple[str, Query, tuple[str, ...]], dict[str, list[FacetValue]]] = {}
        self._facets.forget()
        self._firsts.forget()

    def job_ids(self, query: Query, sort: str) -> Column:
        """The ids of all runs that fit, in order."""
        with self._guard:
            ids: Column = self.table.runs["id"][self._list(JOBS, query, sort).places]
            return ids

    def jobs_with(self, query: Query, sort: str, columns: Sequence[str]) -> tuple[Column, list[Column]]:
        """The same, and some columns of these runs."""
        with self._guard:
            places = self._list(JOBS, query, sort).places
            return self.table.runs["id"][places], [self.table.runs.at(name, places) for name in columns]

    def image_places(self, query: Query, sort: str) -> Column:
        """The rows of all images that fit, in order."""
        with self._guard:
            return self._list(IMAGES, query, sort).places

    def first_image_places(self, query: Query, sort: str, limit: int) -> Column:
        """The rows of the first images that fit, in order: at most `limit`, where that spares sorting them all."""
        with self._guard:
            return (self._first_list(query, sort, limit) or self._list(IMAGES, query, sort)).places

    def image_columns(self, places: Column) -> tuple[Column, Column, Mask]:
        """The ids of images by their rows, their widths divided by their heights, and whether somebody rated them."""
        with self._guard:
            rows, ratings = self.table.rows, self.table.image_ratings
            images = rows["image"][places]
            heights = rows.at("height", places)
            heights = np.where(heights > 0, heights, np.float32(np.nan))
            is_rated = np.zeros(max(len(ratings), self.table.image_count) + 1, np.bool_)
            is_rated[: len(ratings)] = ~np.isnan(ratings)
            return images, rows.at("width", places) / heights, is_rated[images]

    def grouped(self, places: Column, by: str, utc_offset_milliseconds: int) -> tuple[Column, Column]:
        """These rows of images with groups together, and where each group starts."""
        with self._guard:
            order, starts = gather_groups(group_keys(self.table, places, by, utc_offset_milliseconds))
            return places[order], starts

    def setting_values(self, field: str) -> SettingValues:
        """The values of a setting without a column, such as `settings.s_churn`."""
        with self._guard:
            return self._conditions.numbers.setting(field)

    def page(self, kind: str, query: Query, sort: str, after: Key | None, limit: int) -> list[Key]:
        """The keys of a part of the list of images, (value, time, run, position, number), or of jobs, (value, run).

        Where a list is sorted by time alone they have no value.
        """
        with self._guard:
            found = self._first_list(query, sort, limit) if kind == IMAGES and after is None else None
            found = found or self._list(kind, query, sort)
            key_of = self._key_of(kind, sort, found)
            start = 0 if after is None else bisect_right(range(len(found.places)), _rank(after, sort), key=key_of)
            return [self._cursor(kind, found, place) for place in range(start, min(start + limit, len(found.places)))]

    def _cursor(self, kind: str, found: SortedList, place: int) -> Key:
        own = self._own_key(kind, int(found.places[place]))
        return own if found.values is None else (float(found.values[place]), *own)

    def _own_key(self, kind: str, place: int) -> Key:
        table = self.table
        if kind == JOBS:
            return (int(table.runs["id"][place]),)
        at = np.array([place])
        run, time = int(table.runs["id"][table.rows["run"][place]]), int(table.times(at)[0])
        return (time, run, int(table.rows.at("position", at)[0]), int(table.rows.at("number", at)[0]))

    def _key_of(self, kind: str, sort: str, found: SortedList) -> Callable[[int], Key]:
        return lambda place: _rank(self._cursor(kind, found, place), sort)

    def count(self, kind: str, query: Query) -> int:
        """How many jobs or images fit."""
        with self._guard:
            mask = self._matching(query.conditions)
            if kind == IMAGES and not self.table.has_shared_images:
                return int(np.count_nonzero(mask & self.table.has_image))
            return int(np.count_nonzero(self._units(kind, mask)))

    def first_images(self, query: Query, run_ids: Sequence[int], limit: int) -> list[list[tuple[int, int]]]:
        """For each run the position and number of its first images that fit."""
        with self._guard:
            mask = self._matching(query.conditions)
            rows, runs = self.table.rows, self.table.runs
            slots, is_known = self.table.known_slots_of(np.array(run_ids, np.int64))
            found: list[list[tuple[int, int]]] = [[] for _ in run_ids]
            for place, slot in zip(np.flatnonzero(is_known).tolist(), slots.tolist(), strict=True):
                first = int(runs["first_row"][slot])
                fitting = first + np.flatnonzero(mask[first : first + int(runs.at("row_count", slot))])
                fitting = fitting[rows["image"][fitting] >= 0][:limit]
                columns = (rows.at(name, fitting).tolist() for name in ("position", "number"))
                found[place] = list(zip(*columns, strict=True))
            return found

    def stacked(self, places: Column) -> tuple[Column, Column]:
        """The first row of each stack of images, which differ in the seed alone, and how many are in it."""
        with self._guard:
            return keep_first(stack_keys(self.table, places), places)

    def stack_of(self, image: int, query: Query, sort: str) -> Column:
        """The rows of the other images that fit and are in one stack with an image, in order."""
        with self._guard:
            rows, places = self.table.rows, self._list(IMAGES, query, sort).places
            itself = rows["image"][places] == image
            if not itself.any():
                return places[:0]
            place = places[itself][0]
            likely = places[rows["prompt"][places] == rows["prompt"][place]]
            keys = stack_keys(self.table, likely)
            fitting: Column = likely[(keys == keys[likely == place][0]) & (likely != place)]
            return fitting

    def _first_list(self, query: Query, sort: str, limit: int) -> SortedList | None:
        """The beginning of a list of images; None where the whole of it is quicker to have, or there already."""
        if (IMAGES, query, sort) in self._lists or limit > _MOST_FIRST:
            return None
        fits = self._fitting_images(query)
        is_of_images = sort.removeprefix("-") in _OF_IMAGES or "metric." in sort or "aspect." in sort
        name = sort.removeprefix("-")
        source = self._conditions.numbers.score(name) if name.startswith(("metric.", "aspect.")) else None
        places = self._firsts.find(
            fits, sort, limit, lambda: self._sorting.rank_values(sort), source, is_of_images=is_of_images
        )
        if places is None:
            return None
        return SortedList(places, None if sort in (NEWEST, OLDEST) else self._sorting.values(places, sort))

    def _list(self, kind: str, query: Query, sort: str) -> SortedList:
        key = (kind, query, sort)
        if key not in self._lists:
            self._lists[key] = self._sort(kind, query, sort)
            while len(self._lists) > 1 and sum(known.nbytes for known in self._lists.values()) > _LIST_BYTES:
                del self._lists[next(iter(self._lists))]
        return self._lists[key]

    def _sort(self, kind: str, query: Query, sort: str) -> SortedList:
        if kind == IMAGES:
            return self._sorting.images(self._fitting_images(query), sort)
        fits = self._units(JOBS, self._matching(query.conditions)) if query.conditions else None
        return self._sorting.jobs(fits, sort)

    def _fitting_images(self, query: Query) -> Mask:
        """The rows of images that fit."""
        return self.table.with_prompts(self._matching(query.conditions) & self.table.has_image)

    def _matching(self, conditions: tuple[Condition, ...]) -> Mask:
        """The rows for which all conditions hold."""
        if conditions not in self._rows:
            make_room(self._rows, min(most_masks(self.table.rows.count), _MAX_CACHED))
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

    def facets(self, kind: str, query: Query, names: Sequence[str] = ()) -> dict[str, list[FacetValue]]:
        """For each facet its values and how many jobs or images have them, most frequent first.

        The conditions on a facet do not apply to its own counts. Without `names` these are the usual facets.
        """
        with self._guard:
            key = (kind, query, tuple(names))
            if key not in self._counted:
                make_room(self._counted, _MAX_CACHED)
                self._counted[key] = self.count_facets(kind, query, names)
            return self._counted[key]

    def count_facets(self, kind: str, query: Query, names: Sequence[str] = ()) -> dict[str, list[FacetValue]]:
        """As `facets`, without the cache."""
        own = {name: query.without(name).conditions for name in names or _DEFAULT_FACETS[kind]}
        by_conditions: dict[tuple[Condition, ...], list[str]] = {}
        for name, conditions in own.items():
            by_conditions.setdefault(conditions, []).append(name)
        found: dict[str, list[FacetValue]] = {}
        for conditions, facets in by_conditions.items():
            found |= self._facets.count(kind, self._matching(conditions), facets)
        return {name: found[name] for name in own}


def _rank(cursor: Key, sort: str) -> Key:
    """A cursor as something that ascends along the list."""
    sign = 1 if sort == OLDEST else -1
    has_value = sort not in (TIME, OLDEST, NEWEST)
    return (*cursor[:1], *(sign * part for part in cursor[1:])) if has_value else tuple(sign * part for part in cursor)
