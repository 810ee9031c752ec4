"""Which settings a grid is laid out by where nobody said: the usual ones, as long as they leave few holes."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stablenew.formats.settings import INDEXED, SCHEDULE, find_setting

if TYPE_CHECKING:
    from stablenew.index.asking.image_values import ImageValues

MOST_VALUES: Final = 500
"""Values of an axis."""
_USUAL: Final = ("cfg_scale", "sampler", "steps", "model", SCHEDULE, "denoising_strength", "prompt", "seed")
"""Settings that people lay out, most often first."""
_MOST_PROMPTS: Final = 24
"""Prompts that are an axis without being asked for."""
_MOST_PANELS: Final = 6
"""Values of a third setting that become panels without being asked for."""
_FULL: Final = 0.9
"""The share of cells with an image from which on a grid counts as full: a run may have been stopped."""
_MOST_LOOKED_AT: Final = 200_000
"""Images that decide, the newest first."""


def list_axes(found: "ImageValues") -> list[dict[str, Any]]:
    """The settings that vary among these images, with the number of their values."""
    names = [setting.name for setting in INDEXED] + ["prompt", "run", "engine"]
    counted = ((name, found.count_values(name)) for name in names)
    return [{"name": name, "value_count": count} for name, count in counted if count > 1]


def choose_axes(
    found: "ImageValues", axes: Sequence[Mapping[str, Any]], given: Sequence[str]
) -> tuple[str, str, str, str]:
    """The names of all four axes; where neither of the first two is given, also a third setting that leaves no holes.

    Args:
        found: the images.
        axes: the settings that vary among them, from `list_axes`.
        given: the names that somebody asked for, empty for those to choose.
    """
    x, y, panel, across = (setting.name if (setting := find_setting(name)) else name for name in given)
    fillings = _Fillings(found, axes, exclude=(x, y, panel, across))
    if x and y:
        return x, y, panel, across
    if x or y:
        chosen = fillings.best([(x, name) if x else (name, y) for name in fillings.names])
        return (*(chosen or (x, y)), panel, across)
    x, y = fillings.best(list(itertools.combinations(fillings.names, 2))) or ((*fillings.names, "")[0], "")
    if y and not panel:
        panel = fillings.find_panel(x, y)
    return x, y, panel, across


class _Fillings:
    """How full the grids of several settings would be."""

    def __init__(self, found: "ImageValues", axes: Sequence[Mapping[str, Any]], exclude: Sequence[str]) -> None:
        self._found = found
        self._codes: dict[str, Any] = {}
        counts = {axis["name"]: axis["value_count"] for axis in axes}
        most = {"prompt": _MOST_PROMPTS}
        self.names = [
            name for name in _USUAL if 1 < counts.get(name, 0) <= most.get(name, MOST_VALUES) and name not in exclude
        ]
        """The settings that may be axes without being asked for, the usual ones first."""

    def best(self, choices: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
        """The first of these pairs that is full, else the fullest."""
        shares = []
        for choice in choices:
            shares.append(share := self._share(choice))
            if share >= _FULL:
                return choice
        return choices[int(np.argmax(shares))] if choices else None

    def find_panel(self, x: str, y: str) -> str:
        """A setting of few values that may stand beside two others and leaves no holes; empty where there is none."""
        for name in self.names:
            is_setting = name not in (x, y, "prompt", "seed")  # these form stacks
            if is_setting and self._share((x, y, name)) >= _FULL and self._count(name) <= _MOST_PANELS:
                return name
        return ""

    def _share(self, names: Sequence[str]) -> float:
        """Which part of the cells has an image."""
        codes = [self._code(name) for name in names]
        sizes = [len(known.values) for known in codes]
        columns = [known.codes[:_MOST_LOOKED_AT] for known in codes]
        is_known = np.logical_and.reduce([column >= 0 for column in columns])
        cells = np.ravel_multi_index([column[is_known] for column in columns], sizes) if all(sizes) else []
        return len(np.unique(cells)) / max(1, math.prod(sizes))

    def _count(self, name: str) -> int:
        return len(self._code(name).values)

    def _code(self, name: str) -> Any:
        if name not in self._codes:
            self._codes[name] = self._found.codes(name)
        return self._codes[name]
