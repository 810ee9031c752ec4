"""Columns of equal length as NumPy arrays that rows can be appended to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stablenew.formats.query_language import Range

Column: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

_GROWTH = 1.25


class Arrays:
    """Columns of equal length, by name. Unknown numbers are NaN, unknown ids are -1."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        self.types = dict(types)
        self.count = 0
        self._columns: dict[str, Column] = {name: np.empty(0, kind) for name, kind in types.items()}

    def __getitem__(self, name: str) -> Column:
        """A column; writing to it changes the table."""
        return self._columns[name][: self.count]

    def append(self, columns: Mapping[str, Column]) -> None:
        """Add rows. Existing ones are copied only when the space runs out."""
        added = len(next(iter(columns.values())))
        wanted = self.count + added
        for name, kind in self.types.items():
            column = self._columns[name]
            if len(column) < wanted:
                column = np.empty(wanted if self.count == 0 else int(wanted * _GROWTH), kind)
                column[: self.count] = self._columns[name][: self.count]
                self._columns[name] = column
            column[self.count : wanted] = columns[name]
        self.count = wanted

    def append_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows in the order of the columns."""
        self.append(read_columns(self.types, rows))

    def trim(self) -> None:
        """Give back the space that was kept for more rows."""
        for name, column in self._columns.items():
            self._columns[name] = column[: self.count].copy()

    def keep(self, mask: Mask) -> None:
        """Drop the rows that are not in `mask`."""
        self._columns = {name: self[name][mask] for name in self.types}
        self.count = int(np.count_nonzero(mask))

    def saved(self) -> dict[str, Column]:
        """The columns, to be written to a file."""
        return {name: self[name] for name in self.types}


def read_columns(types: Mapping[str, Any], rows: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """Rows as columns: None is NaN in a column of numbers, and -1 in one of ids."""
    values: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(types)
    return {name: _as_column(kind, column) for (name, kind), column in zip(types.items(), values, strict=True)}


def _as_column(kind: Any, values: Sequence[Any]) -> Column:
    if np.issubdtype(kind, np.floating):
        return np.array(values, kind)
    return np.array([-1 if value is None else value for value in values], kind)


def is_in(column: Column, ids: Sequence[int] | Column) -> Mask:
    """Where a column of ids holds one of `ids`; an unknown id, -1, is never one of them."""
    if len(ids) == 0 or len(column) == 0:
        return np.zeros(len(column), np.bool_)
    if len(ids) <= _FEW:
        mask: Mask = column == ids[0]
        for identifier in ids[1:]:
            mask |= column == identifier
        return mask
    flags = np.zeros(max(int(column.max()), int(max(ids))) + 2, np.bool_)  # -1 finds the last one
    flags[np.asarray(ids)] = True
    found: Mask = flags[column]
    return found


_FEW = 4
_SHORT = 8
"""Spans of so few rows are marked one row at a time, which does not go through the whole column."""


def spread(firsts: Column, ends: Column, count: int) -> Mask:
    """The rows from each of `firsts` up to the one before each of `ends`."""
    longest = int((ends - firsts).max(initial=0))
    if longest <= _SHORT:
        mask: Mask = np.zeros(count, np.bool_)
        for offset in range(longest):
            rows = firsts + offset
            mask[rows[rows < ends]] = True
        return mask
    edges = np.zeros(count + 1, np.int32)
    np.add.at(edges, firsts, 1)
    np.add.at(edges, ends, -1)
    spanned: Mask = np.cumsum(edges[:-1]) > 0
    return spanned


def in_ranges(column: Column, ranges: list[Range]) -> Mask:
    """Where a column of numbers lies in one of `ranges`; NaN lies in none."""
    masks = [_in_range(column, span) for span in ranges]
    for other in masks[1:]:
        masks[0] |= other
    return masks[0] if masks else np.zeros(len(column), np.bool_)


def _in_range(column: Column, span: Range) -> Mask:
    tests: list[Mask] = []
    if span.single is not None:
        return column == float(span.single)  # type: ignore[no-any-return]
    if span.low is not None:
        tests.append(column > float(span.low) if span.is_low_open else column >= float(span.low))
    if span.high is not None:
        tests.append(column < float(span.high) if span.is_high_open else column <= float(span.high))
    if not tests:
        return ~np.isnan(column)
    if len(tests) > 1:
        tests[0] &= tests[1]
    return tests[0]
