"""Settings without a column, scores and aspects: read by name when a query first asks for them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stablenew.formats.query_language import Condition, Range, match_any
from stablenew.index.asking.columns.arrays import Column, Mask, in_ranges, spread
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import NO_IMAGE
from stablenew.index.stored_values import is_joined, split_names


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
        self._numbers: Column = np.empty(0)

    def numbers(self) -> Column:
        """The distinct values; NaN in place of texts."""
        if len(self._numbers) != len(self.distinct):
            found = [np.nan if isinstance(value, str) else float(value) for value in self.distinct]
            self._numbers = np.array(found, np.float64)
        return self._numbers

    def append(self, firsts: Column, ends: Column, values: Sequence[int | float | str]) -> None:
        """Add variants."""
        codes = [self.distinct.setdefault(value, len(self.distinct)) for value in values]
        self.firsts = np.concatenate([self.firsts, firsts])
        self.ends = np.concatenate([self.ends, ends])
        self.codes = np.concatenate([self.codes, np.array(codes, np.int64)])


class NamedNumbers:
    """The values of settings and scores by name; kept until the runs that have them change."""

    def __init__(self, table: ColumnTable, reader: IndexReader) -> None:
        self._table = table
        self._reader = reader
        self._settings: dict[str, SettingValues] = {}
        self._scores: dict[str, Column] = {}
        """By image id."""

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
            named = self._reader.fetch(f"SELECT DISTINCT image FROM score WHERE is_apart AND run IN ({listed})")
            scored = self._table.pictures_of(np.array([image for (image,) in named], np.int64))
            images = np.union1d(self._table.touched_images, scored)
            images = images[images > NO_IMAGE].astype(np.int64)
            for field, scores in self._scores.items():
                found = self._read_scores(field, scores, images)
                if not np.array_equal(found, scores, equal_nan=True):  # else what was sorted by it stays sorted
                    self._scores[field] = found

    def setting(self, field: str) -> SettingValues:
        """The values of the setting that a field such as `settings.s_churn` names."""
        if field not in self._settings:
            self._settings[field] = SettingValues()
            self._append_settings(field, self._settings[field], None)
        return self._settings[field]

    def _append_settings(self, field: str, values: SettingValues, only: set[int] | None) -> None:
        places = self._find_places(field.partition(".")[2])
        if not places or only == set():
            return
        cases = (f"WHEN {shape} THEN json_extract(other_values, '$[{place}]')" for shape, place in places.items())
        chosen = "" if only is None else f"run IN ({','.join(map(str, only))}) AND "
        shapes = ",".join(map(str, places))
        query = f"SELECT run, position, CASE other_settings {' '.join(cases)} END FROM variant"
        rows = self._reader.fetch(f"{query} WHERE {chosen}other_settings IN ({shapes})")
        runs = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        positions = np.fromiter((row[1] for row in rows), np.int64, len(rows))
        values.append(*self._table.variant_rows(runs, positions), [row[2] for row in rows])

    def setting_numbers(self, field: str) -> Column:
        """The values of a setting by row; NaN where there is none, or a text."""
        numbers = self.setting(field).numbers()
        codes = np.nan_to_num(self.setting_codes(field), nan=len(numbers)).astype(np.int64)
        found: Column = np.append(numbers, np.nan)[codes]
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
        if patterns:
            matches = match_any(patterns)
            fitting = (_fits(value, ranges, matches) for value in found.distinct)
            fits = np.fromiter(fitting, np.bool_, len(found.distinct))
        else:
            fits = in_ranges(found.numbers(), ranges)
        chosen = fits[found.codes] if len(fits) else np.empty(0, np.bool_)
        return spread(found.firsts[chosen], found.ends[chosen], self._table.rows.count)

    def score(self, field: str) -> Column:
        """The score or aspect that a field such as `metric.aesthetic` names, by image id; NaN where there is none.

        Of a metric the newest value counts; an aspect is the mean of its raters' last words.
        """
        if field not in self._scores:
            self._scores[field] = self._read_scores(field, np.empty(0), None)
        return self._scores[field]

    def _read_scores(self, field: str, known: Column, images: Column | None) -> Column:
        """The scores of a field by image id: those of `images` are read again, or with None all of them."""
        names = ",".join(map(str, self._find_ids(field))) or "NULL"
        chosen = f"name IN ({names}) AND image <> {NO_IMAGE}"
        parameters = () if images is None else (json.dumps(self._table.with_copies(images).tolist()),)
        if images is not None:
            chosen = f"{chosen} AND image IN (SELECT value FROM json_each(?))"
        rows = self._reader.fetch(
            f"SELECT image, value, source FROM score WHERE {chosen} ORDER BY scored_at, value", parameters
        )
        places = self._table.pictures_of(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
        found = np.array([row[1] for row in rows], np.float64)  # None becomes NaN
        size = max(self._table.image_count, len(known), int(places.max(initial=-1)) + 1)
        values = np.full(size, np.nan)
        values[: len(known)] = known
        if images is not None:
            values[images[images < size]] = np.nan
        if field.startswith("metric."):
            values[places] = found  # of several the last
        elif len(places):
            sources = np.fromiter((row[2] for row in rows), np.int64, len(rows))
            _, lasts = np.unique(np.stack([places, sources])[:, ::-1], axis=1, return_index=True)
            lasts = len(rows) - 1 - lasts
            standing = lasts[~np.isnan(found[lasts])]
            unique, inverse = np.unique(places[standing], return_inverse=True)
            values[unique] = np.bincount(inverse, found[standing]) / np.bincount(inverse)
        return values

    def score_mask(self, condition: Condition) -> Mask:
        """The images, by id, whose score fits."""
        return in_ranges(self.score(condition.field), condition.ranges())

    def _find_places(self, name: str) -> dict[int, int]:
        """Where a setting stands among the joined names of variants, by the id of these; its case does not matter."""
        found: dict[int, int] = {}
        for number, text in self._reader.names():
            if is_joined(text) and name in text.lower():
                names = [own.lower() for own in split_names(text)]
                if name in names:
                    found[number] = names.index(name)
        return found

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
