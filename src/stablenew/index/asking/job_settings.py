"""The settings of a whole job: what all of its images share, and what varies among them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.masks import Column
from stablenew.index.asking.index_reader import IndexReader

_SHOWN: Final = ("model", "sampler", "steps", "cfg_scale")
"""Settings that are shown although they do not vary."""
_MOST_VALUES: Final = 4

JobSettings = dict[str, dict[str, Any]]
"""By name: the first `values`, and the `count` of them all."""


def settings_of_jobs(table: ColumnTable, reader: IndexReader, run_ids: Sequence[int]) -> list[JobSettings]:
    """For each run the settings that people look for, and those that vary; seeds are left out."""
    slots, is_known = table.known_slots_of(np.array(run_ids, np.int64))
    found: list[JobSettings] = [{} for _ in run_ids]
    for place, slot in zip(np.flatnonzero(is_known).tolist(), slots.tolist(), strict=True):
        first = int(table.runs["first_row"][slot])
        found[place] = _settings_of(table, reader, first, first + int(table.runs.at("row_count", slot)))
    return found


def _settings_of(table: ColumnTable, reader: IndexReader, first: int, last: int) -> JobSettings:
    settings: JobSettings = {}
    for setting in INDEXED:
        if setting.type == "seed":
            continue
        values = _distinct(table.rows.at(setting.name, slice(first, last)))
        if len(values) > 1 or (len(values) and setting.name in _SHOWN):
            shown = values[:_MOST_VALUES].tolist()
            texts = [reader.name(int(value)) if setting.type == "text" else round(value, 5) for value in shown]
            settings[setting.name] = {"values": texts, "count": len(values)}
    return settings


def _distinct(column: Column) -> Column:
    is_known = ~np.isnan(column) if np.issubdtype(column.dtype, np.floating) else column >= 0
    return np.unique(column[is_known])
