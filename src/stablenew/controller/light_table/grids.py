"""Grids: any images of the store laid out by two of their settings, and the plan that fills the holes.

The images of a cell form a stack. On top lie those of the prompt and seed that the most cells have, so that neighbours
differ in the two settings and, as far as the store allows, in nothing else.
"""

import csv
import io
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stablenew.controller.experiments.plan_controller import build_plan
from stablenew.controller.light_table.grid_axes import MOST_VALUES, choose_axes, list_axes
from stablenew.controller.light_table.trash import without_trash
from stablenew.errors import ConfigError
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.settings import INDEXED, find_setting
from stablenew.pipeline.prompt_pack import Prompt

if TYPE_CHECKING:
    from stablenew.formats.documents.learning_plan import LearningPlan
    from stablenew.formats.strict_json import JsonValue
    from stablenew.index.asking.image_values import ValueCodes
    from stablenew.index.job_history import JobHistory

AXES: Final = ("x", "y", "panel", "across")
MOST_IN_STACK: Final = 50
_MOST_HOLES: Final = 500
_PLANNED: Final = tuple(setting.name for setting in INDEXED if "txt2img" in setting.stages and setting.type != "seed")
"""Settings that a plan can give to new images."""


@dataclass(frozen=True, slots=True)
class GridCell:
    """The images in one place of a grid."""

    place: tuple[int, int, int, int]
    """The places of its values on the four axes."""
    images: tuple[int, ...]
    """The index's ids, the one on top first; at most `MOST_IN_STACK`."""
    image_count: int
    rating: float | None
    """The mean of their ratings."""


class Grid:
    """The images of a query by two settings, and by up to two more as panels: down, and across."""

    def __init__(
        self, history: "JobHistory", query: str, x: str = "", y: str = "", panel: str = "", across: str = ""
    ) -> None:
        """Lay the images out; without names of the first two settings by those that vary and leave few holes.

        Raises:
            InvalidQuery: the query cannot be parsed.
            ConfigError: there is no such setting, or it has more than `MOST_VALUES` values.
        """
        self._history = history
        self._found = history.image_values(without_trash(query))
        self.query = query
        self.axes = list_axes(self._found)
        self.names = choose_axes(self._found, self.axes, (x, y, panel, across))
        """What the columns, the rows, the panels down and the panels across stand for; empty for nothing."""
        self.codes = tuple(self._codes(name) for name in self.names)
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
        codes = [np.zeros(count, np.int64) if column is None else column.codes for column in self.codes]
        places = np.flatnonzero(np.logical_and.reduce([column >= 0 for column in codes]))
        self.left_out = count - len(places)
        sizes = self._sizes
        cells = np.ravel_multi_index([column[places] for column in codes[::-1]], sizes[::-1])
        order = np.lexsort((np.arange(len(places)), self._rank_groups(places, cells), cells))
        starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
        stacks = np.split(places[order], starts[1:]) if len(starts) else []
        where = np.stack(np.unravel_index(cells[order][starts], sizes[::-1])[::-1], axis=1)
        self.cells = [self._build_cell(place, stack) for place, stack in zip(where.tolist(), stacks, strict=True)]

    def _build_cell(self, place: Sequence[int], stack: Any) -> GridCell:
        images = tuple(self._found.images[stack[:MOST_IN_STACK]].tolist())
        ratings = self._found.ratings[stack]
        known = ratings[~np.isnan(ratings)]
        x, y, panel, across = place
        return GridCell((x, y, panel, across), images, len(stack), float(known.mean()) if len(known) else None)

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
        axes = {
            axis: _describe_axis(name, codes) for axis, name, codes in zip(AXES, self.names, self.codes, strict=True)
        }
        return {
            "query": self.query,
            **axes,
            "axes": self.axes,
            "image_count": self.image_count,
            "left_out": self.left_out,
            "can_fill": self.can_fill,
            "cells": [[*cell.place, cell.image_count, list(cell.images), cell.rating] for cell in self.cells],
        }

    @property
    def hole_count(self) -> int:
        """How many cells are empty."""
        return math.prod(self._sizes) - len(self.cells)

    @property
    def can_fill(self) -> bool:
        """Whether a plan can be made of the empty cells."""
        settings = [find_setting(name) for name in self.names if name]
        is_planned = all(setting is not None and setting.name in (*_PLANNED, "seed") for setting in settings)
        return len(settings) > 1 and is_planned and 1 <= self.hole_count <= _MOST_HOLES

    @property
    def _sizes(self) -> list[int]:
        return [1 if codes is None else max(1, len(codes.values)) for codes in self.codes]

    def plan_holes(self) -> "LearningPlan":
        """The plan of the runs that the empty cells need, for the prompt and seed that the most cells have.

        Raises:
            ConfigError: there are no holes, more than a plan may have, or an axis is no setting of a pipeline.
        """
        holes = self._find_holes()
        row = self._find_sample()
        base = {name: row["settings"][name] for name in _PLANNED if row["settings"].get(name) is not None}
        config = PipelineConfig.from_dict({"txt2img": base})
        if len(holes) == 1:  # a plan compares two things or more: a cell that is there goes along
            holes.append(self.cells[0].place)
        presets = [self._build_preset(place) for place in holes]
        seed = row["settings"].get("seed")
        name = f"Holes of {self.names[1]} by {self.names[0]}"
        prompt = Prompt(row["prompt"] or "", row["negative"] or "", None)
        return build_plan(name, config, [prompt], presets=presets, seeds=[int(seed) if seed is not None else 1])

    def find_run(self) -> str:
        """The id of the run that made the image which the new ones are to be like."""
        return str(self._find_sample()["run_id"])

    def _find_holes(self) -> list[tuple[int, ...]]:
        if self.codes[0] is None or self.codes[1] is None:
            raise ConfigError("a grid of two settings has holes; choose what to lay out down")
        if not 1 <= self.hole_count <= _MOST_HOLES:
            raise ConfigError(f"{self.hole_count} holes; a plan takes 1 to {_MOST_HOLES}")
        taken = {cell.place for cell in self.cells}
        return [place for place in itertools.product(*map(range, self._sizes)) if place not in taken]

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

    def _build_preset(self, place: Sequence[int]) -> "tuple[str, dict[str, JsonValue]]":
        """The name and the settings of one cell."""
        overrides: dict[str, JsonValue] = {}
        values = [codes.values[at] for codes, at in zip(self.codes, place, strict=True) if codes is not None]
        for name, value in zip(filter(None, self.names), values, strict=True):
            setting = find_setting(name)
            if setting is None or setting.name not in (*_PLANNED, "seed"):
                raise ConfigError(f"a plan cannot set {name}; choose other settings")
            is_whole = setting.type in ("integer", "seed") and not isinstance(value, str)
            overrides[f"txt2img.{setting.name}"] = int(value) if is_whole else value
        return ", ".join(map(str, values)), overrides

    def encode_data(self) -> str:
        """The grid as CSV, one line per image."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        x, y, *panels = self.names
        writer.writerow([x or "x", y or "y", *filter(None, panels), *_DATA_COLUMNS])
        writer.writerows(self._iter_data())
        return buffer.getvalue()

    def _iter_data(self) -> Iterator[list[Any]]:
        titles = [codes.titles() if codes is not None else [""] for codes in self.codes]
        shown = [axis for axis, name in enumerate(self.names) if name or axis < 2]
        for cell in self.cells:
            head = [titles[axis][cell.place[axis]] for axis in shown]
            for row in self._history.image_rows(cell.images):
                facts = [row["digest"], row["run_id"], row["name"], row["rating"], row["settings"].get("seed")]
                yield [*head, *facts, row["prompt"]]


_DATA_COLUMNS: Final = ("digest", "run_id", "name", "rating", "seed", "prompt")


def _describe_axis(name: str, codes: "ValueCodes | None") -> dict[str, Any] | None:
    return None if codes is None else {"name": name, "values": codes.titles()}
