"""Which settings to try next, and whether there is much left to learn about the best ones.

At first all are random, spread evenly. Then half of each batch are the settings that teach most about which are best
(`batch_value`), among many that are spread over the space or lie around the best; the other half remains random, which
guards against a wrong surface.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stablenew.learning.surface.batch_value import choose_batch
from stablenew.learning.surface.left_to_gain import Left, draw_surfaces, measure_left
from stablenew.learning.surface.observations import Codes, Floats
from stablenew.learning.surface.preference_model import Surface
from stablenew.learning.surface.setting_kernel import SettingSpace
from stablenew.learning.surface.settings_search import SPREAD, Bounds, SettingsSearch

ALL_RANDOM: Final = 20
"""Up to so many ratings all proposals are random: with fewer, the sizes of the surface's parts are hardly known."""
RANDOM_SHARE: Final = 0.5
"""The part of all later proposals that is random."""
FEWEST_RATINGS: Final = 8
"""With fewer ratings, no settings are said to be the best."""
_PROMISING: Final = 180
"""Candidates that surfaces are drawn over: the time goes up with the third power of their number."""
_PROMISING_MADE: Final = 40
"""The same of images that are there."""
FEWEST_NEW: Final = 2
"""New images of a batch, so that there is something to compare."""


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
    search = SettingsSearch(space, bounds, fixed)
    count = 0 if surface is None else len(surface.observed.stars) + len(surface.observed.winners)
    chance = np.random.default_rng([count, size, len(bounds)])
    known = np.empty((0, len(fixed))) if made is None else made
    if surface is None or count < FEWEST_RATINGS:
        return _spread_batch(search, known, size, count)
    best, candidates = search.gather(surface, chance)
    candidates = candidates[_keep_promising(surface, candidates, _PROMISING)]
    kept = _keep_promising(surface, known, _PROMISING_MADE)
    everything = np.concatenate([candidates, known[kept]])
    mean, covariance = surface.predict(everything)
    drawn = draw_surfaces(mean, covariance, chance)[:, : len(candidates)]
    left = measure_left(drawn, int(mean[: len(candidates)].argmax()), surface.expect(search.spread(SPREAD, 0)))
    if count < ALL_RANDOM:
        return replace(_spread_batch(search, known, size, count), best=best, left=left)
    random = _count_spread(count + size) - _count_spread(count)
    is_made = np.arange(len(everything)) >= len(candidates)
    choice = choose_batch(mean, covariance, surface.rating_variances(mean), size - random, chance, is_made)
    new = everything[[pick for pick in choice.picks if not is_made[pick]]]
    skipped, taken = _count_spread(count) + len(known), np.concatenate([new, known])
    spread = search.spread_new(max(random, FEWEST_NEW - len(new)), skipped, taken)
    existing = tuple(int(kept[pick - len(candidates)]) for pick in choice.picks if is_made[pick])
    is_random = (False,) * len(new) + (True,) * len(spread)
    return Batch(np.concatenate([new, spread]), is_random, existing, best, left)


def _spread_batch(search: SettingsSearch, known: Floats, size: int, count: int) -> Batch:
    """A batch that is random, after `count` others."""
    existing = _spread_apart(known, max(0, size - FEWEST_NEW))
    points = search.spread_new(size - len(existing), count + len(known), known)
    return Batch(points, (True,) * len(points), existing, None, None)


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


def _count_spread(count: int) -> int:
    """So many of the first `count` proposals are random.

    Evenly spread points are so only one after the other: to leave some out leaves out some values.
    """
    first = min(count, ALL_RANDOM)
    return first + int((count - first) * RANDOM_SHARE)


def _keep_promising(surface: Surface, points: Floats, count: int) -> Codes:
    """Indices of the points that may be the best: by their expected stars, and by what is not known of them."""
    mean, variance = surface.predict_each(points)
    hopes = (mean, mean + np.sqrt(variance))
    best = [np.argsort(-hope, kind="stable")[: count // len(hopes)] for hope in hopes]
    return np.unique(np.concatenate(best))
