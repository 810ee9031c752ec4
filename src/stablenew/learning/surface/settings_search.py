"""The space of what may be proposed: settings spread evenly over it, and the best of it with what lies around them."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import qmc

from stablenew.learning.surface.observations import Floats
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import SettingSpace

SPREAD: Final = 256
"""Candidates that are spread over the whole space."""
_NEAR: Final = 20
"""Candidates around each of the best."""
_BEST: Final = 8
_STEP: Final = 0.12
"""How far around the best, as a standard deviation; the range of a number is 1."""
_FEWEST: Final = 2
"""Points that are spread, if so many are wanted."""
_TRIES: Final = 8
"""Points that are looked at for each that is wanted, where some are equal."""


class Bounds(NamedTuple):
    """What one setting may be, as codes of `Dimension.encode`: an interval of a number, or the words."""

    codes: tuple[float, ...]
    """The lowest and the highest, or each word."""
    is_number: bool

    def place(self, shares: Floats) -> Floats:
        """Codes for numbers from 0 to 1."""
        if self.is_number:
            low, high = self.codes[0], self.codes[-1]
            return low + shares * (high - low)
        words = np.array(self.codes)
        return np.asarray(words[np.minimum((shares * len(words)).astype(int), len(words) - 1)])


class SettingsSearch:
    """The space of what may be proposed."""

    def __init__(self, space: SettingSpace, bounds: Mapping[str, Bounds], fixed: Floats) -> None:
        self._space, self._fixed = space, fixed
        self._names = [dimension.name for dimension in space.dimensions]
        self._bounds = {self._names.index(name): found for name, found in bounds.items()}

    def spread(self, count: int, skipped: int) -> Floats:
        """`count` points spread evenly, after `skipped` others."""
        points = np.tile(self._fixed, (count, 1))
        sequence = qmc.Halton(max(1, len(self._bounds)), seed=7)
        sequence.fast_forward(skipped)
        shares = sequence.random(count) if count else np.empty((0, max(1, len(self._bounds))))
        for column, (index, bounds) in enumerate(self._bounds.items()):
            points[:, index] = bounds.place(shares[:, column])
        return self._snap(points)

    def spread_new(self, count: int, skipped: int, others: Floats) -> Floats:
        """The same; none twice, and none of `others`. Fewer where the space has no more.

        Where it has next to none, some of `others` again, so that there are two to compare.
        """
        tried = {point.tobytes(): point for point in self.spread(_TRIES * count, skipped)}
        seen = {point.tobytes() for point in others}
        new = [point for key, point in tried.items() if key not in seen]
        known = [point for key, point in tried.items() if key in seen]
        chosen = [*new, *known[: max(0, _FEWEST - len(new))]][:count]
        return np.array(chosen).reshape(len(chosen), len(self._fixed))

    def gather(self, surface: Surface, chance: np.random.Generator) -> tuple[Floats, Floats]:
        """The best point by expectation, and candidates: spread over all, and around the best of these."""
        candidates = self.spread(SPREAD, 0)
        means = surface.expect(candidates)
        for step in (_STEP, _STEP / 3):
            best = candidates[np.argsort(-means, kind="stable")[:_BEST]]
            around = self._around(best, step, chance)
            candidates, means = np.concatenate([candidates, around]), np.concatenate([means, surface.expect(around)])
        return np.asarray(candidates[int(means.argmax())]), np.unique(candidates, axis=0)

    def _around(self, best: Floats, step: float, chance: np.random.Generator) -> Floats:
        points = np.repeat(best, _NEAR, axis=0)
        for index, bounds in self._bounds.items():
            if bounds.is_number:
                moved = points[:, index] + chance.normal(0, step, len(points)) * (bounds.codes[-1] - bounds.codes[0])
                points[:, index] = np.clip(moved, bounds.codes[0], bounds.codes[-1])
            else:
                is_other = chance.random(len(points)) < step
                points[is_other, index] = chance.choice(bounds.codes, int(is_other.sum()))
        return self._snap(points)

    def _snap(self, points: Floats) -> Floats:
        """The points with numbers as people choose them, but for the ends of their bounds and what was listed."""
        snapped, found = self._space.snap(points), points.copy()
        for index, bounds in self._bounds.items():
            if bounds.is_number:
                found[:, index] = np.clip(snapped[:, index], bounds.codes[0], bounds.codes[-1])
        return found
