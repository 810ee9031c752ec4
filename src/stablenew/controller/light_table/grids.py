"""Grids: any images of the store laid out by two of their settings, and the plan that fills the holes.

The images of a cell form a stack. On top lie those of the prompt and seed that the most cells have, so that neighbours
differ in the two settings and, as far as the store allows, in nothing else.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stablenew.controller.experiments.plan_controller import build_plan
from stablenew.controller.light_table.trash import without_trash
from stablenew.errors import ConfigError
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.settings import INDEXED, find_setting
from stablenew.pipeline.prompt_pack import Prompt

if TYPE_CHECKING:
    from stablenew.formats.documents.learning_plan import LearningPlan
    from stablenew.formats.strict_json import JsonValue
    from stablenew.index.asking.image_values import ImageValues, ValueCodes
    from stablenew.index.job_history import JobHistory

MOST_VALUES: Final = 500
"""Values of an axis."""
MOST_IN_STACK: Final = 50
_MOST_HOLES: Final = 500
_USUAL: Final = ("cfg_scale", "sampler", "steps", "model", "scheduler", "denoising_strength", "seed")
"""Settings that people lay out, most often first."""
_PLANNED: Final = tuple(setting.name for setting in INDEXED if "txt2img" in setting.stages and setting.type != "seed")
"""Settings that a plan can give to new images."""


@dataclass(frozen=True, slots=True)
class GridCell:
    """The images in one place of a grid."""

    x: int
    y: int
    panel: int
    images: tuple[int, ...]
    """The index's ids, the one on top first; at most `MOST_IN_STACK`."""
    image_count: int


class Grid:
    """The images of a query by two settings, and by a third as panels."""

    def __init__(self, history: "JobHistory", query: str, x: str = "", y: str = "", panel: str = "") -> None:
        """Lay the images out; without names of settings by those that vary.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such setting, or it has more than `MOST_VALUES` values.
        """
        self._history = history
        self._found = history.image_values(without_trash(query))
        self.query = query
        self.axes = list_axes(self._found)
        self.x, self.y = _choose_axes(self.axes, x, y)
        self.panel = panel
        self.x_codes, self.y_codes = self._codes(self.x), self._codes(self.y)
        self.panel_codes = self._codes(panel) if panel else None
        self._lay_out()

    @property
    def image_count(self) -> int:
        """How many images fit the query."""
        return len(self._found.images)

    def _codes(self, name: str) -> "ValueCodes | None":
        if not name:
            return None
        codes = self._found.codes(name)
        if len(codes.values) > MOST_VALUES:
            raise ConfigError(f"{len(codes.values)} values of {name} are too many for an axis; narrow the search")
        return codes

    def _lay_out(self) -> None:
        count = self.image_count
        columns = [self.x_codes, self.y_codes, self.panel_codes]
        codes = [np.zeros(count, np.int64) if column is None else column.codes for column in columns]
        is_placed = np.logical_and.reduce([column >= 0 for column in codes])
        places = np.flatnonzero(is_placed)
        self.left_out = count - len(places)
        sizes = [1 if column is None else max(1, len(column.values)) for column in columns]
        cells = (codes[2][places] * sizes[1] + codes[1][places]) * sizes[0] + codes[0][places]
        rank = self._rank_groups(places, cells)
        order = np.lexsort((np.arange(len(places)), rank, cells))
        starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
        images = self._found.images[places[order]]
        self.cells = [
            GridCell(
                int(cell % sizes[0]), int(cell // sizes[0] % sizes[1]), int(cell // (sizes[0] * sizes[1])),
                tuple(stack[:MOST_IN_STACK].tolist()), len(stack),
            )
            for cell, stack in zip(cells[order][starts].tolist(), np.split(images, starts[1:]), strict=len(starts) > 0)
        ]  # fmt: skip

    def _rank_groups(self, places: Any, cells: Any) -> Any:
        """For each image how few cells its prompt and seed are in: 0 is the group that is in the most."""
        groups = self._found.equal_in(["prompt", "seed"])[places]
        pairs = np.unique(np.stack([groups, cells]), axis=1)
        names, counts = np.unique(pairs[0], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        ranks = np.empty(len(names), np.int64)
        ranks[order] = np.arange(len(names))
        return ranks[np.searchsorted(names, groups)]

    def to_dict(self) -> dict[str, Any]:
        """It in JSON."""
        return {
            "query": self.query,
            "x": _describe_axis(self.x, self.x_codes),
            "y": _describe_axis(self.y, self.y_codes),
            "panel": _describe_axis(self.panel, self.panel_codes),
            "axes": self.axes,
            "image_count": self.image_count,
            "left_out": self.left_out,
            "cells": [[cell.x, cell.y, cell.panel, cell.image_count, list(cell.images)] for cell in self.cells],
        }

    def plan_holes(self) -> "LearningPlan":
        """The plan of the runs that the empty cells need, for the prompt and seed that the most cells have.

        Raises:
            ConfigError: there are no holes, more than a plan may have, or an axis is no setting of a pipeline.
        """
        holes = self._find_holes()
        row = self._find_sample()
        base = {name: row["settings"][name] for name in _PLANNED if row["settings"].get(name) is not None}
        config = PipelineConfig.from_dict({"txt2img": base})
        presets = [(f"{x}, {y}", self._overrides(x, y)) for x, y in holes]
        if len(presets) == 1:  # a plan compares two things or more: a cell that is there goes along
            full = self.cells[0]
            titles = self._titles()
            x, y = titles[0][full.x], titles[1][full.y]
            presets.append((f"{x}, {y}", self._overrides(x, y)))
        seed = row["settings"].get("seed")
        name = f"Holes of {self.y} by {self.x}"
        prompt = Prompt(row["prompt"] or "", row["negative"] or "", None)
        return build_plan(name, config, [prompt], presets=presets, seeds=[int(seed) if seed is not None else 1])

    def _titles(self) -> tuple[list[Any], list[Any]]:
        return tuple([] if codes is None else list(codes.values) for codes in (self.x_codes, self.y_codes))  # type: ignore[return-value]

    def _find_holes(self) -> list[tuple[Any, Any]]:
        if self.x_codes is None or self.y_codes is None or self.panel_codes is not None:
            raise ConfigError("holes are filled of a grid with two settings and no panels")
        taken = {(cell.x, cell.y) for cell in self.cells}
        xs, ys = self._titles()
        holes = [(x, y) for j, y in enumerate(ys) for i, x in enumerate(xs) if (i, j) not in taken]
        if not 1 <= len(holes) <= _MOST_HOLES:
            raise ConfigError(f"{len(holes)} holes; a plan takes 1 to {_MOST_HOLES}")
        return holes

    def _find_sample(self) -> Mapping[str, Any]:
        """The image that the new ones are to be like."""
        counts: dict[Any, int] = {}
        rows = self._history.image_rows([cell.images[0] for cell in self.cells[:200]])
        for row in rows:
            key = (row["prompt"], row["settings"].get("seed"))
            counts[key] = counts.get(key, 0) + 1
        if not rows:
            raise ConfigError("an empty grid says nothing about what to make")
        return max(rows, key=lambda row: counts[row["prompt"], row["settings"].get("seed")])

    def _overrides(self, x: Any, y: Any) -> "dict[str, JsonValue]":
        overrides: dict[str, JsonValue] = {}
        for name, value in ((self.x, x), (self.y, y)):
            setting = find_setting(name)
            if setting is None or setting.name not in (*_PLANNED, "seed"):
                raise ConfigError(f"{name} is nothing that a plan can set; choose other settings")
            is_whole = setting.type in ("integer", "seed") and not isinstance(value, str)
            overrides[f"txt2img.{setting.name}"] = int(value) if is_whole else value
        return overrides

    def encode_data(self) -> str:
        """The grid as CSV, a line an image."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([self.x or "x", self.y or "y", *([self.panel] if self.panel else []), *_DATA_COLUMNS])
        writer.writerows(self._iter_data())
        return buffer.getvalue()

    def _iter_data(self) -> Iterator[list[Any]]:
        titles = [
            codes.titles() if codes is not None else [""] for codes in (self.x_codes, self.y_codes, self.panel_codes)
        ]
        for cell in self.cells:
            head = [titles[0][cell.x], titles[1][cell.y], *([titles[2][cell.panel]] if self.panel else [])]
            for row in self._history.image_rows(cell.images):
                facts = [row["digest"], row["run_id"], row["name"], row["rating"], row["settings"].get("seed")]
                yield [*head, *facts, row["prompt"]]


_DATA_COLUMNS: Final = ("digest", "run_id", "name", "rating", "seed", "prompt")


def list_axes(found: "ImageValues") -> list[dict[str, Any]]:
    """The settings that vary among these images, with the number of their values."""
    names = [setting.name for setting in INDEXED] + ["prompt", "run", "engine"]
    counted = ((name, found.count_values(name)) for name in names)
    return [{"name": name, "value_count": count} for name, count in counted if count > 1]


def _choose_axes(axes: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[str, str]:
    """Both names; what was not given are the usual ones that vary and fit on a screen."""
    counts = {axis["name"]: axis["value_count"] for axis in axes}
    given = [setting.name if (setting := find_setting(name)) else name for name in (x, y)]
    free = [name for name in _USUAL if 1 < counts.get(name, 0) <= MOST_VALUES and name not in given]
    chosen_x = given[0] or (free.pop(0) if free else "")
    return chosen_x, given[1] or (free.pop(0) if free else "")


def _describe_axis(name: str, codes: "ValueCodes | None") -> dict[str, Any] | None:
    return None if codes is None else {"name": name, "values": codes.titles()}
