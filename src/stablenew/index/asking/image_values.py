"""The images of a query with the values of some settings, as arrays: duels and grids are made of them.

A value is a code: its place in a list of values. -1 stands for an image that has none.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stablenew.errors import ConfigError
from stablenew.formats.query_language import Query, suggest_names
from stablenew.formats.settings import INDEXED, find_setting
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from stablenew.index.asking.columns.column_cache import ColumnCache
from stablenew.index.asking.columns.image_groups import hash_rows
from stablenew.index.asking.columns.masks import Column
from stablenew.index.asking.columns.named_numbers import format_value
from stablenew.index.asking.columns.split_seeds import join_seed
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.asking.orders import NEWEST

NONE: Final = -1
"""The code of an image that has no value."""
_WORDS_OF_RUNS: Final = ("engine", "source")
_TEXTS: Final = ("prompt", "negative")
_PREFIX: Final = "settings."


@dataclass(frozen=True, slots=True)
class ValueCodes:
    """The values of one setting of some images."""

    codes: Column
    """For each image the place of its value in `values`; `NONE` where it has none."""
    values: tuple[str | float, ...]
    """Numbers ascend; texts are in alphabetical order, whatever their case."""

    def titles(self) -> list[str]:
        """The values as people read them."""
        return [format_value(value) for value in self.values]


class ImageValues:
    """The images that fit a query, the newest first, each at its newest place."""

    def __init__(self, cache: ColumnCache, reader: IndexReader, query: Query) -> None:
        self._cache = cache
        self._reader = reader
        self.places = cache.image_places(query, NEWEST)
        self.images: Column = cache.table.rows["image"][self.places]
        """The index's id of each image."""

    def codes(self, name: str) -> ValueCodes:
        """The values of a setting, by its name or that of its query field; also of `prompt`, `engine`, `run` and so on.

        Raises:
            ConfigError: there is no such setting.
        """
        rows = self._cache.table.rows
        setting = find_setting(name)
        if setting in INDEXED and setting is not None:
            if setting.type == "seed":
                return self._seeds()
            column = rows.at(setting.name, self.places)
            return self._words(column) if setting.type == "text" else _code_numbers(column.astype(np.float64))
        if name in _TEXTS:
            return self._bodies(rows.at(name, self.places))
        runs = self._cache.table.runs
        if name in _WORDS_OF_RUNS:
            return self._words(runs.at(name, rows["run"][self.places]))
        if name == "run":
            return self._runs(runs["id"][rows["run"][self.places]])
        return self._others(name.removeprefix(_PREFIX))

    def count_values(self, name: str) -> int:
        """How many different values a setting has that is a column, a text, `run`, `engine` or `source`."""
        rows, runs = self._cache.table.rows, self._cache.table.runs
        if name in (*_WORDS_OF_RUNS, "run"):
            column = runs.at("id" if name == "run" else name, rows["run"][self.places])
        elif name == "seed":
            return len(self._seeds().values)
        else:
            column = self._stored(name)[0]
        is_known = ~np.isnan(column) if np.issubdtype(column.dtype, np.floating) else column >= 0
        return len(np.unique(column[is_known]))

    def equal_in(self, names: Sequence[str]) -> Column:
        """A number for each image: equal for images that have equal values of all these settings (columns or texts)."""
        return hash_rows((column for name in names for column in self._stored(name)), len(self.images))

    @functools.cached_property
    def ratings(self) -> Column:
        """The mean rating of each image; NaN where nobody rated it."""
        known = self._cache.table.image_ratings
        found = np.full(len(self.images), np.nan, np.float32)
        is_there = self.images < len(known)
        found[is_there] = known[self.images[is_there]]
        return found

    def is_known(self, name: str) -> Column:
        """Which images have a value of a setting that is a column or a text."""
        column = self._stored(name)[0]
        known: Column = ~np.isnan(column) if np.issubdtype(column.dtype, np.floating) else column >= 0
        return known

    def _stored(self, name: str) -> list[Column]:
        """A column of the index for the images; a seed takes two."""
        rows = self._cache.table.rows
        names = ("seed_high", "seed_low") if name == "seed" else (name,)
        return [rows.at(name, self.places) for name in names]

    def _words(self, ids: Column) -> ValueCodes:
        used, inverse = np.unique(ids, return_inverse=True)
        return _sorted_texts(used, inverse, {int(used): self._reader.name(int(used)) for used in used if used >= 0})

    def _bodies(self, ids: Column) -> ValueCodes:
        used, inverse = np.unique(ids, return_inverse=True)
        return _sorted_texts(used, inverse, self._reader.bodies([int(used) for used in used if used >= 0]))

    def _runs(self, ids: Column) -> ValueCodes:
        used, inverse = np.unique(ids, return_inverse=True)
        names = {int(used): self._reader.run_id_of(int(used)) or "" for used in used}
        return _sorted_texts(used, inverse, names)

    def _seeds(self) -> ValueCodes:
        keys = np.stack([np.nan_to_num(column.astype(np.float64), nan=-1.0) for column in self._stored("seed")])
        used, inverse = np.unique(keys, axis=1, return_inverse=True)
        is_known = used[0] >= 0
        places = np.cumsum(is_known) - 1
        codes = np.where(is_known, places, NONE)[inverse.reshape(-1)]
        return ValueCodes(codes, tuple(_seed(*pair) for pair in used[:, is_known].T.tolist()))

    def _others(self, name: str) -> ValueCodes:
        """A setting that has no column of its own."""
        known = {field.removeprefix(_PREFIX).lower() for field in self._reader.family_names() if _PREFIX in field}
        if name.lower() not in known:
            columns = [setting.query or setting.name for setting in INDEXED]
            candidates = {choice: choice for choice in (*columns, *_TEXTS, *_WORDS_OF_RUNS, "run", *sorted(known))}
            raise ConfigError(f"no setting {name!r} in this store: {suggest_names(name, candidates)}")
        found = self._cache.setting_values(f"{_PREFIX}{name.lower()}")
        codes = found.codes(self._cache.table.rows.count)[self.places].astype(np.int64) - 1
        distinct = dict(enumerate(found.distinct))
        used, inverse = np.unique(codes, return_inverse=True)
        if all(isinstance(distinct[int(code)], int | float) for code in used if code >= 0):
            numbers = np.array([float(distinct[int(code)]) if code >= 0 else np.nan for code in used])
            return _code_numbers(numbers[inverse])
        return _sorted_texts(
            used, inverse, {int(code): format_value(distinct[int(code)]) for code in used if code >= 0}
        )


def _code_numbers(column: Column) -> ValueCodes:
    is_known = ~np.isnan(column)
    rounded = np.round(column, 5)  # columns of the index hold 32 bits
    values, inverse = np.unique(rounded[is_known], return_inverse=True)
    codes = np.full(len(column), NONE, np.int64)
    codes[is_known] = inverse
    return ValueCodes(codes, tuple(values.tolist()))


def _sorted_texts(used: Column, inverse: Column, texts: dict[int, str]) -> ValueCodes:
    """Codes for ids that were coded by `np.unique` already; an id without a text is not a value."""
    ordered = sorted(set(texts.values()), key=lambda text: (text.casefold(), text))
    places = {text: place for place, text in enumerate(ordered)}
    codes = np.array([places[texts[number]] if (number := int(key)) in texts else NONE for key in used], np.int64)
    return ValueCodes(codes[inverse] if len(codes) else np.empty(0, np.int64), tuple(ordered))


def _seed(high: float, low: float) -> float | str:
    """A seed by its two parts, as documents write it."""
    exact = join_seed(high, low)
    return str(exact) if exact > MAX_SAFE_INTEGER else float(exact)
