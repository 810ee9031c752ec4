"""The surface given the observations: Laplace's approximation at the most probable values.

Up to `MOST_EXACT` observations exactly. Of more, the surface is expressed by its values at `INDUCING` of the settings
that images have, what these do not explain is noise of each image, and so are the effects of all prompts and seeds but
the `MOST_GROUPS` most frequent (Rasmussen and Williams, 2006, section 8.3.3).
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from stablenew.learning.surface.likelihood import Likelihood
from stablenew.learning.surface.observations import Codes, Floats, ImagesOfObservations, Observations, every
from stablenew.learning.surface.rater_habits import RaterHabits
from stablenew.learning.surface.setting_kernel import KernelParts

MOST_EXACT: Final = 500
INDUCING: Final = 200
MOST_GROUPS: Final = 150
_STEPS: Final = 60
_TOLERANCE: Final = 1e-6
_JITTER: Final = 1e-6
_LEAST: Final = 1e-12


class Posterior(Protocol):
    """What is known of the surface."""

    def expect(self, points: Floats) -> Floats:
        """Its mean at some points."""

    def explain(self, points: Floats) -> tuple[Floats, Floats]:
        """Its mean, and a matrix whose product with itself is what the observations take from the covariance."""


def find_posterior(
    observed: Observations, parts: KernelParts, scales: Floats, mean: float, habits: RaterHabits
) -> Posterior:
    """What the observations say; `scales` are those of raters, `mean` is that of all stars."""
    images = ImagesOfObservations.of(observed, scales)
    count = len(observed.stars) + len(observed.winners)
    if count <= MOST_EXACT:
        return _ExactPosterior(observed, parts, images, Likelihood.of(observed, mean, parts.noise, habits))
    return _InducedPosterior(observed, parts, images, mean, habits)


class _ExactPosterior:
    """Newton's method with step halving (Rasmussen and Williams, Gaussian Processes, 2006, algorithm 3.1)."""

    def __init__(
        self, observed: Observations, parts: KernelParts, images: ImagesOfObservations, likelihood: Likelihood
    ) -> None:
        self._observed, self._parts, self._images = observed, parts, images
        self._gradient, curvature = self._find_mode(self._covariance(), likelihood)
        self._root = np.sqrt(curvature)
        self._lower = np.linalg.cholesky(np.eye(len(curvature)) + self._root[:, None] * self._prior * self._root)

    def _covariance(self) -> Floats:
        """The prior covariance of what each rating and comparison is about."""
        observed, parts = self._observed, self._parts
        of_images = parts.image_covariance(observed.space, observed.points, observed.prompts, observed.seeds)
        covariance = self._images.between(of_images)
        count = len(observed.stars)
        covariance[:count, :count] += parts.rater * (observed.raters[:, None] == observed.raters)
        self._prior = covariance
        return covariance

    def _find_mode(self, covariance: Floats, likelihood: Likelihood) -> tuple[Floats, Floats]:
        """Gradient and negative curvature of the log-likelihood at the most probable values."""
        solution = np.zeros(len(covariance))
        values = covariance @ solution
        log, gradient, curvature = likelihood.evaluate(values)
        best = log
        for _ in range(_STEPS):
            root = np.sqrt(curvature)
            factor = cho_factor(np.eye(len(root)) + root[:, None] * covariance * root, lower=True, overwrite_a=True)
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
        return gradient, curvature

    def expect(self, points: Floats) -> Floats:
        return np.asarray(self._across(points) @ self._gradient)

    def explain(self, points: Floats) -> tuple[Floats, Floats]:
        across = self._across(points)
        half = solve_triangular(self._lower, self._root[:, None] * across.T, lower=True, check_finite=False)
        return np.asarray(across @ self._gradient), np.asarray(half)

    def _across(self, points: Floats) -> Floats:
        observed = self._observed
        return self._images.across(self._parts.setting_covariance(observed.space, points, observed.points))


@dataclass(frozen=True)
class _Groups:
    """Images by prompt or by seed: the most frequent groups have an effect that is learned."""

    columns: Codes
    """For each image the column of its group; -1 where its effect is noise."""
    count: int

    @classmethod
    def of(cls, codes: Codes) -> "_Groups":
        """The groups that `codes` name; a negative code is no group."""
        known = codes[codes >= 0]
        names, counts = np.unique(known, return_counts=True)
        kept = names[np.argsort(-counts, kind="stable")[:MOST_GROUPS]][: int(np.count_nonzero(counts > 1))]
        column_of = {name: column for column, name in enumerate(kept.tolist())}
        return cls(np.array([column_of.get(code, -1) for code in codes.tolist()], np.int64), len(kept))

    def features(self, variance: float) -> Floats:
        """One column a group."""
        found = np.zeros((len(self.columns), self.count))
        rows = np.flatnonzero(self.columns >= 0)
        found[rows, self.columns[rows]] = variance**0.5
        return found


class _InducedPosterior:
    """The same in terms of few weights, whose prior is a standard normal."""

    def __init__(
        self,
        observed: Observations,
        parts: KernelParts,
        images: ImagesOfObservations,
        mean: float,
        habits: RaterHabits,
    ) -> None:
        self._parts, self._space = parts, observed.space
        unique = np.unique(observed.points, axis=0)
        self._inducing = unique[every(len(unique), min(1.0, INDUCING / len(unique)))]
        covariance = parts.setting_covariance(observed.space, self._inducing, self._inducing)
        size = parts.setting_variance
        self._root = np.linalg.cholesky(covariance + _JITTER * size * np.eye(len(covariance)))
        settings = self._features(observed.points)
        groups = [
            (_Groups.of(codes), size)
            for codes, size in ((observed.prompts, parts.prompt), (observed.seeds, parts.seed))
        ]
        of_images = np.column_stack([settings, *(found.features(size) for found, size in groups)])
        own = np.maximum(parts.setting_variance - np.einsum("ij,ij->i", settings, settings), 0) + parts.image
        for found, size in groups:
            own += size * (found.columns < 0)
        raters = np.zeros((len(observed.stars) + len(observed.winners), int(observed.raters.max(initial=-1)) + 1))
        raters[np.arange(len(observed.stars)), observed.raters] = parts.rater**0.5
        features = np.column_stack([images.across(of_images.T).T, raters])
        likelihood = Likelihood.of(observed, mean, parts.noise, habits, images.add_variances(own))
        weights, inverse = _find_weights(features, likelihood)
        count = len(self._inducing)
        self._weights = weights[:count]
        values, vectors = np.linalg.eigh(np.eye(count) - inverse[:count, :count])
        self._learned = vectors * np.sqrt(np.maximum(values, 0))

    def _features(self, points: Floats) -> Floats:
        across = self._parts.setting_covariance(self._space, self._inducing, points)
        return np.asarray(solve_triangular(self._root, across, lower=True, check_finite=False).T)

    def expect(self, points: Floats) -> Floats:
        return np.asarray(self._features(points) @ self._weights)

    def explain(self, points: Floats) -> tuple[Floats, Floats]:
        features = self._features(points)
        return np.asarray(features @ self._weights), np.asarray((features @ self._learned).T)


def _find_weights(features: Floats, likelihood: Likelihood) -> tuple[Floats, Floats]:
    """The most probable weights and their covariance, by Newton's method with step halving."""
    weights = np.zeros(features.shape[1])
    log, gradient, curvature = likelihood.evaluate(features @ weights)
    best = log
    for _ in range(_STEPS):
        precision = features.T @ (curvature[:, None] * features) + np.eye(len(weights))
        step = cho_solve(cho_factor(precision), features.T @ gradient - weights)
        for halving in range(20):
            trial = weights + step / 2**halving
            log, gradient, curvature = likelihood.evaluate(features @ trial)
            objective = log - 0.5 * float(trial @ trial)
            if objective >= best - _TOLERANCE or halving == 19:
                break
        change, best, weights = objective - best, objective, trial
        if abs(change) < _TOLERANCE * len(features):
            break
    precision = features.T @ (curvature[:, None] * features) + np.eye(len(weights))
    return weights, np.asarray(cho_solve(cho_factor(precision), np.eye(len(weights))))
