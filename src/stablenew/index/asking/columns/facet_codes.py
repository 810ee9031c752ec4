"""Counting the values of columns over many jobs or images at once.

Each value of a column has a code, and 0 is unknown. The codes of several columns make one joint code, so that going
through the rows once counts them all. A unit (a job or an image) with one row is counted by this row; one with several
by the first of them that fits, and what differs among the others is put right by its pairs of unit and value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stablenew.index.asking.columns.arrays import Coded, code_type
from stablenew.index.asking.columns.masks import Column, Mask, iter_blocks

_MOST_JOINT: Final = 1 << 16


class Rows:
    """The rows that fit a query, seen as units."""

    def __init__(self, fits: Mask, units: "UnitRows") -> None:
        self.fits = fits
        self.units = units
        alone = fits & units.is_alone
        self._is_most = 2 * np.count_nonzero(alone) > units.alone_count
        """Whether it is quicker to count those that do not fit."""
        self._counted = np.flatnonzero(units.is_alone & ~fits if self._is_most else alone)
        self.firsts = units.first_of_each(np.flatnonzero(fits & ~units.is_alone))
        self._is_first: Mask | None = None

    def count(self, codes: Column, totals: Column) -> Column:
        """How often each code stands in a unit's first row; `totals` counts the units with one row, without a query."""
        counts = np.bincount(codes[self._counted], minlength=len(totals))
        if self._is_most:
            counts = totals - counts
        return counts + np.bincount(codes[self.firsts], minlength=len(totals))

    def firsts_among(self, rows: Column) -> Column:
        """Those of some rows that are the first of their units to fit."""
        if self._is_first is None:
            self._is_first = np.zeros(len(self.fits), np.bool_)
            self._is_first[self.firsts] = True
        found: Column = rows[self._is_first[rows]]
        return found


class UnitRows:
    """Which unit each row belongs to. Rows that belong to none have the unit -1."""

    def __init__(self, units: Column, is_there: Mask) -> None:
        self.units = units
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
        rows = rows[self.is_there[rows]]
        if not len(rows):
            return rows
        first = np.full(self.count, len(self.units), np.int32)
        first[self.units[rows[::-1]]] = rows[::-1]
        found: Column = rows[first[self.units[rows]] == rows]
        return found

    def totals(self, codes: Column, size: int) -> Column:
        """How many units with one row have each code."""
        return np.bincount(codes[self.is_alone], minlength=size)


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
