"""Counting the values of a column over many runs, without looking at more than one byte a run.

Every value of a column gets a code. A run whose variants all have one value carries its code; a run in which they
differ is counted by its pairs of run and value.
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
    """One column, coded. Code 0 is none: what is not known, and runs with several values."""

    values: Column
    """The value of each code from 1 on."""
    run_codes: Column
    """One a run."""
    mixed_rows: Column
    """The variants of runs with several values,"""
    row_pairs: Column
    """and the pair of run and value that each of them is."""
    pair_codes: Column
    """The code of each pair."""

    def count(self, runs: Column | None, rows: Mask | None) -> Column:
        """How many of the runs (by their places; None is all) have each value, by the variants in `rows`."""
        codes = self.run_codes if runs is None else self.run_codes[runs]
        counts = np.bincount(codes, minlength=len(self.values) + 1)
        if len(self.mixed_rows):
            counts += np.bincount(self._pairs_in(rows), minlength=len(self.values) + 1)
        return counts[1:]

    def _pairs_in(self, rows: Mask | None) -> Column:
        if rows is None:
            return self.pair_codes
        is_there = np.zeros(len(self.pair_codes), np.bool_)
        is_there[self.row_pairs[rows[self.mixed_rows]]] = True
        pairs: Column = self.pair_codes[is_there]
        return pairs


def code_runs(column: Column) -> FacetCodes:
    """The codes of a column that has one value a run."""
    values, codes = _code(column)
    nothing = np.empty(0, np.intp)
    return FacetCodes(values, codes, nothing, nothing, nothing)


def code_variants(column: Column, runs: Column, first_rows: Column) -> FacetCodes:
    """The codes of a column that has one value a variant; `runs` is the run of each, `first_rows` where each starts."""
    values, codes = _code(column)
    first = codes[first_rows]
    if len(codes) == len(first):
        return code_runs(column)
    is_mixed = np.zeros(len(first), np.bool_)
    is_mixed[runs[codes != first[runs]]] = True
    mixed_rows = np.flatnonzero(is_mixed[runs])
    pairs = runs[mixed_rows].astype(np.int64) * (len(values) + 1) + codes[mixed_rows]
    different, row_pairs = np.unique(pairs, return_inverse=True)
    pair_codes = (different % (len(values) + 1)).astype(codes.dtype)
    return FacetCodes(values, np.where(is_mixed, 0, first).astype(codes.dtype), mixed_rows, row_pairs, pair_codes)


def _code(column: Column) -> tuple[Column, Column]:
    """The different values of a column, rising, and for each row the place of its value from 1; 0 where none is."""
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
    """As `_code`, for halves below 2^15 given doubled, without sorting."""
    is_used = np.bincount(doubled + 1) > 0
    is_used[0] = False
    places = np.cumsum(is_used)
    places[0] = 0
    values = (np.flatnonzero(is_used) - 1) / 2
    codes: Column = places.astype(_smallest(len(values)))[doubled + 1]
    return values, codes


def _smallest(count: int) -> type[Any]:
    return np.uint8 if count < 1 << 8 else np.uint16 if count < 1 << 16 else np.uint32
