"""The columns of the index in memory, as NumPy arrays: counts over a million jobs in milliseconds.

A variant is a row; a facet counts runs.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stablenew.formats.query_language import RUN_NUMBERS, TIMES, VARIANT_NUMBERS, VARIANT_WORDS, Condition, Query
from stablenew.formats.settings import INDEXED
from stablenew.index.asking.column_table import Column, ColumnTable, Ids, TableFile
from stablenew.index.asking.facet_codes import FacetCodes, code_runs, code_variants
from stablenew.index.asking.index_reader import OLDEST, SORTS, TIME, IndexReader
from stablenew.index.asking.query_sql import (
    FLAG_COLUMNS,
    LABELS,
    NUMBER_COLUMNS,
    select_negatives,
    select_seeds,
    select_uses,
)
from stablenew.index.index_schema import FIELD_PACK, FIELD_TAG, MAX_USE, first_id

Mask: TypeAlias = npt.NDArray[np.bool_]

FACETS: Final = (
    "status",
    "pack",
    *(setting.query for setting in INDEXED if setting.query and setting.has_facet),
    *("rating", "tag", "engine"),
)
_RUN_WORDS: Final = ("status", "engine", "action")
_MOST_REMEMBERED: Final = 64
_LABEL_FACETS: Final = {"pack": FIELD_PACK, "tag": FIELD_TAG}


class FacetValue(NamedTuple):
    """A value of a facet and how many jobs have it."""

    value: str | float
    job_count: int


class ColumnCache:
    """The columns of one index. `refresh` brings them up to date; only what changed is read again.

    Threads may share it and take turns.
    """

    def __init__(self, reader: IndexReader) -> None:
        self._guard = threading.RLock()
        self._reader = reader
        self._file = TableFile(reader)
        self._take(self._file.table)

    def refresh(self) -> None:
        """Take in what the index learned since."""
        with self._guard:
            if self._file.refresh():
                self._take(self._file.table)

    def _take(self, table: ColumnTable) -> None:
        self.table = table
        self._masks: dict[Condition, Mask] = {}
        self._codes: dict[str, FacetCodes] = {}
        self._counted: dict[Query, dict[str, list[FacetValue]]] = {}
        self._runs = np.searchsorted(table.run_ids, table.use_ids & ~MAX_USE).astype(np.int32)
        """The place of each variant's run."""
        self._first_rows = np.searchsorted(self._runs, np.arange(len(table.run_ids), dtype=np.int32)).astype(np.int32)
        self._later_rows = np.flatnonzero(np.diff(self._runs, prepend=np.int32(-1)) == 0).astype(np.int32)
        """The variants of each run but its first."""
        self._labels: dict[int, tuple[Column, FacetCodes]] = {}
        self._label_runs = np.searchsorted(table.run_ids, table.label_ids).astype(np.int32)
        self._by_use: Column | None = None

    def ids(self, query: Query, sort: str = TIME) -> Ids:
        """The numbers of all runs that fit, in the order of `sort`."""
        with self._guard:
            return self.table.run_ids[self._places(query, sort)]

    def ids_with(self, query: Query, sort: str, columns: Sequence[str]) -> tuple[Ids, list[Column]]:
        """The same, and of each run the values of some columns."""
        with self._guard:
            places = self._places(query, sort)
            return self.table.run_ids[places], [self.table.run(name)[places] for name in columns]

    def _places(self, query: Query, sort: str) -> Column:
        places: Column = np.flatnonzero(self._matching_runs(self._rows(query.conditions)))
        if sort == OLDEST:
            return places
        newest_first = places[::-1]
        if sort == TIME:
            return newest_first
        values = np.nan_to_num(self.table.run(SORTS[sort].removeprefix("r."))[newest_first], nan=-1.0)
        ordered: Column = newest_first[np.argsort(-values, kind="stable")]
        return ordered

    def facets(self, query: Query) -> dict[str, list[FacetValue]]:
        """For each facet its values and how many runs have them, most first; its own conditions left out."""
        with self._guard:
            if query not in self._counted:
                if len(self._counted) > _MOST_REMEMBERED:
                    self._counted.clear()
                self._counted[query] = self.count_facets(query)
            return self._counted[query]

    def count_facets(self, query: Query) -> dict[str, list[FacetValue]]:
        """As `facets`, counted anew."""
        own = {name: query.without(name).conditions for name in FACETS}
        rows = {conditions: self._rows(conditions) for conditions in set(own.values())}
        runs = {conditions: self._matching_runs(mask) for conditions, mask in rows.items()}
        places = {conditions: np.flatnonzero(mask) if conditions else None for conditions, mask in runs.items()}
        found = {}
        for name, conditions in own.items():
            if name in _LABEL_FACETS:
                found[name] = self._count_labels(_LABEL_FACETS[name], runs[conditions])
            else:
                codes = self._coded(name)
                counts = codes.count(places[conditions], rows[conditions])
                found[name] = self._describe(name, codes.values, counts)
        return found

    def _coded(self, name: str) -> FacetCodes:
        if name not in self._codes:
            column = NUMBER_COLUMNS.get(name, name)
            if name in _RUN_WORDS or name == "rating":
                self._codes[name] = code_runs(self.table.run(column))
            else:
                self._codes[name] = code_variants(self.table.variant(column), self._runs, self._first_rows)
        return self._codes[name]

    def _rows(self, conditions: tuple[Condition, ...]) -> Mask | None:
        """The variants for which all conditions hold; None is all of them."""
        masks = [self._mask(condition) for condition in conditions]
        return np.logical_and.reduce(masks) if masks else None

    def _matching_runs(self, rows: Mask | None) -> Mask:
        run_count = len(self.table.run_ids)
        if rows is None:
            return np.ones(run_count, np.bool_)
        if len(rows) == run_count:
            return rows
        matching: Mask = rows[self._first_rows]
        later = self._later_rows[rows[self._later_rows]]
        matching[self._runs[later]] = True
        return matching

    def _mask(self, condition: Condition) -> Mask:
        mask = self._masks.get(condition)
        if mask is None:
            holds = self._holds(condition)
            mask = self._masks[condition] = ~holds if condition.is_negated else holds
        return mask

    def _holds(self, condition: Condition) -> Mask:
        name, table = condition.field, self.table
        if name in VARIANT_NUMBERS and name != "seed":
            return _in_ranges(table.variant(NUMBER_COLUMNS[name]), condition)
        if name == "negative":
            return np.isin(table.variant("negative"), self._negatives(condition))
        if name in VARIANT_WORDS:
            return np.isin(table.variant(name), self._reader.find_names(condition.patterns()))
        runs = self._holds_for_runs(condition)
        if runs is None:
            return self._selected(condition)
        return runs if len(self._runs) == len(runs) else runs[self._runs]

    def _negatives(self, condition: Condition) -> list[int]:
        selection = select_negatives(condition)
        return [row[0] for row in self._reader.fetch(selection.text, selection.parameters)]

    def _holds_for_runs(self, condition: Condition) -> Mask | None:
        """The runs for which a condition about whole runs holds; None when it is not about them."""
        name, table = condition.field, self.table
        mask: Mask | None = None
        if name in RUN_NUMBERS:
            mask = _in_ranges(table.run(NUMBER_COLUMNS[name]), condition)
        elif name in _RUN_WORDS:
            mask = np.isin(table.run(name), self._reader.find_names(condition.patterns()))
        elif name in TIMES:
            mask = _in_time(table.run_ids, condition)
        elif name == "unrated":
            mask = np.isnan(table.run("stars")) == condition.switch
        elif name == "noted":
            mask = (table.run("note_count") > 0) == condition.switch
        elif name == "flag":
            counts = [table.run(FLAG_COLUMNS[pattern.text]) > 0 for pattern in condition.patterns()]
            mask = np.logical_or.reduce(counts)
        elif name in _LABEL_FACETS:
            mask = self._labelled(LABELS[name][0], condition)
        return mask

    def _labelled(self, kinds: tuple[int, ...], condition: Condition) -> Mask:
        names = self._reader.find_names(condition.patterns())
        rows = np.isin(self.table.labels[0], kinds) & np.isin(self.table.labels[1], names)
        mask = np.zeros(len(self.table.run_ids), np.bool_)
        mask[self._label_runs[rows]] = True
        return mask

    def _selected(self, condition: Condition) -> Mask:
        """What only the index itself can say: words of prompts, seeds, parts of ids."""
        if condition.field == "seed":
            return self._with_seeds(condition)
        selection = select_uses(condition, self._reader.find_names)
        found = self._reader.fetch(selection.text, selection.parameters)
        wanted = np.fromiter((row[0] for row in found), np.int64, len(found))
        by_use = self._by_use
        if by_use is None:  # only searches for words need it
            by_use = self._by_use = np.argsort(self.table.use_ids, kind="stable").astype(np.int32)
        sorted_uses = self.table.use_ids[by_use]
        starts = np.searchsorted(sorted_uses, wanted, "left")
        ends = np.searchsorted(sorted_uses, wanted, "right")
        edges = np.zeros(len(sorted_uses) + 1, np.int32)
        np.add.at(edges, starts, 1)
        np.add.at(edges, ends, -1)
        mask = np.zeros(len(sorted_uses), np.bool_)
        mask[by_use] = np.cumsum(edges[:-1]) > 0
        return mask

    def _with_seeds(self, condition: Condition) -> Mask:
        """Seeds need 64 bits and more, the table has 32. A variant has the same place in its run as in the table."""
        selection = select_seeds(condition)
        found = np.array(self._reader.fetch(selection.text, selection.parameters), np.int64).reshape(-1, 2)
        runs = np.searchsorted(self.table.run_ids, found[:, 0])
        rows = self._first_rows[runs[runs < len(self._first_rows)]] + found[runs < len(self._first_rows), 1]
        mask = np.zeros(len(self._runs), np.bool_)
        mask[rows[rows < len(mask)]] = True
        return mask

    def _count_labels(self, kind: int, runs: Mask) -> list[FacetValue]:
        if kind not in self._labels:
            chosen = np.flatnonzero(self.table.labels[0] == kind)
            self._labels[kind] = (self._label_runs[chosen], code_runs(self.table.labels[1][chosen].astype(np.float32)))
        label_runs, codes = self._labels[kind]
        return self._describe("tag", codes.values, codes.count(np.flatnonzero(runs[label_runs]), None))

    def _describe(self, name: str, values: Column, counts: Column) -> list[FacetValue]:
        found: dict[str | float, int] = {}
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            shown = round(value, 5) if name in NUMBER_COLUMNS else self._reader.name(int(value)).split("\0")[0]
            found[shown] = found.get(shown, 0) + count
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [FacetValue(value, count) for value, count in ordered if count]


def _in_ranges(column: Column, condition: Condition) -> Mask:
    tests: list[Mask] = []
    for one in condition.ranges():
        test: Any = ~np.isnan(column)
        if one.low is not None:
            test &= column > one.low if one.is_low_open else column >= one.low
        if one.high is not None:
            test &= column < one.high if one.is_high_open else column <= one.high
        tests.append(test)
    mask: Mask = np.logical_or.reduce(tests)
    return mask


def _in_time(ids: Ids, condition: Condition) -> Mask:
    mask: Mask = np.logical_or.reduce(
        [
            ids >= first_id(int(one.low)) if one.low is not None else ids < first_id(int(one.high or 0))
            for one in condition.ranges()
        ]
    )
    return mask
