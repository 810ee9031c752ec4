"""Facets: the values that jobs or images have, and how many of them."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.arrays import Column, Mask
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.conditions import ORIENTATIONS, RUN_WORD_COLUMNS, SETTING_COLUMNS, has_orientation
from stablenew.index.asking.columns.facet_codes import FacetCodes, code_variants
from stablenew.index.asking.columns.named_numbers import NamedNumbers, format_value
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.asking.orders import JOBS
from stablenew.index.index_schema import (
    FIELD_EMBEDDING,
    FIELD_LORA,
    FIELD_PACK,
    FIELD_TAG,
    NO_IMAGE,
    NO_POSITION,
    TAG_PREFIXES,
)

FACETS: Final = (
    "status",
    "pack",
    *(setting.query for setting in INDEXED if setting.query and setting.has_facet),
    *("rating", "tag", "engine"),
)
"""The facets of jobs."""
IMAGE_FACETS: Final = (*FACETS, "type", "stage", "source", "flag", "label", "album", "lora", "orientation")
"""The facets of images that are counted unless others are asked for."""
OTHER_FACETS: Final = (
    *("rater", "embedding", "action"),
    *(setting.query for setting in INDEXED if setting.query and not setting.has_facet and setting.type != "seed"),
)
_LABEL_FIELDS: Final[Mapping[str, int]] = {
    "pack": FIELD_PACK,
    "tag": FIELD_TAG,
    "lora": FIELD_LORA,
    "embedding": FIELD_EMBEDDING,
}
_OPINION_COLUMNS: Final[Mapping[str, str]] = {"flag": "flag", "rater": "rater"}
_SEVERAL: Final = frozenset({*_LABEL_FIELDS, *_OPINION_COLUMNS, *TAG_PREFIXES})
"""Facets of which a job or image may have several values."""
_RATING: Final = "rating"


class FacetValue(NamedTuple):
    """A value of a facet and how many jobs, or images, have it."""

    value: str | float
    job_count: int


class Units(NamedTuple):
    """What is counted: the jobs, or images, that fit a query."""

    kind: str
    rows: Mask
    """The rows that fit."""
    mask: Mask
    """The jobs or images that have one of them, by slot or id."""
    places: Column
    """The same, as numbers."""


class FacetCounter:
    """Counts the values of columns; what only depends on the column is kept until the table changes."""

    def __init__(self, table: ColumnTable, reader: IndexReader, numbers: NamedNumbers) -> None:
        self._table = table
        self._reader = reader
        self._numbers = numbers
        self._codes: dict[tuple[str, str], FacetCodes] = {}

    def forget(self) -> None:
        """Drop what no longer holds after a refresh of the table."""
        if self._table.has_only_new_opinions:
            changing = (_RATING, *RUN_WORD_COLUMNS)
            self._codes = {key: codes for key, codes in self._codes.items() if key[1] not in changing}
        else:
            self._codes.clear()

    def count(self, name: str, units: Units) -> list[FacetValue]:
        """The values of a facet and how many units have them, most frequent first."""
        if name in _SEVERAL:
            pairs = np.unique(np.concatenate(self._pairs(name, units)))
            values, counts = np.unique(pairs & 0xFFFF_FFFF, return_counts=True)
        else:
            codes = self._coded(units.kind, name)
            values, counts = codes.values, codes.count(units.places, units.rows)
        return self._describe(name, values, counts)

    def _coded(self, kind: str, name: str) -> FacetCodes:
        if (kind, name) not in self._codes:
            rows, alive = self._table.rows, self._table.rows["is_alive"]
            if kind == JOBS:
                units, count = rows["run"], self._table.runs.count
            else:
                units, count = rows["image"], self._table.image_count
                alive = alive & (units >= 0)
            self._codes[kind, name] = code_variants(self._column(name), np.where(alive, units, count), count)
        return self._codes[kind, name]

    def _column(self, name: str) -> Column:
        """A value of each row as a number; NaN where there is none."""
        rows = self._table.rows
        column: Column
        if name == _RATING:
            padded = np.full(max(len(self._table.image_ratings), self._table.image_count) + 1, np.nan)
            padded[: len(self._table.image_ratings)] = np.floor(self._table.image_ratings + 0.5)
            padded[NO_IMAGE] = np.nan
            return padded[rows["image"]]
        if name == "orientation":
            masks = [has_orientation(rows["width"], rows["height"], orientation) for orientation in ORIENTATIONS]
            return np.select(masks, list(map(float, range(len(masks)))), np.nan)
        if name.startswith("settings."):
            return self._numbers.setting_codes(name)
        if name in RUN_WORD_COLUMNS:
            column = self._table.runs[name][rows["run"]]
        else:
            column = rows[SETTING_COLUMNS.get(name, name)]
        if np.issubdtype(column.dtype, np.floating):
            return column
        return np.where(column < 0, np.nan, column)

    def _pairs(self, name: str, units: Units) -> list[Column]:
        """Pairs of unit and name, as one number each."""
        pairs = []
        if name in _LABEL_FIELDS:
            labels = self._table.labels
            chosen = labels["field"] == _LABEL_FIELDS[name]
            pairs.append(
                self._pairs_of_variants(
                    units, labels["run"][chosen], labels["position"][chosen], labels["name"][chosen]
                )
            )
        if name in ("tag", *TAG_PREFIXES, *_OPINION_COLUMNS):
            images, runs, names = self._opinions(name)
            of_run = images == NO_IMAGE
            whole = np.full(int(np.count_nonzero(of_run)), NO_POSITION)
            pairs.append(self._pairs_of_variants(units, runs[of_run], whole, names[of_run]))
            pairs.append(self._pairs_of_images(units, images[~of_run], names[~of_run]))
        return pairs

    def _opinions(self, name: str) -> tuple[Column, Column, Column]:
        """Image, run and name of each thing that was said."""
        table = self._table.opinions if name in _OPINION_COLUMNS else self._table.tags
        names = table[_OPINION_COLUMNS.get(name, "name")]
        chosen = names >= 0
        if name == "flag":
            chosen &= table["is_flag_latest"]
        if name == "rater":
            chosen &= ~table["is_empty"]
        if name in TAG_PREFIXES:
            begun = [number for number, text in self._reader.names() if text.startswith(TAG_PREFIXES[name])]
            chosen = np.isin(names, begun)
        return table["image"][chosen], table["run"][chosen], names[chosen]

    def _pairs_of_variants(self, units: Units, runs: Column, positions: Column, names: Column) -> Column:
        """Pairs for names of variants, or of whole runs at position -1."""
        slots, is_known = self._table.known_slots_of(runs)
        positions, names = positions[is_known], names[is_known]
        firsts, counts = self._table.runs["first_row"][slots], self._table.runs["row_count"][slots]
        is_variant = positions != NO_POSITION
        if units.kind == JOBS and not is_variant.any():
            chosen = units.mask[slots]
            return _pair(slots[chosen], names[chosen])
        if is_variant.any():
            starts, ends = self._table.variant_rows(runs[is_known][is_variant], positions[is_variant])
            firsts[is_variant], counts[is_variant] = starts, ends - starts
        places = np.repeat(firsts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
        repeated, column = np.repeat(names, counts), self._table.rows["run" if units.kind == JOBS else "image"]
        found = column[places]
        chosen = units.rows[places] & (found >= 0)
        return _pair(found[chosen], repeated[chosen])

    def _pairs_of_images(self, units: Units, images: Column, names: Column) -> Column:
        """Pairs for names of images."""
        if units.kind != JOBS:
            is_there = images < len(units.mask)
            chosen = np.flatnonzero(is_there)[units.mask[images[is_there]]]
            return _pair(images[chosen], names[chosen])
        rows, count = self._table.rows, self._table.image_count
        tagged = np.zeros(count + 1, np.bool_)
        tagged[images[images < count]] = True
        found = np.flatnonzero(units.rows & tagged[rows["image"]])
        order = np.argsort(images, kind="stable")
        starts = np.searchsorted(images[order], rows["image"][found], "left")
        ends = np.searchsorted(images[order], rows["image"][found], "right")
        counts = ends - starts
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
        return _pair(np.repeat(rows["run"][found], counts), names[order][places])

    def _describe(self, name: str, values: Column, counts: Column) -> list[FacetValue]:
        found: dict[str | float, int] = {}
        show = self._shower(name)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if count:
                shown = show(value)
                found[shown] = found.get(shown, 0) + count
        ordered = sorted(found.items(), key=lambda item: (-item[1], isinstance(item[0], str), item[0]))
        return [FacetValue(value, count) for value, count in ordered]

    def _shower(self, name: str) -> Any:
        """A function that returns what is shown of a value."""
        if name.startswith("settings."):
            distinct = list(self._numbers.setting(name).distinct)
            return lambda code: _shown_setting(distinct[int(code)])
        if name == "orientation":
            return lambda code: ORIENTATIONS[int(code)]
        if name == _RATING or np.issubdtype(
            self._table.rows.types.get(SETTING_COLUMNS.get(name, name), np.int32), np.floating
        ):
            return lambda value: round(value, 5)
        if name in TAG_PREFIXES:
            return lambda number: self._reader.name(int(number)).removeprefix(TAG_PREFIXES[name])
        return lambda number: self._reader.name(int(number)).split("\0")[0]


def _shown_setting(value: float | str) -> float | str:
    return value if isinstance(value, str) else float(format_value(value))


def _pair(units: Column, names: Column) -> Column:
    pairs: Column = units.astype(np.int64) << 32 | names
    return pairs
