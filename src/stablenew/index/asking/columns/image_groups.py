"""Images in groups: those of one job, prompt, seed or day stand together."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.masks import Column
from stablenew.index.asking.columns.split_seeds import SEED_BITS

JOB: Final = "job"
PROMPT: Final = "prompt"
SEED: Final = "seed"
DAY: Final = "day"
GROUPINGS: Final = (JOB, PROMPT, SEED, DAY)
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MILLISECONDS_A_DAY: Final = 86_400_000


def group_keys(table: ColumnTable, places: Column, by: str, utc_offset_milliseconds: int) -> Column:
    """A number for each of these rows; those of one group have the same."""
    rows = table.rows
    if by == PROMPT:
        return _compact(rows["prompt"][places])
    if by == SEED:
        seeds = _compact(rows.at("seed_high", places)) << SEED_BITS | rows["seed_low"][places].astype(np.int64)
        return _compact(_compact(seeds) << 32 | _compact(rows["prompt"][places]))
    if by == JOB:
        return _compact(rows["run"][places])
    return _compact((table.times(places) + utc_offset_milliseconds) // _MILLISECONDS_A_DAY)


def stack_keys(table: ColumnTable, places: Column) -> Column:
    """A number for each of these rows: equal where prompts and all settings but the seed are."""
    names = ("prompt", "negative", *(setting.name for setting in INDEXED if setting.type != "seed"))
    return hash_rows((table.rows.at(name, places) for name in names), len(places))


def hash_rows(columns: Iterable[Column], count: int) -> Column:
    """A number for each of `count` rows: equal where the rows are equal in all of these columns."""
    found = np.zeros(count, np.uint64)
    for column in columns:
        number = np.nan_to_num(column, nan=-1.0).astype(np.float64).view(np.uint64)
        found = (found ^ number) * _MULTIPLIER
        found ^= found >> np.uint64(29)
    return (found >> np.uint64(1)).astype(np.int64)


def keep_first(keys: Column, places: Column) -> tuple[Column, Column]:
    """The rows that are the first with their key, in order, and how many rows have each key."""
    _, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
    order = np.argsort(firsts)
    return places[firsts[order]], counts[order]


def _compact(values: Column) -> Column:
    _, numbered = np.unique(values, return_inverse=True)
    return numbered.astype(np.int64)


def gather_groups(keys: Column) -> tuple[Column, Column]:
    """The order in which equal keys stand together, groups by where they first appear; and where each group starts."""
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, firsts, numbers = np.unique(keys, return_index=True, return_inverse=True)
    ranks = np.empty(len(firsts), np.int64)
    ranks[np.argsort(firsts)] = np.arange(len(firsts))
    order = np.argsort(ranks[numbers], kind="stable")
    starts = np.concatenate(([0], np.cumsum(np.bincount(ranks[numbers]))[:-1]))
    return order, starts
