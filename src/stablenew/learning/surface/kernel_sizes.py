"""How much settings, prompts, seeds and raters each contribute: the most probable sizes, given the stars.

The priors are log-normal. The optimum is found by L-BFGS with exact gradients from their means, so the result is the
same each time.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from stablenew.learning.evidence.rating_statistics import ROUNDING
from stablenew.learning.surface.setting_kernel import (
    Codes,
    Floats,
    KernelParts,
    SettingSpace,
    combine,
    distance_between,
    same_entries,
    similarity_at,
)

_MEANS: Final = tuple(np.log([0.3, 0.6, 0.1, 0.15, 0.05, 0.1, 0.7]))
"""Of alone, pairs, together, prompt, seed, rater and noise."""
_SPREADS: Final = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.4)
_SETTING_PARTS: Final = 3
_LENGTH_MEAN: Final = np.log(0.7)
_LENGTH_SPREAD: Final = 1.1
_NOTHING: Final = -12.0
_FURTHEST: Final = 3.5
"""So many spreads from its mean a size may be."""
_STEPS: Final = 60


def usual_parts(count: int) -> KernelParts:
    """What is assumed of `count` settings before anything is known."""
    return _unpack(_prior_means(count), count)


def _prior_means(count: int) -> Floats:
    return np.concatenate([np.full(count, _LENGTH_MEAN), _MEANS])


def _prior_spreads(count: int) -> Floats:
    return np.concatenate([np.full(count, _LENGTH_SPREAD), _SPREADS])


def _unpack(logs: Floats, count: int) -> KernelParts:
    values = np.exp(logs)
    return KernelParts(values[:count], *(float(value) for value in values[count:]))


class SizeSearch:
    """Ratings, as if they were not rounded, and how probable they are for given sizes."""

    def __init__(
        self, space: SettingSpace, points: Floats, stars: Floats, scales: Floats, groups: Mapping[str, Codes]
    ) -> None:
        """Search for sizes, given `stars` whose mean is zero.

        `scales` has the scale of each rating's rater; `groups` the `prompt`, `seed` and `rater` of each rating.
        """
        self._space, self._stars = space, stars
        self._count = len(space.dimensions)
        self._pairs = np.triu_indices(len(stars))
        """Matrices are symmetric: one entry for each pair of ratings is enough."""
        self._weights = np.where(self._pairs[0] == self._pairs[1], 0.5, 1.0)
        self._fixed = {name: same_entries(codes)[self._pairs] for name, codes in groups.items()}
        self._outer = (scales[:, None] * scales)[self._pairs]
        self._distances = [
            distance_between(dimension, *(points[:, index],) * 2)[self._pairs]
            for index, dimension in enumerate(space.dimensions)
        ]
        self._means, self._spreads = _prior_means(self._count), _prior_spreads(self._count)
        ends = zip(self._means, _FURTHEST * self._spreads, strict=True)
        self._bounds = [(mean - far, mean + far) for mean, far in ends]
        self._found: Floats | None = None

    def find_parts(self) -> KernelParts:
        """The most probable sizes of all parts."""
        return _unpack(self._find_best(), self._count)

    def _find_best(self) -> Floats:
        if self._found is None:
            self._found = self._minimize(self._means, self._bounds)
        return self._found

    def measure_support(self) -> float:
        """Logarithm of how many times more probable the ratings are if settings matter than if none does.

        Without settings, their sizes are held at next to nothing and the others are found again.
        """
        lengths, others = self._means[: self._count], self._count + _SETTING_PARTS
        start = np.concatenate([lengths, [_NOTHING] * _SETTING_PARTS, self._means[others:]])
        held = [(value, value) for value in start[:others]] + self._bounds[others:]
        return self._log_likelihood(self._find_best()) - self._log_likelihood(self._minimize(start, held))

    def _minimize(self, start: Floats, bounds: list[Any]) -> Floats:
        options = {"maxiter": _STEPS}
        found = minimize(self._cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return np.asarray(found.x)

    def _log_likelihood(self, logs: Floats) -> float:
        away = (logs - self._means) / self._spreads
        return 0.5 * float(away @ away) - self._cost(logs)[0]

    def _cost(self, logs: Floats) -> tuple[float, Floats]:
        """The negative logarithm of the probability of sizes, and its gradient."""
        covariance, derivatives = self._covariance(logs)
        whole = np.zeros((len(self._stars), len(self._stars)))
        whole[self._pairs] = covariance
        factor = cho_factor(whole, lower=False, overwrite_a=True, check_finite=False)
        weights = cho_solve(factor, self._stars)
        inverse = cho_solve(factor, np.eye(len(self._stars)))
        away = (logs - self._means) / self._spreads
        cost = 0.5 * self._stars @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * away @ away
        inner = (inverse - np.outer(weights, weights))[self._pairs] * self._weights
        gradient = np.array([inner @ derivative for derivative in derivatives])
        return float(cost), gradient + away / self._spreads

    def _covariance(self, logs: Floats) -> tuple[Floats, list[Floats]]:
        """The covariance of ratings, and its derivative by the logarithm of each size."""
        parts, outer, fixed = _unpack(logs, self._count), self._outer, self._fixed
        known = zip(self._space.dimensions, parts.lengths, self._distances, strict=True)
        found = [similarity_at(dimension, distance, length) for dimension, length, distance in known]
        similar = [similarity for similarity, _ in found]
        alone, pairs, together = combine(similar) if similar else (np.zeros_like(outer),) * 3
        derivatives = []
        for similarity, slope in found:
            rest = together / similarity  # never zero: lengths have bounds
            partners = (alone * self._count - similarity) * (2 / max(1, self._count * (self._count - 1)))
            weight = parts.alone / self._count + parts.pairs * partners + parts.together * rest
            derivatives.append(outer * slope * weight)
        derivatives.append(outer * parts.alone * alone)
        derivatives.append(outer * parts.pairs * pairs)
        derivatives.append(outer * parts.together * together)
        derivatives.append(outer * parts.prompt * fixed["prompt"])
        derivatives.append(outer * parts.seed * fixed["seed"])
        derivatives.append(parts.rater * fixed["rater"])
        is_same = self._pairs[0] == self._pairs[1]
        noise = (parts.noise**2 + ROUNDING) * is_same
        covariance = sum(derivatives[self._count :], noise)
        derivatives.append(2 * parts.noise**2 * is_same)
        return covariance, derivatives
