"""Columns of equal length as NumPy arrays that rows can be appended to.

A column that is declared as coded holds a small code for each row, and a table of its different values. Code 0 is the
unknown value: NaN, the id -1, or the time 0. With more values than 16 bits can count, it becomes a plain one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from stablenew.index.asking.columns.masks import Column, Mask, Test, choose_codes, iter_blocks

_GROWTH: Final = 1.25
_MOST_VALUES: Final = 1 << 16


class Coded(NamedTuple):
    """A column as codes."""

    values: Column
    """The value of each code; the first is the unknown one."""
    codes: Column


class Arrays:
    """Columns of equal length, by name. Unknown numbers are NaN, unknown ids are -1."""

    def __init__(self, types: Mapping[str, Any], coded: Iterable[str] = ()) -> None:
        self.types = dict(types)
        self.count = 0
        self._values = {name: np.array([_unknown(types[name])], types[name]) for name in coded}
        self._columns = {name: np.empty(0, np.uint8 if name in self._values else kind) for name, kind in types.items()}

    def __getitem__(self, name: str) -> Column:
        """A column. Writing to a plain one changes the table; a coded one is decoded each time."""
        column = self._columns[name][: self.count]
        return self._values[name][column] if name in self._values else column

    def at(self, name: str, places: Column | slice) -> Column:
        """The values of a column in some rows."""
        found: Column = self._columns[name][: self.count][places]
        return self._values[name][found] if name in self._values else found

    def where(self, name: str, fits: Test) -> Mask:
        """The rows whose value in a column fits."""
        column = self._columns[name][: self.count]
        if name in self._values:
            return choose_codes(fits(self._values[name]), column)
        mask = np.empty(self.count, np.bool_)
        for block in iter_blocks(self.count):
            mask[block] = fits(column[block])
        return mask

    def coded(self, name: str) -> Coded:
        """A column as codes, also a plain one."""
        if name in self._values:
            return Coded(self._values[name], self._columns[name][: self.count])
        return code_column(self[name])

    def set(self, name: str, places: Column | slice, values: Column) -> None:
        """Change the values of a column in some rows."""
        codes = self._encode(name, values)
        self._columns[name][: self.count][places] = codes

    def append(self, columns: Mapping[str, Column]) -> None:
        """Add rows. Existing ones are copied only when the space runs out."""
        added = len(next(iter(columns.values())))
        wanted = self.count + added
        for name in self.types:
            new = self._encode(name, columns[name])
            column = self._columns[name]
            if len(column) < wanted:
                column = np.empty(wanted if self.count == 0 else int(wanted * _GROWTH), column.dtype)
                column[: self.count] = self._columns[name][: self.count]
                self._columns[name] = column
            column[self.count : wanted] = new
        self.count = wanted

    def append_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows in the order of the columns."""
        self.append(read_columns(self.types, rows))

    def restore(self, columns: Mapping[str, Column | Coded]) -> None:
        """Fill an empty table with columns as `saved` returned them."""
        for name, column in columns.items():
            if isinstance(column, Coded):
                self._values[name], self._columns[name] = column
            else:
                self._values.pop(name, None)
                self._columns[name] = column
            self.count = len(self._columns[name])

    def saved(self, name: str) -> Column | Coded:
        """A column in the form in which it is kept."""
        return self.coded(name) if name in self._values else self[name]

    def trim(self) -> None:
        """Give back the space that was kept for more rows."""
        for name, column in self._columns.items():
            if len(column) > self.count:
                self._columns[name] = column[: self.count].copy()

    def keep(self, mask: Mask) -> None:
        """Drop the rows that are not in `mask`."""
        self._columns = {name: column[: self.count][mask] for name, column in self._columns.items()}
        self.count = int(np.count_nonzero(mask))

    def _encode(self, name: str, new: Column) -> Column:
        """Values as they are kept in a column: as codes, where it is coded."""
        if name not in self._values:
            return new
        known = self._values[name]
        is_value = is_known(new)
        order = np.argsort(known[1:]) + 1
        codes = _codes_of(new, known, order)
        missing = (known[codes] != new) & is_value
        if missing.any():
            known = np.concatenate([known, np.unique(new[missing])])
            if len(known) > _MOST_VALUES:
                self._columns[name] = self[name]
                del self._values[name]
                return new
            self._values[name] = known
            self._columns[name] = self._columns[name].astype(code_type(len(known)), copy=False)
            codes = _codes_of(new, known, np.argsort(known[1:]) + 1)
        codes[~is_value] = 0
        return codes


def _codes_of(new: Column, known: Column, order: Column) -> Column:
    """The codes of values, where `known` has them; `order` are the codes but 0 in the order of their values."""
    if not len(order):
        return np.zeros(len(new), np.uint8)
    places = np.searchsorted(known[order], new)
    found: Column = order.astype(code_type(len(known)))[np.minimum(places, len(order) - 1)]
    return found


def code_column(column: Column) -> Coded:
    """The different values of a column, ascending after the unknown one, and the code of each row."""
    is_value = is_known(column)
    values, inverse = np.unique(column[is_value], return_inverse=True)
    codes = np.zeros(len(column), code_type(len(values) + 1))
    codes[is_value] = inverse + 1
    return Coded(np.concatenate([np.array([_unknown(column.dtype)], column.dtype), values]), codes)


def code_type(count: int) -> type[Any]:
    """The smallest type for so many codes."""
    return np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.uint32


def _unknown(kind: Any) -> float:
    if np.issubdtype(kind, np.floating):
        return np.nan
    return 0 if kind == np.int64 else -1


def is_known(column: Column) -> Mask:
    """Where a column has a value."""
    known: Mask = ~np.isnan(column) if column.dtype.kind == "f" else column != _unknown(column.dtype)
    return known


def read_columns(types: Mapping[str, Any], rows: Sequence[Sequence[Any]]) -> dict[str, Column]:
    """Rows as columns: None is NaN in a column of numbers, and -1 in one of ids."""
    values: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(types)
    return {name: _as_column(kind, column) for (name, kind), column in zip(types.items(), values, strict=True)}


def _as_column(kind: Any, values: Sequence[Any]) -> Column:
    if np.issubdtype(kind, np.floating):
        return np.array(values, kind)
    return np.array([-1 if value is None else value for value in values], kind)
