"""The preference model: one surface over all settings, learned from stars and comparisons of all raters together.

What an image is worth is the sum of what its settings, its prompt and its seed contribute, and of chance. A Gaussian
process over the settings is one of these parts, so a good seed or an easy prompt is not taken for a good setting. Stars
are ordinal: a rater rounds what they feel to whole stars on a scale of their own. See `README.md` in this folder.

NumPy and SciPy only, and deterministic. Exact for up to `MOST_OBSERVATIONS` ratings and comparisons.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import log_ndtr, ndtr

from stablenew.learning.evidence.setting_kernel import KernelParts, SettingSpace, fit_parts

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MOST_OBSERVATIONS: Final = 5_000
"""Ratings, and comparisons that count twice. More are thinned to this many, evenly among raters."""
_FOR_SIZES: Final = 200
"""Ratings that the sizes of the parts are found from; each step takes time by the third power of their number."""
_STEPS: Final = 60
_TOLERANCE: Final = 1e-6
_LEAST: Final = 1e-12


@dataclass(frozen=True)
class Observations:
    """Ratings and comparisons of images. The arrays that describe images have one entry an image."""

    space: SettingSpace
    """The settings that were varied."""
    points: Floats
    """For each image its settings, as `SettingSpace.encode` has them."""
    prompts: Codes
    """For each image a number, equal for images of one prompt."""
    seeds: Codes
    """For each image a number, equal for images of one seed; -1 where it is not known."""
    rated: Codes
    """For each rating the index of its image."""
    raters: Codes
    """For each rating the index of its rater."""
    stars: Floats
    """For each rating its stars."""
    winners: Codes
    """For each comparison the index of the winner."""
    losers: Codes
    """For each comparison the index of the other image."""
    points_won: Floats
    """For each comparison 1 where the winner won, 0.5 for a tie."""

    def thinned(self) -> "Observations":
        """At most `MOST_OBSERVATIONS`, evenly chosen, and only the images that they are about."""
        count = len(self.stars) + 2 * len(self.winners)
        share = min(1.0, MOST_OBSERVATIONS / max(1, count))
        order = np.argsort(self.raters, kind="stable")
        ratings = np.sort(order[_every(len(order), share)])
        pairs = _every(len(self.winners), share)
        rated, winners, losers = self.rated[ratings], self.winners[pairs], self.losers[pairs]
        used = np.unique(np.concatenate([rated, winners, losers]))
        rated, winners, losers = (np.searchsorted(used, images) for images in (rated, winners, losers))
        return Observations(
            self.space, self.points[used], self.prompts[used], self.seeds[used],
            rated, self.raters[ratings], self.stars[ratings], winners, losers, self.points_won[pairs],
        )  # fmt: skip


def _every(count: int, share: float) -> Codes:
    """Indices of about that share of `count` entries, evenly spread."""
    return np.unique(np.floor(np.arange(0, count, 1 / share)).astype(np.int64)) if count else np.empty(0, np.int64)


class Gain(NamedTuple):
    """How many stars better one choice of settings is than another."""

    estimate: float
    """The expected difference in stars."""
    low: float
    """The lower end of its 95 % interval."""
    high: float
    """The upper end of its 95 % interval."""
    probability: float
    """That the first choice is better at all."""


class Surface:
    """What settings are worth, in stars, apart from prompts, seeds and raters."""

    def __init__(self, observed: Observations) -> None:
        """Learn the surface.

        Raises:
            ValueError: there are no ratings and no comparisons.
        """
        self.observed = observed = observed.thinned()
        if not len(observed.stars) + len(observed.winners):
            raise ValueError("there is nothing to learn from: no image is rated or compared")
        self.mean = float(observed.stars.mean()) if len(observed.stars) else 0.0
        self.scales = _rater_scales(observed)
        self.parts = _fit(observed, self.scales, self.mean)
        self._weights = _Observed.of(observed, self.scales)
        self._posterior = _find_mode(self._covariance, _Likelihood.of(observed, self.mean, self.parts.noise))

    @cached_property
    def _covariance(self) -> Floats:
        """The prior covariance of what each rating and comparison is about."""
        observed, parts = self.observed, self.parts
        images = parts.image_covariance(observed.space, observed.points, observed.prompts, observed.seeds)
        covariance = self._weights.between(images)
        count = len(observed.stars)
        covariance[:count, :count] += parts.rater * (observed.raters[:, None] == observed.raters)
        return covariance

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and covariance, in stars, of what settings contribute at some points."""
        observed = self.observed
        across = self._weights.across(self.parts.setting_covariance(observed.space, points, observed.points))
        within = self.parts.setting_covariance(observed.space, points, points)
        mean = across @ self._posterior.gradient
        half = solve_triangular(self._posterior.lower, (self._posterior.root[:, None] * across.T), lower=True)
        return mean, within - half.T @ half

    def compare(self, point: Floats, other: Floats) -> Gain:
        """How much better the settings `point` are than `other`."""
        mean, covariance = self.predict(np.stack([point, other]))
        estimate = float(mean[0] - mean[1])
        variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
        deviation = max(variance, _LEAST) ** 0.5
        return Gain(
            estimate, estimate - 1.96 * deviation, estimate + 1.96 * deviation, float(ndtr(estimate / deviation))
        )

    def find_best(self, *, starts: int = 8, sweeps: int = 4) -> Floats:
        """The point with the highest expected value, within what was tried.

        From the `starts` best of the points that were tried, one setting after the other is improved, `sweeps` times.
        """
        tried = np.unique(self.observed.points, axis=0)
        found = tried[np.argsort(-self.expect(tried), kind="stable")[:starts]].copy()
        for _ in range(sweeps):
            for index, values in enumerate(self.observed.space.candidates(tried)):
                options = np.repeat(found, len(values), axis=0)
                options[:, index] = np.tile(values, len(found))
                best = self.expect(options).reshape(len(found), len(values)).argmax(axis=1)
                found[:, index] = values[best]
        return np.asarray(found[int(self.expect(found).argmax())])

    def expect(self, points: Floats) -> Floats:
        """Expected stars that settings contribute at some points."""
        observed = self.observed
        across = self._weights.across(self.parts.setting_covariance(observed.space, points, observed.points))
        means: Floats = across @ self._posterior.gradient
        return means


def _rater_scales(observed: Observations) -> Floats:
    """How far apart each rater's stars lie, relative to all raters; few ratings count as the usual scale.

    The geometric mean over ratings is one, which fixes the unit of the surface.
    """
    count = int(observed.raters.max(initial=-1)) + 1
    if count < 2:
        return np.ones(count)
    counts = np.maximum(1, np.bincount(observed.raters, minlength=count))
    means = np.bincount(observed.raters, observed.stars, count) / counts
    spreads = np.bincount(observed.raters, (observed.stars - means[observed.raters]) ** 2, count) / counts
    spread = max(float(np.sum(counts * spreads) / counts.sum()), 0.1)
    logs = 0.5 * np.log(np.maximum(spreads, 0.05) / spread) * counts / (counts + 20)
    logs -= np.sum(logs * counts) / counts.sum()
    scales: Floats = np.exp(np.clip(logs, -1, 1))
    return scales


def _fit(observed: Observations, scales: Floats, mean: float) -> KernelParts:
    """The sizes of all parts, most probable given the stars."""
    if len(observed.stars) < 2:
        return KernelParts.usual(len(observed.space.dimensions))
    rows = _every(len(observed.stars), min(1.0, _FOR_SIZES / len(observed.stars)))
    images = observed.rated[rows]
    return fit_parts(
        observed.space,
        observed.points[images],
        (observed.stars[rows] - mean),
        scales[observed.raters[rows]],
        {"prompt": observed.prompts[images], "seed": observed.seeds[images], "rater": observed.raters[rows]},
    )


@dataclass(frozen=True)
class _Observed:
    """Which images each observation is about: `scale * image` for a rating, `winner - loser` for a comparison."""

    first: Codes
    second: Codes
    """-1 for a rating."""
    scale: Floats

    @classmethod
    def of(cls, observed: Observations, scales: Floats) -> "_Observed":
        """The observations in order: ratings, then comparisons."""
        nothing = np.full(len(observed.rated), -1, np.int64)
        return cls(
            np.concatenate([observed.rated, observed.winners]),
            np.concatenate([nothing, observed.losers]),
            np.concatenate([scales[observed.raters], np.ones(len(observed.winners))]),
        )

    def across(self, covariance: Floats) -> Floats:
        """The covariance of other values with the observations, given theirs with the images."""
        across = covariance[:, self.first] * self.scale
        pairs = self.second >= 0
        across[:, pairs] -= covariance[:, self.second[pairs]]
        return across

    def between(self, covariance: Floats) -> Floats:
        """The covariance of the observations, given that of the images."""
        return self.across(self.across(covariance).T.copy())


@dataclass(frozen=True)
class _Likelihood:
    """How probable the observations are, given the values that they are about. Log-concave."""

    upper: Floats
    """The upper end of what is rounded to each rating's stars."""
    lower: Floats
    """The lower end."""
    won: Floats
    """Points of each comparison."""
    noise: float
    """The standard deviation of a rating."""

    @classmethod
    def of(cls, observed: Observations, mean: float, noise: float) -> "_Likelihood":
        """That of these observations."""
        upper = np.where(observed.stars >= 5, np.inf, observed.stars + 0.5 - mean)
        lower = np.where(observed.stars <= 0, -np.inf, observed.stars - 0.5 - mean)
        return cls(upper, lower, observed.points_won, noise)

    def evaluate(self, values: Floats) -> tuple[float, Floats, Floats]:
        """The logarithm of the probability, its gradient, and its negative curvature (diagonal)."""
        count = len(self.upper)
        rated = _interval_terms((self.lower - values[:count]) / self.noise, (self.upper - values[:count]) / self.noise)
        spread = self.noise * 2**0.5  # both images of a comparison are felt with noise
        pairs = _comparison_terms(values[count:] / spread, self.won)
        return (
            float(rated[0].sum() + pairs[0].sum()),
            np.concatenate([rated[1] / self.noise, pairs[1] / spread]),
            np.concatenate([rated[2] / self.noise**2, pairs[2] / spread**2]),
        )


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


class _Mode(NamedTuple):
    """The Laplace approximation at the most probable values."""

    gradient: Floats
    """Of the log-likelihood at the mode."""
    root: Floats
    """The square root of its curvature."""
    lower: Floats
    """The Cholesky factor of `I + W½ K W½`."""


def _find_mode(covariance: Floats, likelihood: _Likelihood) -> _Mode:
    """Newton's method with step halving (Rasmussen and Williams, Gaussian Processes, 2006, algorithm 3.1)."""
    solution = np.zeros(len(covariance))
    values = covariance @ solution
    log, gradient, curvature = likelihood.evaluate(values)
    best = log
    for _ in range(_STEPS):
        root = np.sqrt(curvature)
        factor = cho_factor(np.eye(len(root)) + root[:, None] * covariance * root, lower=True)
        target = curvature * values + gradient
        wanted = target - root * cho_solve(factor, root * (covariance @ target))
        for halving in range(20):
            trial = solution + (wanted - solution) / 2**halving
            trial_values = covariance @ trial
            log, gradient, curvature = likelihood.evaluate(trial_values)
            objective = log - 0.5 * float(trial @ trial_values)
            if objective >= best - _TOLERANCE or halving == 19:
                break
        change, best = objective - best, objective
        solution, values = trial, trial_values
        if abs(change) < _TOLERANCE:
            break
    root = np.sqrt(curvature)
    lower = np.linalg.cholesky(np.eye(len(root)) + root[:, None] * covariance * root).astype(np.float64)
    return _Mode(gradient, root, lower)
