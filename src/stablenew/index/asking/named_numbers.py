"""Settings without a column, scores and aspects: read by name when a query first asks for them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from stablenew.formats.query_language import Condition, Range, match_any
from stablenew.index.asking.arrays import Column, Mask, in_ranges, spread
from stablenew.index.asking.column_table import ColumnTable
from stablenew.index.asking.index_reader import IndexReader


class SettingValues:
    """The values of one setting: one for each variant that has it."""

    def __init__(self) -> None:
        self.firsts: Column = np.empty(0, np.int64)
        """The first row of each variant."""
        self.ends: Column = np.empty(0, np.int64)
        """The row after the last of each."""
        self.codes: Column = np.empty(0, np.int64)
        """The place of each variant's value in `distinct`."""
        self.distinct: dict[int | float | str, int] = {}
        """The different values, and their places."""

    def append(self, firsts: Column, ends: Column, values: Sequence[int | float | str]) -> None:
        """Add variants."""
        codes = [self.distinct.setdefault(value, len(self.distinct)) for value in values]
        self.firsts = np.concatenate([self.firsts, firsts])
        self.ends = np.concatenate([self.ends, ends])
        self.codes = np.concatenate([self.codes, np.array(codes, np.int64)])


class _Scores(NamedTuple):
    values: Column
    """By image id."""
    runs: Column
    """The runs that they come from."""


class NamedNumbers:
    """The values of settings and scores by name; kept until the runs that have them change."""

    def __init__(self, table: ColumnTable, reader: IndexReader) -> None:
        self._table = table
        self._reader = reader
        self._settings: dict[str, SettingValues] = {}
        self._scores: dict[str, _Scores] = {}

    def refresh(self) -> None:
        """Take in what changed with the last refresh of the table."""
        touched, changed = self._table.touched_runs, self._table.changed_runs
        if touched is None:
            self._settings.clear()
            self._scores.clear()
            return
        for field, values in self._settings.items():
            self._append_settings(field, values, changed)  # rows of the past are dead, and their values harmless
        if touched:
            listed = ",".join(map(str, touched))
            has_scores = bool(self._reader.fetch(f"SELECT 1 FROM score WHERE run IN ({listed}) LIMIT 1"))
            ids = np.fromiter(touched, np.int64)
            for field, scores in list(self._scores.items()):
                if changed or has_scores or np.isin(ids, scores.runs).any():
                    del self._scores[field]

    def setting(self, field: str) -> SettingValues:
        """The values of the setting that a field such as `settings.s_churn` names."""
        if field not in self._settings:
            self._settings[field] = SettingValues()
            self._append_settings(field, self._settings[field], None)
        return self._settings[field]

    def _append_settings(self, field: str, values: SettingValues, only: set[int] | None) -> None:
        names = self._find_ids(field.partition(".")[2])
        if not names or only == set():
            return
        query = f"SELECT run, position, value FROM setting WHERE name IN ({','.join(map(str, names))})"
        rows = self._reader.fetch(query + ("" if only is None else f" AND run IN ({','.join(map(str, only))})"))
        runs = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        positions = np.fromiter((row[1] for row in rows), np.int64, len(rows))
        values.append(*self._table.variant_rows(runs, positions), [row[2] for row in rows])

    def setting_numbers(self, field: str) -> Column:
        """The values of a setting by row; NaN where there is none, or a text."""
        distinct = self.setting(field).distinct
        numbers = [np.nan if isinstance(value, str) else float(value) for value in distinct]
        codes = np.nan_to_num(self.setting_codes(field), nan=len(numbers)).astype(np.int64)
        found: Column = np.array([*numbers, np.nan])[codes]
        return found

    def setting_codes(self, field: str) -> Column:
        """The place of each row's value among the `distinct` ones of a setting; NaN where it has none."""
        found = self.setting(field)
        codes = np.full(self._table.rows.count, np.nan)
        for offset in range(int((found.ends - found.firsts).max(initial=0))):  # most variants have one row
            rows = found.firsts + offset
            is_there = rows < found.ends
            codes[rows[is_there]] = found.codes[is_there]
        return codes

    def setting_mask(self, condition: Condition) -> Mask:
        """The rows whose setting fits."""
        found = self.setting(condition.field)
        ranges, patterns = condition.ranges(), condition.patterns()
        matches = match_any(patterns)
        fits = np.fromiter((_fits(value, ranges, matches) for value in found.distinct), np.bool_, len(found.distinct))
        chosen = fits[found.codes] if len(fits) else np.empty(0, np.bool_)
        return spread(found.firsts[chosen], found.ends[chosen], self._table.rows.count)

    def score(self, field: str) -> Column:
        """The score or aspect that a field such as `metric.aesthetic` names, by image id; NaN where there is none.

        Of a metric the newest value counts; an aspect is the mean of its raters.
        """
        if field not in self._scores:
            names = self._find_ids(field)
            chosen = f"name IN ({','.join(map(str, names)) or 'NULL'}) AND image <> 0"
            query = f"SELECT image, value, run FROM score WHERE {chosen} ORDER BY scored_at, value"
            rows = self._reader.fetch(query)
            images = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            found = np.fromiter((row[1] for row in rows), np.float64, len(rows))
            values = np.full(max(self._table.image_count, int(images.max(initial=-1)) + 1), np.nan)
            if field.startswith("metric."):
                values[images] = found  # of several the last
            elif len(images):
                sums, counts = np.bincount(images, found), np.bincount(images)
                values[: len(sums)] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
            runs = np.unique(np.fromiter((row[2] for row in rows), np.int64, len(rows)))
            self._scores[field] = _Scores(values, runs)
        return self._scores[field].values

    def score_mask(self, condition: Condition) -> Mask:
        """The images, by id, whose score fits."""
        return in_ranges(self.score(condition.field), condition.ranges())

    def _find_ids(self, name: str) -> list[int]:
        """The ids of a name, whose case does not matter."""
        return [number for number, text in self._reader.names() if text.lower() == name]


def _fits(value: Any, ranges: Sequence[Range], matches: Callable[[str], bool]) -> bool:
    if not isinstance(value, str):
        if any(span.matches(value) for span in ranges):
            return True
        value = format_value(value)
    return matches(value)


def format_value(value: float | str) -> str:
    """A value of a setting as text: whole numbers without a fraction."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
