"""Counting the values of a column over many jobs or images, which takes one byte of each.

Every value of a column gets a code. A unit (a job or an image) whose rows all have the same value carries its code; a
unit whose rows differ is counted by its pairs of unit and value.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_LONGEST_TABLE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class FacetCodes:
    """A coded column. Code 0 stands for unknown values, and for units with several values."""

    values: Column
    """The value of each code from 1 on."""
    unit_codes: Column
    """The code of each unit."""
    mixed_rows: Column
    """The rows of units with several values."""
    row_pairs: Column
    """The pair of unit and value of each of them."""
    pair_codes: Column
    """The code of each pair."""

    def count(self, units: Column, rows: Mask) -> Column:
        """How many of `units` have each value, in one of `rows`."""
        codes = self.unit_codes[units]
        counts = np.bincount(codes, minlength=len(self.values) + 1)
        if len(self.mixed_rows):
            counts += np.bincount(self._pairs_in(rows), minlength=len(self.values) + 1)
        return counts[1:]

    def _pairs_in(self, rows: Mask) -> Column:
        is_there = np.zeros(len(self.pair_codes), np.bool_)
        is_there[self.row_pairs[rows[self.mixed_rows]]] = True
        pairs: Column = self.pair_codes[is_there]
        return pairs


def code_variants(column: Column, units: Column, unit_count: int) -> FacetCodes:
    """The codes of a column with one value per row, where `units` is the job or image of each row.

    Rows whose unit is `unit_count` belong to none.
    """
    values, codes = _code(column)
    first = np.zeros(unit_count + 1, codes.dtype)
    first[units[::-1]] = codes[::-1]  # of several the first
    is_mixed = np.zeros(unit_count + 1, np.bool_)
    is_mixed[units[codes != first[units]]] = True
    is_mixed[unit_count] = False
    first[unit_count] = 0
    mixed_rows = np.flatnonzero(is_mixed[units])
    pairs = units[mixed_rows].astype(np.int64) * (len(values) + 1) + codes[mixed_rows]
    different, row_pairs = np.unique(pairs, return_inverse=True)
    pair_codes = (different % (len(values) + 1)).astype(codes.dtype)
    unit_codes = np.where(is_mixed, 0, first).astype(codes.dtype)[:unit_count]
    return FacetCodes(values, unit_codes, mixed_rows, row_pairs, pair_codes)


def _code(column: Column) -> tuple[Column, Column]:
    """The distinct values of a column, ascending, and for each row the place of its value, from 1; 0 is unknown."""
    doubled = np.nan_to_num(column, nan=-1.0) * 2
    whole = doubled.astype(np.int64)
    is_none = np.isnan(column)
    if len(column) and bool(((whole == doubled) & (whole < _LONGEST_TABLE) & ((whole >= 0) | is_none)).all()):
        return _code_halves(np.where(is_none, -1, whole))
    values, inverse = np.unique(column[~is_none], return_inverse=True)
    codes = np.zeros(len(column), _smallest(len(values)))
    codes[~is_none] = inverse + 1
    return values, codes


def _code_halves(doubled: Column) -> tuple[Column, Column]:
    """As `_code`, for multiples of a half below 2^15, given doubled; without sorting."""
    is_used = np.bincount(doubled + 1) > 0
    is_used[0] = False
    places = np.cumsum(is_used)
    places[0] = 0
    values = (np.flatnonzero(is_used) - 1) / 2
    codes: Column = places.astype(_smallest(len(values)))[doubled + 1]
    return values, codes


def _smallest(count: int) -> type[Any]:
    return np.uint8 if count < 1 << 8 else np.uint16 if count < 1 << 16 else np.uint32
