"""Tuning, as a page shows it: the next experiment with the surface behind it, as JSON."""

import itertools
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from stablenew.learning.next_experiment import find_next
from stablenew.learning.surface.surface_curves import draw_curve, draw_map

if TYPE_CHECKING:
    from stablenew.learning.dataset.reader import Dataset

MOST_MAPPED: Final = 4
"""Settings that are looked at two at a time: those whose curves vary most."""


def describe_tuning(
    dataset: "Dataset", over: Sequence[str] = (), *, size: int = 4, query: str = "", rater: str | None = None
) -> dict[str, Any]:
    """The next experiment, a curve for each tuned setting, and a map for each two of the most important.

    Curves and maps are empty before anything is rated.

    Raises:
        ConfigError: see `find_next`.
    """
    found = find_next(dataset, over, size=size, rater=rater)
    curves: list[dict[str, Any]] = []
    maps: list[dict[str, Any]] = []
    if found.surface is not None:
        drawn = {name: draw_curve(found.surface, name, bounds) for name, bounds in found.bounds.items()}
        effects = {name: _effect([point.estimate for point in points]) for name, points in drawn.items()}
        names = sorted(drawn, key=lambda name: -effects[name])
        curves = [
            {"setting": name, "effect": effects[name], "points": [point._asdict() for point in drawn[name]]}
            for name in names
        ]
        pairs = itertools.combinations(names[:MOST_MAPPED], 2)
        maps = [draw_map(found.surface, found.bounds, *pair)._asdict() for pair in pairs]
    return found.to_dict() | {"curves": curves, "maps": maps, "command": _name_command(query, over, size)}


def _name_command(query: str, over: Sequence[str], size: int) -> str:
    """What does the same in a terminal."""
    ranges = [word for text in over for word in ("--over", text)]
    return shlex.join(["stablenew", "learn", "next", *filter(None, [query]), *ranges, "--batch", str(size), "--run"])


def _effect(stars: Sequence[float]) -> float:
    """Stars between the best and the worst value."""
    return max(stars) - min(stars)
