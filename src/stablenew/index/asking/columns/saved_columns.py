"""Columns in a file, in few bytes: most have few different values, or hardly change from row to row.

A column is stored as it is, as codes into a table of its different values, or as codes of the steps from row to row,
whichever is smaller. A table with one value needs no codes.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from stablenew.index.asking.columns.arrays import Coded, code_type
from stablenew.index.asking.columns.masks import Column

_MAX_CODES: Final = 256
_SAMPLE: Final = 4_096


def pack(name: str, column: Column | Coded) -> dict[str, Column]:
    """The arrays to store for a column as a table keeps it."""
    if not isinstance(column, Coded):
        return pack_column(name, column)
    return {f"{name}:table": column.values} | pack_column(f"{name}:of", column.codes)


def unpack(name: str, saved: Mapping[str, Column], dtype: Any) -> Column | Coded:
    """The column of that name that `pack` packed.

    Raises:
        KeyError: the file does not hold it.
    """
    if f"{name}:table" not in saved:
        return unpack_column(name, saved, dtype)
    values = saved[f"{name}:table"]
    return Coded(values, unpack_column(f"{name}:of", saved, code_type(len(values))))


def pack_column(name: str, column: Column) -> dict[str, Column]:
    """The arrays to store for a column; their names begin with its own."""
    forms = [{name: column}, _code(f"{name}:value", column)]
    if not np.issubdtype(column.dtype, np.floating):
        forms.append(_code(f"{name}:step", np.diff(column.astype(np.int64), prepend=0)))
    return min((form for form in forms if form), key=lambda form: sum(array.nbytes for array in form.values()))


def unpack_column(name: str, saved: Mapping[str, Column], dtype: Any) -> Column:
    """The column of that name.

    Raises:
        KeyError: the file does not hold it.
    """
    if name in saved:
        return saved[name]
    if f"{name}:step" in saved:
        return np.cumsum(_decode(f"{name}:step", saved)).astype(dtype)
    return _decode(f"{name}:value", saved).astype(dtype, copy=False)


def _code(name: str, column: Column) -> dict[str, Column]:
    """A table of the different values and a code for each row; nothing where there are too many values."""
    if len(np.unique(column[:_SAMPLE])) > _MAX_CODES:
        return {}
    table = np.unique(column)
    if len(table) > _MAX_CODES:
        return {}
    codes = np.searchsorted(table, column).astype(np.uint8) if len(table) > 1 else np.empty(0, np.uint8)
    return {name: table, f"{name}:codes": codes, f"{name}:count": np.array([len(column)])}


def _decode(name: str, saved: Mapping[str, Column]) -> Column:
    table, codes, count = saved[name], saved[f"{name}:codes"], int(saved[f"{name}:count"][0])
    return np.repeat(table, count) if len(table) == 1 else table[codes]
