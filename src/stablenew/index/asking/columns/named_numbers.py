"""Settings without a column, scores and aspects: read by name when a query first asks for them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stablenew.formats.query_language import Condition, Range, match_any
from stablenew.index.asking.columns.arrays import code_type
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.masks import Column, Mask, choose_codes, in_ranges, look_up
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import NO_IMAGE
from stablenew.index.stored_values import is_joined, split_names


class SettingValues:
    """The values of one setting."""

    def __init__(self) -> None:
        self.distinct: dict[int | float | str, int] = {}
        """The different values, and their places."""
        self._codes: Column = np.empty(0, np.uint8)
        self._numbers: Column = np.empty(0)

    def numbers(self) -> Column:
        """The distinct values; NaN in place of texts."""
        if len(self._numbers) != len(self.distinct):
            found = [np.nan if isinstance(value, str) else float(value) for value in self.distinct]
            self._numbers = np.array(found, np.float64)
        return self._numbers

    def codes(self, count: int) -> Column:
        """For each of `count` rows the place of its value in `distinct`, from 1; 0 where it has none."""
        kind = code_type(len(self.distinct) + 1)
        if len(self._codes) < count or self._codes.dtype != kind:
            codes = np.zeros(count, kind)
            codes[: len(self._codes)] = self._codes
            self._codes = codes
        return self._codes[:count]

    def append(self, firsts: Column, ends: Column, values: Sequence[int | float | str], count: int) -> None:
        """Add variants, by their first rows and the rows after their last; there are `count` rows in all."""
        places = [self.distinct.setdefault(value, len(self.distinct)) + 1 for value in values]
        codes, new = self.codes(count), np.array(places, np.int64)
        for offset in range(int((ends - firsts).max(initial=0))):  # most variants have one row
            rows = firsts + offset
            is_there = rows < ends
            codes[rows[is_there]] = new[is_there]


class NamedNumbers:
    """The values of settings and scores by name; kept until the runs that have them change."""

    def __init__(self, table: ColumnTable, reader: IndexReader) -> None:
        self._table = table
        self._reader = reader
        self._settings: dict[str, SettingValues] = {}
        self._scores: dict[str, Column] = {}
        """By image id."""
        self._apart: dict[int, list[int]] = {}
        """Of runs that score images which are none of their outputs, those images; known once a score is."""

    def refresh(self) -> None:
        """Take in what changed with the last refresh of the table."""
        touched, changed = self._table.touched_runs, self._table.changed_runs
        if touched is None:
            self._settings.clear()
            self._scores.clear()
            return
        for field, values in self._settings.items():
            self._append_settings(field, values, changed)  # rows of the past are dead, and their values harmless
        if touched and self._scores:
            before = [image for run in touched for image in self._apart.pop(run, ())]
            after = self._read_apart(f"AND run IN ({','.join(map(str, touched))})")
            scored = self._table.pictures_of(np.array([*before, *after], np.int64))
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
        spans = self._table.variant_rows(runs, positions)
        values.append(*spans, [row[2] for row in rows], self._table.rows.count)

    def setting_numbers(self, field: str) -> Column:
        """The values of a setting by row; NaN where there is none, or a text."""
        numbers = self.setting(field).numbers()
        return look_up(np.concatenate([[np.nan], numbers]), self.setting_codes(field))

    def setting_codes(self, field: str) -> Column:
        """The place of each row's value among the `distinct` ones of a setting, from 1; 0 where it has none."""
        return self.setting(field).codes(self._table.rows.count)

    def setting_mask(self, condition: Condition) -> Mask:
        """The rows whose setting fits."""
        found = self.setting(condition.field)
        ranges, patterns = condition.ranges(), condition.patterns()
        fits = np.zeros(len(found.distinct) + 1, np.bool_)
        if patterns:
            matches = match_any(patterns)
            fits[1:] = [_fits(value, ranges, matches) for value in found.distinct]
        else:
            fits[1:] = in_ranges(found.numbers(), ranges)
        return choose_codes(fits, found.codes(self._table.rows.count))

    def score(self, field: str) -> Column:
        """The score or aspect that a field such as `metric.aesthetic` names, by image id; NaN where there is none.

        Of a metric the newest value counts; an aspect is the mean of its raters' last words.
        """
        if field not in self._scores:
            if not self._scores:
                self._apart.clear()
                self._read_apart("")
            self._scores[field] = self._read_scores(field, np.empty(0), None)
        return self._scores[field]

    def _read_apart(self, chosen: str) -> list[int]:
        """The images that some runs score though they are none of their outputs; they are remembered by run."""
        found = self._reader.fetch(f"SELECT DISTINCT run, image FROM score WHERE is_apart {chosen}")
        for run, image in found:
            self._apart.setdefault(run, []).append(image)
        return [image for _, image in found]

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
