"""Which settings to try next, and whether there is much left to learn about the best ones.

Half of each batch are the settings that teach most about which are best (`batch_value`), among many that are spread
over the space or lie around the best. The other half is random, spread evenly: it guards against a wrong surface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import qmc

from stablenew.learning.surface.batch_value import choose_batch
from stablenew.learning.surface.observations import Codes, Floats
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import SettingSpace

RANDOM_SHARE: Final = 0.5
"""The part of all proposals that is random."""
FEWEST_RATINGS: Final = 8
"""With fewer ratings, everything is random."""
_SPREAD: Final = 256
"""Candidates that are spread over the whole space."""
_NEAR: Final = 20
"""Candidates around each of the best."""
_BEST: Final = 8
_STEP: Final = 0.12
"""How far around the best, as a standard deviation; the range of a number is 1."""
_PROMISING: Final = 180
"""Candidates that surfaces are drawn over: the time goes up with the third power of their number."""
_PROMISING_MADE: Final = 40
"""The same of images that are there."""
_SURFACES: Final = 200
"""Surfaces that are drawn to say what is left to gain."""
_TRIES: Final = 8
"""Points that are looked at for each that is wanted, where some are equal."""
_JITTER: Final = 1e-5
FEWEST_NEW: Final = 2
"""New images of a batch, so that there is something to compare."""
ENOUGH: Final = 0.07
"""Stop when less than this part of the way from average to best settings is expected to be left."""


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


class Left(NamedTuple):
    """What better settings than the best known may still bring."""

    stars: float
    """Expected stars between the best there is and the best known."""
    share: float
    """The same as a part of the way from average settings to the best."""

    @property
    def is_little(self) -> bool:
        """Whether one may stop."""
        return self.share < ENOUGH


@dataclass(frozen=True)
class Batch:
    """What to try next."""

    points: Floats
    """Settings to make images of, as `SettingSpace.encode` has them; one row per image."""
    is_random: tuple[bool, ...]
    """For each row whether it was drawn at random."""
    existing: tuple[int, ...]
    """Indices of images that are there already and teach as much; rate these first."""
    best: Floats | None
    """The settings with the highest expected stars; None before there are enough ratings."""
    left: Left | None
    """What is left to gain; None before there are enough ratings."""


def propose_batch(
    space: SettingSpace,
    bounds: Mapping[str, Bounds],
    fixed: Floats,
    surface: Surface | None,
    *,
    size: int = 4,
    made: Floats | None = None,
) -> Batch:
    """The next `size` settings to try.

    `bounds` are those of the settings that are tuned; the others are as in the point `fixed`. `surface` is what is
    known, None where that is nothing. `made` are the settings of images that nobody has rated, one row each. The same
    input gives the same batch.
    """
    search = _Search(space, bounds, fixed)
    count = 0 if surface is None else len(surface.observed.stars) + len(surface.observed.winners)
    chance = np.random.default_rng([count, size, len(bounds)])
    known = np.empty((0, len(fixed))) if made is None else made
    if surface is None or count < FEWEST_RATINGS:
        existing = _spread_apart(known, max(0, size - FEWEST_NEW))
        points = search.spread_new(size - len(existing), count + len(known), known)
        return Batch(points, (True,) * len(points), existing, None, None)
    best, candidates = search.gather(surface, chance)
    candidates = candidates[_keep_promising(surface, candidates, _PROMISING)]
    kept = _keep_promising(surface, known, _PROMISING_MADE)
    everything = np.concatenate([candidates, known[kept]])
    mean, covariance = surface.predict(everything)
    drawn = _draw(mean, covariance, chance)[:, : len(candidates)]
    left = _measure_left(drawn, int(mean[: len(candidates)].argmax()), surface.expect(search.spread(_SPREAD, 0)))
    random = _count_random(size, count)
    is_made = np.arange(len(everything)) >= len(candidates)
    choice = choose_batch(mean, covariance, surface.rating_variance, size - random, chance, is_made)
    new = everything[[pick for pick in choice.picks if not is_made[pick]]]
    spread = search.spread_new(max(random, FEWEST_NEW - len(new)), count + len(known), np.concatenate([new, known]))
    existing = tuple(int(kept[pick - len(candidates)]) for pick in choice.picks if is_made[pick])
    is_random = (False,) * len(new) + (True,) * len(spread)
    return Batch(np.concatenate([new, spread]), is_random, existing, best, left)


def _spread_apart(points: Floats, count: int) -> tuple[int, ...]:
    """Indices of at most `count` points that differ, each as far as can be from those before."""
    if not len(points) or not count:
        return ()
    picks = [0]
    nearest = np.abs(points - points[0]).sum(axis=1)
    while len(picks) < count and nearest.max() > 0:
        picks.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.abs(points - points[picks[-1]]).sum(axis=1))
    return tuple(picks)


def _count_random(size: int, count: int) -> int:
    """So many of a batch are random that over all batches it is the share."""
    return int((count + size) * RANDOM_SHARE) - int(count * RANDOM_SHARE)


def _keep_promising(surface: Surface, points: Floats, count: int) -> Codes:
    """Indices of the points that may be the best: by their expected stars, and by what is not known of them."""
    mean, variance = surface.predict_each(points)
    hopes = (mean, mean + np.sqrt(variance))
    best = [np.argsort(-hope, kind="stable")[: count // len(hopes)] for hope in hopes]
    return np.unique(np.concatenate(best))


def _draw(mean: Floats, covariance: Floats, chance: np.random.Generator) -> Floats:
    """Surfaces out of all that agree with what was observed; one row each, with the worth of each point."""
    jitter = _JITTER * max(float(covariance.diagonal().max()), 1.0)
    root = np.linalg.cholesky(covariance + jitter * np.eye(len(mean)))
    drawn: Floats = mean + chance.standard_normal((_SURFACES, len(mean))) @ root.T
    return drawn


def _measure_left(drawn: Floats, best: int, spread: Floats) -> Left:
    """What is between the best candidate of each surface and the one that is best by expectation.

    `spread` is what is expected of settings all over the space.
    """
    highest = drawn.max(axis=1)
    stars = float((highest - drawn[:, best]).mean())
    way = float(highest.mean() - spread.mean())
    return Left(stars, stars / max(way, _JITTER))


class _Search:
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
        return self._space.snap(points)

    def spread_new(self, count: int, skipped: int, others: Floats) -> Floats:
        """The same; none twice, and none of `others`. Fewer where the space has no more."""
        seen = {point.tobytes() for point in others}
        chosen: list[Floats] = []
        for point in self.spread(_TRIES * count, skipped):
            if len(chosen) < count and point.tobytes() not in seen:
                seen.add(point.tobytes())
                chosen.append(point)
        return np.array(chosen).reshape(len(chosen), len(self._fixed))

    def gather(self, surface: Surface, chance: np.random.Generator) -> tuple[Floats, Floats]:
        """The best point by expectation, and candidates: spread over all, and around the best of these."""
        candidates = self.spread(_SPREAD, 0)
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
        return self._space.snap(points)
