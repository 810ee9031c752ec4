"""How consistent raters are, from the stars that they gave to the same image more than once.

Without such stars nothing is assumed: all raters are equally consistent, and none drifts.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from stablenew.learning.evidence.rating_statistics import ROUNDING
from stablenew.learning.surface.observations import Codes, Floats, Observations
from stablenew.learning.surface.setting_kernel import KernelParts

_SPAN: Final = 100
"""Drift is in stars over so many ratings."""
_DRIFT_SPREAD: Final = 1.0
"""What drift is assumed to be before anything was rated again, as a standard deviation."""
_USUAL_PAIRS: Final = 5
"""What is usual counts as much as so many repeated ratings."""
_LEAST_NOISE: Final = 0.15
_SURE: Final = 1.96


class Repeats(NamedTuple):
    """Ratings that a rater gave to one image one after the other."""

    raters: Codes
    """The index of the rater of each."""
    changes: Floats
    """The later stars minus the earlier ones."""
    gaps: Floats
    """The ratings from the one to the other, as a part of `_SPAN`."""


@dataclass(frozen=True)
class RaterHabits:
    """How consistent each rater is. The arrays have one entry per rater."""

    repeat_counts: Codes
    """Ratings of an image that was rated before."""
    noise: Floats
    """The standard deviation of a rating, relative to that of all raters."""
    drift: Floats
    """Stars by which the rater's scale moves over `_SPAN` ratings; 0 where nothing was rated again."""
    drift_error: Floats
    """Its standard error."""

    def drifted(self, observed: Observations) -> Floats:
        """How far the scale of its rater had moved at each rating, compared with the rater's mean."""
        if observed.positions is None or not self.drift.any():
            return np.zeros(len(observed.stars))
        positions = observed.positions / _SPAN
        counts = np.maximum(1, np.bincount(observed.raters, minlength=len(self.drift)))
        means = np.bincount(observed.raters, positions, len(self.drift)) / counts
        return np.asarray(self.drift[observed.raters] * (positions - means[observed.raters]))

    def is_drifting(self, rater: int) -> bool:
        """Whether that is surely more than nothing."""
        return bool(abs(self.drift[rater]) > _SURE * self.drift_error[rater])


def find_repeats(observed: Observations) -> Repeats:
    """Each rating of an image that its rater had rated before, with the one before it."""
    if observed.positions is None:
        return Repeats(np.empty(0, np.int64), np.empty(0), np.empty(0))
    first, second = observed.pair_repeats()
    gaps = (observed.positions[second] - observed.positions[first]) / _SPAN
    return Repeats(observed.raters[first], observed.stars[second] - observed.stars[first], gaps)


def measure_drift(observed: Observations, noise: float) -> RaterHabits:
    """The drift of each rater, given the usual noise of a rating; all are taken to be equally noisy."""
    repeats, count = find_repeats(observed), int(observed.raters.max(initial=-1)) + 1
    variance = 2 * (noise**2 + ROUNDING)
    known = np.bincount(repeats.raters, repeats.gaps**2, count) + variance / _DRIFT_SPREAD**2
    drift = np.bincount(repeats.raters, repeats.gaps * repeats.changes, count) / known
    counts = np.bincount(repeats.raters, minlength=count)
    return RaterHabits(counts, np.ones(count), drift, np.sqrt(variance / known))


def measure_noise(observed: Observations, habits: RaterHabits, parts: KernelParts) -> tuple[RaterHabits, KernelParts]:
    """How noisy each rater is, and how much of the noise is not the raters' but the images'.

    `parts` has the noise of ratings of different images. What a rater says again of one image differs by the rater's
    noise alone; the remainder is what images with equal settings, prompt and seed are worth more or less.
    """
    repeats, count = find_repeats(observed), len(habits.noise)
    if not len(repeats.changes):
        return habits, parts
    squares = (repeats.changes - habits.drift[repeats.raters] * repeats.gaps) ** 2 / 2
    usual = parts.noise**2 + ROUNDING
    common = (_USUAL_PAIRS * usual + squares.sum()) / (_USUAL_PAIRS + len(squares))
    each = (_USUAL_PAIRS * common + np.bincount(repeats.raters, squares, count)) / (_USUAL_PAIRS + habits.repeat_counts)
    noise, own = (np.sqrt(np.maximum(variance - ROUNDING, _LEAST_NOISE**2)) for variance in (common, each))
    image = max(0.0, parts.noise**2 - float(noise) ** 2)
    return replace(habits, noise=own / noise), replace(parts, noise=float(noise), image=image)
