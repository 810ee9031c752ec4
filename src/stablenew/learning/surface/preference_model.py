"""The preference model: one surface over all settings, learned from stars and comparisons of all raters together.

What an image is worth is the sum of what its settings, its prompt and its seed contribute, and of chance. A Gaussian
process over the settings is one of these parts, so a good seed or an easy prompt is not taken for a good setting. Stars
are ordinal: a rater rounds what they feel to whole stars on a scale of their own. See `README.md` in `evidence`.

NumPy and SciPy only, and deterministic.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr

from stablenew.learning.evidence.rating_statistics import ROUNDING
from stablenew.learning.surface.kernel_sizes import SizeSearch, usual_parts
from stablenew.learning.surface.likelihood import information_of_stars
from stablenew.learning.surface.observations import Floats, Observations, every
from stablenew.learning.surface.posterior import find_posterior
from stablenew.learning.surface.rater_habits import measure_drift, measure_noise
from stablenew.learning.surface.setting_kernel import KernelParts

_FOR_SIZES: Final = 200
"""Ratings that the sizes of the parts are found from; each step takes time by the third power of their number."""
_LEAST: Final = 1e-12
_LEAST_INFORMATION: Final = 0.01
"""Of a rating far beyond an end of the scale: next to nothing, and a variance that can be reckoned with."""
_WIDER: Final = 1.15**2
"""The sizes of the parts are taken as known, and they are not: by so much variances are larger (measured)."""


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

    def __init__(self, observed: Observations, parts: KernelParts | None = None) -> None:
        """Learn the surface; `parts` are the sizes of its parts, where these are known and not found from the ratings.

        Raises:
            ValueError: there are no ratings and no comparisons.
        """
        self.all_ratings = observed
        self.observed = latest = observed.latest().thinned()
        if not len(latest.stars) + len(latest.winners):
            raise ValueError("there is nothing to learn from: no image is rated or compared")
        self.mean = float(latest.stars.mean()) if len(latest.stars) else 0.0
        self.scales = _rater_scales(latest)
        usual = usual_parts(len(observed.space.dimensions))
        drift = measure_drift(observed, usual.noise)
        self._sizes = _search_sizes(latest, self.scales, self.mean + drift.drifted(latest))
        found = parts or (self._sizes.find_parts() if self._sizes else usual)
        self.habits, self.parts = measure_noise(observed, drift, found)
        """How consistent the raters are, and how much each part contributes."""
        self._posterior = find_posterior(latest, self.parts, self.scales, self.mean, self.habits)

    @cached_property
    def support(self) -> float:
        """Logarithm of how many times more probable the ratings are if settings matter; 0 without ratings."""
        return self._sizes.measure_support() if self._sizes else 0.0

    def rating_variances(self, means: Floats) -> Floats:
        """For images whose settings contribute `means`: the noise of a rating, as if it were not rounded or limited.

        Near the ends of the scale ratings teach less, which is as if they were noisier.
        """
        variance = self.parts.noise**2 + self.parts.image
        if not len(self.observed.stars):  # only comparisons: where they are on the scale is not known
            return np.full(len(means), variance + ROUNDING)
        noise = float(np.sqrt(variance))
        return np.asarray(1 / np.maximum(information_of_stars(self.mean + means, noise), _LEAST_INFORMATION))

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and covariance, in stars, of what settings contribute at some points."""
        mean, half = self._posterior.explain(points)
        covariance = self.parts.setting_covariance(self.observed.space, points, points) - half.T @ half
        return mean, _WIDER * covariance

    def predict_each(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and variance, in stars, at each point by itself: cheaper than `predict` for many points."""
        mean, half = self._posterior.explain(points)
        variances = self.parts.setting_variance - np.einsum("ij,ij->j", half, half)
        return mean, np.maximum(_WIDER * variances, _LEAST)

    def compare(self, point: Floats, other: Floats) -> Gain:
        """How much better the settings `point` are than `other`."""
        return self.compare_with(point, other[None])[0]

    def compare_with(self, point: Floats, others: Floats) -> list[Gain]:
        """How much better the settings `point` are than each of `others`, one row each."""
        mean, covariance = self.predict(np.concatenate([point[None], others]))
        estimates = mean[0] - mean[1:]
        variances = covariance[0, 0] + covariance.diagonal()[1:] - 2 * covariance[0, 1:]
        deviations = np.sqrt(np.maximum(variances, _LEAST))
        columns = (
            estimates,
            estimates - 1.96 * deviations,
            estimates + 1.96 * deviations,
            ndtr(estimates / deviations),
        )
        return [Gain(*row) for row in np.column_stack(columns).tolist()]

    def find_best(self, *, kept: Sequence[int] = (), starts: int = 8, sweeps: int = 4) -> Floats:
        """The point with the highest expected value, within what was tried.

        From the `starts` best of the points that were tried, and the best of as many combinations of the settings
        `kept` (indices), one setting after the other is improved, `sweeps` times. Those that are kept stay as they were
        tried together.
        """
        tried = np.unique(self.observed.points, axis=0)
        order = np.argsort(-self.expect(tried), kind="stable")
        _, firsts = np.unique(tried[order][:, list(kept)], axis=0, return_index=True)
        found = tried[order[np.union1d(np.arange(min(starts, len(order))), np.sort(firsts)[:starts])]]
        for _ in range(sweeps):
            for index, values in enumerate(self.observed.space.candidates(tried)):
                if index in kept:
                    continue
                options = np.repeat(found, len(values), axis=0)
                options[:, index] = np.tile(values, len(found))
                best = self.expect(options).reshape(len(found), len(values)).argmax(axis=1)
                found[:, index] = values[best]
        return np.asarray(found[int(self.expect(found).argmax())])

    def expect(self, points: Floats) -> Floats:
        """Expected stars that settings contribute at some points."""
        return self._posterior.expect(points)


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


def _search_sizes(observed: Observations, scales: Floats, middles: Floats) -> SizeSearch | None:
    """The search for the sizes of all parts; None where there are no ratings to find them from.

    `middles` has for each rating the stars of an image of average worth.
    """
    if len(observed.stars) < 2:
        return None
    rows = every(len(observed.stars), min(1.0, _FOR_SIZES / len(observed.stars)))
    images = observed.rated[rows]
    return SizeSearch(
        observed.space,
        observed.points[images],
        (observed.stars - middles)[rows],
        scales[observed.raters[rows]],
        {"prompt": observed.prompts[images], "seed": observed.seeds[images], "rater": observed.raters[rows]},
    )
