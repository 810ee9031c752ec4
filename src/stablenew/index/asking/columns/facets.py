"""Facets: the values that jobs or images have, and how many of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.columns.arrays import Coded
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.conditions import ORIENTATIONS, RUN_WORD_COLUMNS, SETTING_COLUMNS, orientations
from stablenew.index.asking.columns.facet_codes import (
    JointCodes,
    Rows,
    UnitPairs,
    UnitRows,
    join_codes,
    pair_mixed,
    pair_units,
)
from stablenew.index.asking.columns.masks import Column, Mask, is_in, look_up
from stablenew.index.asking.columns.named_numbers import NamedNumbers, format_value
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.asking.orders import IMAGES, JOBS
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
_MOST_STARS: Final = 5
_CHANGING: Final = frozenset({_RATING, *RUN_WORD_COLUMNS, "tag", *TAG_PREFIXES, *_OPINION_COLUMNS})
"""Facets that change with what is said later, or with the state of a run, though no row of the table does."""


_JOINED: Final = (
    tuple(name for name in IMAGE_FACETS if name not in _SEVERAL | _CHANGING),
    tuple(name for name in IMAGE_FACETS if name in RUN_WORD_COLUMNS),
)
"""Facets that are counted together: those that change at the same times."""


class FacetValue(NamedTuple):
    """A value of a facet and how many jobs, or images, have it."""

    value: str | float
    job_count: int


class FacetCounter:
    """Counts the values of columns; what only depends on the columns is kept until the table changes."""

    def __init__(self, table: ColumnTable, reader: IndexReader, numbers: NamedNumbers) -> None:
        self._table = table
        self._reader = reader
        self._numbers = numbers
        self._coded: dict[str, Coded] = {}
        self._joint: dict[tuple[str, ...], JointCodes] = {}
        self._units: dict[str, UnitRows] = {}
        self._totals: dict[tuple[str, tuple[str, ...]], Column] = {}
        self._pairs: dict[tuple[str, str], UnitPairs] = {}

    def forget(self) -> None:
        """Drop what no longer holds after a refresh of the table."""
        is_same = self._table.has_only_new_opinions
        kept = {name for name in self._coded if name not in _CHANGING} if is_same else set()
        self._coded = {name: self._coded[name] for name in kept}
        self._joint = {names: codes for names, codes in self._joint.items() if kept.issuperset(names)}
        self._totals = {key: totals for key, totals in self._totals.items() if kept.issuperset(key[1])}
        self._pairs = {key: pairs for key, pairs in self._pairs.items() if is_same and key[1] not in _CHANGING}
        if not is_same:
            self._units.clear()

    def count(self, kind: str, fits: Mask, names: Sequence[str]) -> dict[str, list[FacetValue]]:
        """For each facet its values and how many jobs or images that have a row in `fits` have them.

        The most frequent stand first.
        """
        units = self._rows_of_units(kind)
        found = {name: self._count_pairs(kind, name, fits) for name in names if name in _SEVERAL}
        if single := [name for name in names if name not in _SEVERAL]:
            rows = Rows(fits, units)
            for joint in self._joint_codes(single):
                found |= self._count_codes(kind, joint, rows, single)
        return found

    def _count_pairs(self, kind: str, name: str, fits: Mask) -> list[FacetValue]:
        if (kind, name) not in self._pairs:
            rows, names = self._named_rows(name)
            units = self._rows_of_units(kind)
            is_there = units.is_there[rows]
            rows, names = rows[is_there], names[is_there]
            self._pairs[kind, name] = pair_units(rows, units.units[rows], names)
        values, counts = np.unique(self._pairs[kind, name].values_in(fits), return_counts=True)
        return self._describe(name, values, counts)

    def _count_codes(
        self, kind: str, joint: JointCodes, rows: Rows, wanted: Sequence[str]
    ) -> dict[str, list[FacetValue]]:
        if (kind, joint.names) not in self._totals:
            self._totals[kind, joint.names] = rows.units.totals(joint.codes, joint.size)
        counts = rows.count(joint.codes, self._totals[kind, joint.names])
        found = {}
        for name, count in joint.counts_of(counts):
            if name in wanted:
                several = self._count_several(name, rows)
                found[name] = self._describe(name, self._column(name).values[1:], (count + several)[1:])
        return found

    def _count_several(self, name: str, rows: Rows) -> Column:
        column, units = self._column(name), rows.units
        mixed = None if units.is_contiguous or not len(rows.several) else self._mixed(name, column, units)
        return rows.count_several(column.codes, len(column.values), mixed)

    def _mixed(self, name: str, column: Coded, units: UnitRows) -> UnitPairs:
        """The images whose places differ in a column, with its values."""
        if (IMAGES, name) not in self._pairs:
            self._pairs[IMAGES, name] = pair_mixed(column.codes, units)
        return self._pairs[IMAGES, name]

    def _rows_of_units(self, kind: str) -> UnitRows:
        if kind not in self._units:
            rows = self._table.rows
            if kind == JOBS:
                self._units[kind] = UnitRows(rows["run"], rows["is_alive"], is_contiguous=True)
            else:
                self._units[kind] = UnitRows(rows["image"], self._table.has_image, is_contiguous=False)
        return self._units[kind]

    def _joint_codes(self, names: Sequence[str]) -> list[JointCodes]:
        """The codes of these facets; the usual ones are joined."""
        for usual in _JOINED:
            if not all(any(name in known for known in self._joint) for name in usual):
                joined = join_codes([(name, self._column(name)) for name in usual])
                self._joint |= {codes.names: codes for codes in joined}
        for name in names:
            if not any(name in known for known in self._joint):
                self._joint[(name,)] = join_codes([(name, self._column(name))])[0]
        return [codes for known, codes in self._joint.items() if not set(known).isdisjoint(names)]

    def _column(self, name: str) -> Coded:
        if name not in self._coded:
            self._coded[name] = self._code(name)
        return self._coded[name]

    def _code(self, name: str) -> Coded:
        """A column with a value for each row, as codes."""
        rows = self._table.rows
        if name == _RATING:
            return Coded(np.arange(-1, _MOST_STARS + 1), self._stars())
        if name == "orientation":
            return Coded(np.arange(-1, len(ORIENTATIONS)), orientations(rows))
        if name.startswith("settings."):
            codes = self._numbers.setting_codes(name)
            return Coded(np.arange(-1, len(self._numbers.setting(name).distinct)), codes)
        if name in RUN_WORD_COLUMNS:
            values, codes = self._table.runs.coded(name)
            return Coded(values, look_up(codes, rows["run"]))
        return rows.coded(SETTING_COLUMNS.get(name, name))

    def _stars(self) -> Column:
        """The rounded mean rating of each row's image, plus one; 0 where there is none."""
        ratings = self._table.image_ratings
        stars = np.nan_to_num(np.floor(ratings + 0.5), nan=-1.0).astype(np.int8) + 1
        return self._table.by_row(stars.astype(np.uint8), 0)

    def _named_rows(self, name: str) -> tuple[Column, Column]:
        """Rows, and a name that each has; a row may have several."""
        parts = []
        if name in _LABEL_FIELDS:
            labels = self._table.labels
            chosen = labels["field"] == _LABEL_FIELDS[name]
            parts.append(
                self._rows_of_variants(labels["run"][chosen], labels["position"][chosen], labels["name"][chosen])
            )
        if name in ("tag", *TAG_PREFIXES, *_OPINION_COLUMNS):
            images, runs, names = self._opinions(name)
            of_run = images == NO_IMAGE
            whole = np.full(int(np.count_nonzero(of_run)), NO_POSITION)
            parts.append(self._rows_of_variants(runs[of_run], whole, names[of_run]))
            parts.append(self._rows_of_images(images[~of_run], names[~of_run]))
        rows, named = zip(*parts, strict=True)
        return np.concatenate(rows), np.concatenate(named)

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

    def _rows_of_variants(self, runs: Column, positions: Column, names: Column) -> tuple[Column, Column]:
        """The rows of named variants, or of whole runs at position -1, and the names again."""
        slots, is_known = self._table.known_slots_of(runs)
        positions, names = positions[is_known], names[is_known]
        firsts = self._table.runs["first_row"][slots].astype(np.int64)
        counts = self._table.runs.at("row_count", slots).astype(np.int64)
        is_variant = positions != NO_POSITION
        if is_variant.any():
            starts, ends = self._table.variant_rows(runs[is_known][is_variant], positions[is_variant])
            firsts[is_variant], counts[is_variant] = starts, ends - starts
        return _expand(firsts, counts), np.repeat(names, counts)

    def _rows_of_images(self, images: Column, names: Column) -> tuple[Column, Column]:
        """The rows of named images, and the names again."""
        found = np.flatnonzero(is_in(self._table.rows["image"], images))
        order = np.argsort(images, kind="stable")
        owners = self._table.rows["image"][found]
        starts = np.searchsorted(images[order], owners, "left")
        counts = np.searchsorted(images[order], owners, "right") - starts
        return np.repeat(found, counts), names[order][_expand(starts, counts)]

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


def _expand(firsts: Column, counts: Column) -> Column:
    """For each span the numbers from its first on, as many as it has."""
    places: Column = np.repeat(firsts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
    return places
