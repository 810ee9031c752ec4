"""How probable stars and comparisons are, given what images are worth: ordinal, and log-concave."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import log_ndtr, ndtr

from stablenew.learning.surface.observations import Floats, Observations
from stablenew.learning.surface.rater_habits import RaterHabits

_LEAST: Final = 1e-12
_BOUNDS: Final = np.array([-np.inf, 0.5, 1.5, 2.5, 3.5, 4.5, np.inf])
"""Where what is felt is rounded to one star more or less."""


@dataclass(frozen=True)
class Likelihood:
    """How probable the observations are, given the values that they are about. Log-concave."""

    upper: Floats
    """The upper end of what is rounded to each rating's stars."""
    lower: Floats
    """The lower end."""
    won: Floats
    """Points of each comparison."""
    noise: Floats
    """The standard deviation of each rating, then of each comparison's difference."""

    @classmethod
    def of(
        cls, observed: Observations, mean: float, noise: float, habits: RaterHabits, own: Floats | None = None
    ) -> "Likelihood":
        """That of these observations; `own` has variances that single observations have beside the noise."""
        middles = observed.stars - mean - habits.drifted(observed)
        upper = np.where(observed.stars >= 5, np.inf, middles + 0.5)
        lower = np.where(observed.stars <= 0, -np.inf, middles - 0.5)
        both = np.full(len(observed.winners), 2 * noise**2)  # both images of a comparison are felt with noise
        variances = np.concatenate([(noise * habits.noise[observed.raters]) ** 2, both])
        return cls(upper, lower, observed.points_won, np.sqrt(variances if own is None else variances + own))

    def evaluate(self, values: Floats) -> tuple[float, Floats, Floats]:
        """The logarithm of the probability, its gradient, and its negative curvature (diagonal)."""
        count = len(self.upper)
        noise, spread = self.noise[:count], self.noise[count:]
        rated = _interval_terms((self.lower - values[:count]) / noise, (self.upper - values[:count]) / noise)
        pairs = _comparison_terms(values[count:] / spread, self.won)
        return (
            float(rated[0].sum() + pairs[0].sum()),
            np.concatenate([rated[1] / noise, pairs[1] / spread]),
            np.concatenate([rated[2] / noise**2, pairs[2] / spread**2]),
        )


def information_of_stars(values: Floats, noise: float) -> Floats:
    """How much one rating of an image tells of its worth, as one over a variance in squared stars.

    `values` are what images are worth, from 0 to 5 stars; near an end of the scale, where nearly all ratings are equal,
    it is little (Fisher's information).
    """
    bounds = (_BOUNDS - values[:, None]) / noise
    probable = np.maximum(np.diff(ndtr(bounds), axis=1), _LEAST)
    slopes = np.diff(np.exp(_log_density(bounds)), axis=1) / noise
    return np.asarray((slopes**2 / probable).sum(axis=1))


def _interval_terms(low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    """Logarithm of the probability of a standard normal between two bounds; derivatives for a shift of its mean."""
    is_right = low > 0  # there the difference of two numbers near one would lose its digits
    low, high = np.where(is_right, -high, low), np.where(is_right, -low, high)
    upper, lower = log_ndtr(high), log_ndtr(low)
    logs = upper + np.log1p(-np.exp(np.minimum(lower - upper, -1e-12)))
    at_high, at_low = (np.exp(_log_density(bound) - logs) for bound in (high, low))
    gradient = at_low - at_high
    finite_high, finite_low = (np.where(np.isfinite(bound), bound, 0.0) for bound in (high, low))
    curvature = gradient**2 + finite_high * at_high - finite_low * at_low
    return logs, np.where(is_right, -gradient, gradient), np.maximum(curvature, _LEAST)


def _log_density(values: Floats) -> Floats:
    density: Floats = -0.5 * values**2 - 0.5 * np.log(2 * np.pi)
    return density


def _comparison_terms(difference: Floats, won: Floats) -> tuple[Floats, Floats, Floats]:
    """A win has the probability that the difference is positive; a tie is half a win and half a loss."""
    logs, gradient, curvature = np.zeros_like(difference), np.zeros_like(difference), np.zeros_like(difference)
    for sign, weight in ((1.0, won), (-1.0, 1 - won)):
        log = log_ndtr(sign * difference)
        ratio = np.exp(_log_density(difference) - log)
        logs += weight * log
        gradient += weight * sign * ratio
        curvature += weight * ratio * (ratio + sign * difference)
    return logs, gradient, np.maximum(curvature, _LEAST)
