"""Masks over columns: which rows hold what is looked for. Long columns are gone through in blocks.

A block fits into the processor's cache; what is worked out about it on the way takes no memory that has to be fetched
from the system and given back each time, which costs several times the work itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from stablenew.formats.query_language import Range

Column: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]
Test: TypeAlias = Callable[[Column], Mask]
"""Where values fit."""

_BLOCK: Final = 1 << 16
_FEW: Final = 4
"""So many values are compared one after the other, which is quicker than looking each row up."""
_SHORT: Final = 8
"""Spans of so few rows are marked one row at a time, which does not go through the whole column."""


def iter_blocks(count: int) -> Iterator[slice]:
    """The rows up to `count`, in slices."""
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def look_up(table: Column, places: Column) -> Column:
    """`table[places]`; a place of -1 is the last one."""
    found = np.empty(len(places), table.dtype)
    for block in iter_blocks(len(places)):
        np.take(table, places[block], out=found[block], mode="wrap")
    return found


def choose_codes(chosen: Mask, codes: Column) -> Mask:
    """Where a column of codes holds one of those that are marked in `chosen`."""
    wanted = np.flatnonzero(chosen)
    if len(wanted) <= _FEW:
        return _any_of(codes, wanted)
    others = np.flatnonzero(~chosen)
    if len(others) <= _FEW:
        mask = _any_of(codes, others)
        return np.logical_not(mask, out=mask)
    return look_up(chosen, codes)


def _any_of(column: Column, values: Sequence[int] | Column) -> Mask:
    if not len(values):
        return np.zeros(len(column), np.bool_)
    mask: Mask = column == values[0]
    for value in values[1:]:
        mask |= column == value
    return mask


def is_in(column: Column, ids: Sequence[int] | Column) -> Mask:
    """Where a column of ids holds one of `ids`; an unknown id, -1, is never one of them."""
    if len(ids) == 0 or len(column) == 0:
        return np.zeros(len(column), np.bool_)
    wanted = np.asarray(ids)
    if len(wanted) <= _FEW:
        return _any_of(column, wanted)
    flags = np.zeros(max(int(column.max()), int(wanted.max())) + 2, np.bool_)  # -1 finds the last one
    flags[wanted] = True
    return look_up(flags, column)


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


def in_ranges(column: Column, ranges: Sequence[Range]) -> Mask:
    """Where a column of numbers lies in one of `ranges`; NaN lies in none."""
    mask = np.zeros(len(column), np.bool_)
    for block in iter_blocks(len(column)):
        for span in ranges:
            mask[block] |= _in_range(column[block], span)
    return mask


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
