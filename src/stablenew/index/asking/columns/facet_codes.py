"""Counting the values of columns over many jobs or images at once.

Each value of a column has a code, and 0 is unknown. The codes of several columns make one joint code, so that going
through the rows once counts them all. A unit (a job or an image) with one row is counted by this row. An image with
several is counted by the first of them that fits, and what differs among the others is put right by its pairs of unit
and value. The rows of a job follow each other: there the different codes of each are marked and counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stablenew.index.asking.columns.arrays import Coded, code_type
from stablenew.index.asking.columns.masks import Column, Mask, iter_blocks

_MOST_JOINT: Final = 1 << 16
_MOST_MARKS: Final = 1 << 21
_MOST_MARKED: Final = 1 << 10
"""With more values than this, pairs are sorted instead of being marked."""


class Rows:
    """The rows that fit a query, seen as units."""

    def __init__(self, fits: Mask, units: "UnitRows") -> None:
        self.fits = fits
        self.units = units
        alone = fits & units.is_alone
        self._is_most = 2 * np.count_nonzero(alone) > units.alone_count
        """Whether it is quicker to count those that do not fit."""
        self._counted = np.flatnonzero(units.is_alone & ~fits if self._is_most else alone)
        self.several = np.flatnonzero(fits & units.is_there & ~units.is_alone)
        """The rows of units that have more than one, whether these fit or not."""
        self._is_first: Mask | None = None

    def count(self, codes: Column, totals: Column) -> Column:
        """How many units with one row have each code; `totals` are the counts without a query."""
        counts = np.bincount(codes[self._counted], minlength=len(totals))
        return totals - counts if self._is_most else counts

    def count_several(self, codes: Column, size: int, mixed: "UnitPairs | None") -> Column:
        """How many units with several rows have each code in one that fits.

        `mixed` are the pairs of units whose rows differ; without them the rows of each unit must follow each other.
        """
        if not len(self.several):
            return np.zeros(size, np.int64)
        if mixed is None:
            return count_different(self.units.units[self.several], codes[self.several], size)
        is_first = self._find_firsts()
        counts = np.bincount(codes[self.several[is_first[self.several]]], minlength=size)
        counts -= np.bincount(codes[mixed.rows[is_first[mixed.rows]]], minlength=size)
        return counts + np.bincount(mixed.values_in(self.fits), minlength=size)

    def _find_firsts(self) -> Mask:
        """Of each unit with several rows the first one that fits."""
        if self._is_first is None:
            self._is_first = np.zeros(len(self.fits), np.bool_)
            self._is_first[self.units.first_of_each(self.several)] = True
        return self._is_first


class UnitRows:
    """Which unit each row belongs to. Rows that belong to none have the unit -1."""

    def __init__(self, units: Column, is_there: Mask, *, is_contiguous: bool) -> None:
        self.units = units
        self.is_contiguous = is_contiguous
        """Whether the rows of each follow each other, and the units ascend."""
        self.is_there = is_there
        """The rows that are alive and have a unit."""
        self.count = int(units.max(initial=-1)) + 1
        is_alone = np.bincount(units[is_there], minlength=self.count) == 1
        self.is_alone: Mask = np.zeros(len(units), np.bool_)
        """The rows of units that have no other."""
        self.is_alone[is_there] = is_alone[units[is_there]]
        self.alone_count = int(np.count_nonzero(self.is_alone))

    def first_of_each(self, rows: Column) -> Column:
        """Of some rows the first of each unit."""
        first = np.full(self.count, len(self.units), np.int32)
        first[self.units[rows[::-1]]] = rows[::-1]
        found: Column = rows[first[self.units[rows]] == rows]
        return found

    def totals(self, codes: Column, size: int) -> Column:
        """How many units with one row have each code."""
        return np.bincount(codes[self.is_alone], minlength=size)


def count_different(units: Column, codes: Column, size: int) -> Column:
    """How many units have each code; `units` ascend."""
    if size > _MOST_MARKED:
        pairs = np.unique(units.astype(np.int64) << 32 | codes)
        return np.bincount(pairs & 0xFFFF_FFFF, minlength=size)
    counts = np.zeros(size, np.int64)
    start = 0
    while start < len(units):
        end = start + max(_MOST_MARKS // size, 1)
        end = int(np.searchsorted(units, units[min(end, len(units)) - 1], "right"))
        some = units[start:end]
        ranks = np.concatenate([[0], np.cumsum(some[1:] != some[:-1])])
        marks = np.zeros((int(ranks[-1]) + 1) * size, np.bool_)
        marks[ranks * size + codes[start:end]] = True
        counts += np.bincount(np.flatnonzero(marks) % size, minlength=size)
        start = end
    return counts


@dataclass(frozen=True, slots=True)
class UnitPairs:
    """Different pairs of unit and value."""

    rows: Column
    """The rows that have one of them."""
    pairs: Column
    """The pair of each of these rows."""
    values: Column
    """The value of each pair."""

    def values_in(self, fits: Mask) -> Column:
        """The value of each pair that one of the rows that fit has."""
        is_there = np.zeros(len(self.values), np.bool_)
        is_there[self.pairs[fits[self.rows]]] = True
        found: Column = self.values[is_there]
        return found


def pair_units(rows: Column, units: Column, values: Column) -> UnitPairs:
    """The pairs of these rows, each with its unit and its value, which is less than 2^31."""
    pairs = units.astype(np.int64) << 32 | values
    different, places = np.unique(pairs, return_inverse=True)
    small = (different & 0xFFFF_FFFF).astype(np.int32)
    return UnitPairs(rows.astype(np.int32), places.astype(np.int32), small)


def pair_mixed(codes: Column, units: UnitRows) -> UnitPairs:
    """The pairs of those units whose rows differ in a column."""
    several = np.flatnonzero(units.is_there & ~units.is_alone)
    owners, found = units.units[several], codes[several]
    first = np.zeros(units.count, codes.dtype)
    first[owners[::-1]] = found[::-1]
    is_mixed = np.zeros(units.count, np.bool_)
    is_mixed[owners[found != first[owners]]] = True
    chosen = is_mixed[owners]
    return pair_units(several[chosen], owners[chosen], found[chosen])


@dataclass(frozen=True, slots=True)
class JointCodes:
    """The codes of some columns as one."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    """How many codes each column has."""
    codes: Column

    @property
    def size(self) -> int:
        """How many joint codes there may be."""
        return int(np.prod(self.sizes))

    def counts_of(self, joint: Column) -> Iterator[tuple[str, Column]]:
        """Name and counts of each column, from those of the joint codes."""
        table = joint.reshape(self.sizes)
        for axis, name in enumerate(self.names):
            yield name, table.sum(axis=tuple(other for other in range(table.ndim) if other != axis))


def join_codes(columns: Sequence[tuple[str, Coded]]) -> list[JointCodes]:
    """Columns of few values joined as long as 16 bits suffice; others stay alone."""
    groups: list[list[tuple[str, Coded]]] = [[]]
    size = 1
    for name, column in sorted(columns, key=lambda item: len(item[1].values)):
        size *= len(column.values)
        if size > _MOST_JOINT:
            groups.append([])
            size = len(column.values)
        groups[-1].append((name, column))
    return [_join(group) for group in groups if group]


def _join(group: Sequence[tuple[str, Coded]]) -> JointCodes:
    names, sizes = tuple(name for name, _ in group), tuple(len(column.values) for _, column in group)
    if len(group) == 1:
        return JointCodes(names, sizes, group[0][1].codes)
    joint = np.empty(len(group[0][1].codes), code_type(int(np.prod(sizes))))
    for block in iter_blocks(len(joint)):
        found = group[0][1].codes[block].astype(np.int64)
        for _, column in group[1:]:
            found *= len(column.values)
            found += column.codes[block]
        joint[block] = found
    return JointCodes(names, sizes, joint)
