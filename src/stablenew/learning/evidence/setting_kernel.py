"""How alike two choices of settings are, and how much settings, prompts, seeds and raters each contribute.

A setting that is a number is compared by a Matérn kernel with smoothness 5/2, a word by whether it is the same. The
surface is the sum of what each setting contributes by itself and of what all contribute together: few data are enough
for the first, and the second can learn any interaction.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

UNKNOWN: Final = -1.0
"""The code of a value that is not known."""
_GRID: Final = 17
"""Values of a number that are tried in the search for the best."""
_ROOT_5: Final = 5**0.5
_EQUAL: Final = 1e-9


class Dimension(NamedTuple):
    """One setting."""

    name: str
    """Its dotted name."""
    values: tuple[Any, ...]
    """The values that were tried, in order; of a number, only its ends matter."""
    is_number: bool
    """Whether values between two that were tried make sense."""

    def encode(self, value: Any) -> float:
        """A number between 0 and 1 for a number, the index of a word, -1 for what is not known."""
        if value is None or (not self.is_number and value not in self.values):
            return UNKNOWN
        if not self.is_number:
            return float(self.values.index(value))
        low, high = self._ends
        return (float(value) - low) / (high - low)

    def decode(self, code: float) -> Any:
        """The value that `encode` gave the code for; a whole number where all that were tried are."""
        if code == UNKNOWN:
            return None
        if not self.is_number:
            return self.values[int(code)]
        low, high = self._ends
        value = low + code * (high - low)
        nearest = min(self.values, key=lambda tried: abs(tried - value))
        if abs(nearest - value) <= _EQUAL * (high - low):
            return nearest
        return round(value) if all(isinstance(tried, int) for tried in self.values) else round(value, self._digits)

    @property
    def _digits(self) -> int:
        """Decimals of a value as people choose them: about a hundred steps from end to end."""
        low, high = self._ends
        return max(0, 2 - math.floor(math.log10(2 * (high - low))))

    @property
    def _ends(self) -> tuple[float, float]:
        return float(self.values[0]), float(self.values[-1])


@dataclass(frozen=True)
class SettingSpace:
    """The settings that a surface is over."""

    dimensions: tuple[Dimension, ...]

    def encode(self, settings: Mapping[str, Any]) -> Floats:
        """A point, given values by dotted name."""
        return np.array([dimension.encode(settings.get(dimension.name)) for dimension in self.dimensions])

    def decode(self, point: Floats) -> dict[str, Any]:
        """Values by dotted name."""
        pairs = zip(self.dimensions, point.tolist(), strict=True)
        return {dimension.name: dimension.decode(code) for dimension, code in pairs}

    def candidates(self, tried: Floats) -> list[Floats]:
        """For each setting the codes to try: those that were tried, and for numbers a grid between the ends."""
        return [
            _candidates(np.unique(tried[:, index]), is_number=dimension.is_number)
            for index, dimension in enumerate(self.dimensions)
        ]

    def similarities(self, lengths: Floats, points: Floats, others: Floats) -> list[Floats]:
        """For each setting a matrix with entries from 0 to 1."""
        return [
            _similarity(dimension, length, points[:, index], others[:, index])
            for index, (dimension, length) in enumerate(zip(self.dimensions, lengths, strict=True))
        ]


def _candidates(tried: Floats, *, is_number: bool) -> Floats:
    if not is_number:
        return tried
    grid = np.linspace(0, 1, _GRID)
    return np.union1d(grid, tried if len(tried) <= _GRID else tried[tried == UNKNOWN])


def _distance(dimension: Dimension, codes: Floats, others: Floats) -> Floats:
    """Between 0 and 1; what is not known is as far as can be from what is."""
    if not dimension.is_number:
        return np.asarray(codes[:, None] != others, np.float64)
    is_unknown = (codes == UNKNOWN)[:, None] != (others == UNKNOWN)
    return np.where(is_unknown, 1.0, np.abs(codes[:, None] - others))


def _similarity(dimension: Dimension, length: float, codes: Floats, others: Floats) -> Floats:
    distance = _distance(dimension, codes, others) / length
    if not dimension.is_number:
        return np.asarray(np.exp(-distance))
    scaled = _ROOT_5 * distance
    similarity: Floats = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return similarity


@dataclass(frozen=True)
class KernelParts:
    """How much each part contributes. Variances are in squared stars."""

    lengths: Floats
    """For each setting how far it must change to matter: a long one hardly matters."""
    alone: float
    """Variance of what settings contribute one by one."""
    together: float
    """Variance of what all settings contribute together."""
    prompt: float
    """Variance between prompts."""
    seed: float
    """Variance between seeds."""
    rater: float
    """Variance between the means of raters."""
    noise: float
    """Standard deviation of a rating."""
    support: float = 0.0
    """Logarithm of how many times more probable the ratings are if settings matter than if none does; 0 if unknown."""

    @classmethod
    def usual(cls, count: int) -> "KernelParts":
        """What is assumed of `count` settings before anything is known."""
        return _unpack(_prior_means(count), count)

    def setting_covariance(self, space: SettingSpace, points: Floats, others: Floats) -> Floats:
        """The covariance of what the settings contribute at some points and at others."""
        similar = space.similarities(self.lengths, points, others)
        together = self.together * np.prod(similar, axis=0) if similar else np.zeros((len(points), len(others)))
        return np.asarray(together + self.alone * sum(similar) / max(1, len(similar)))

    def image_covariance(self, space: SettingSpace, points: Floats, prompts: Codes, seeds: Codes) -> Floats:
        """The covariance of what images are worth."""
        covariance = self.setting_covariance(space, points, points)
        covariance += self.prompt * _same(prompts)
        return np.asarray(covariance + self.seed * _same(seeds))


def _same(codes: Codes) -> Floats:
    """Where two entries are equal and known; an entry is always equal to itself."""
    same = ((codes[:, None] == codes) & (codes >= 0)[:, None]).astype(float)
    np.fill_diagonal(same, 1.0)
    return np.asarray(same)


_OTHERS: Final = ("alone", "together", "prompt", "seed", "rater", "noise")
_MEANS: Final = (np.log(0.4), np.log(0.4), np.log(0.15), np.log(0.05), np.log(0.1), np.log(0.7))
_SPREADS: Final = (1.0, 1.0, 1.0, 1.0, 1.0, 0.4)
_NOTHING: Final = -12.0
_LENGTH_MEAN: Final = np.log(0.7)
_LENGTH_SPREAD: Final = 0.8


def _prior_means(count: int) -> Floats:
    return np.concatenate([np.full(count, _LENGTH_MEAN), _MEANS])


def _prior_spreads(count: int) -> Floats:
    return np.concatenate([np.full(count, _LENGTH_SPREAD), _SPREADS])


def _unpack(logs: Floats, count: int) -> KernelParts:
    values = np.exp(logs)
    return KernelParts(values[:count], *(float(value) for value in values[count:]))


def fit_parts(
    space: SettingSpace, points: Floats, stars: Floats, scales: Floats, groups: Mapping[str, Codes]
) -> KernelParts:
    """The most probable sizes of all parts, given ratings as if they were not rounded (their mean is zero).

    `scales` has the scale of each rating's rater; `groups` the `prompt`, `seed` and `rater` of each rating. The priors
    are log-normal. The optimum is found by L-BFGS from their means, so the result is the same each time.
    """
    count = len(space.dimensions)
    means, spreads = _prior_means(count), _prior_spreads(count)
    fixed = {name: _same(codes) for name, codes in groups.items()}
    outer = scales[:, None] * scales
    distances = [_distance(dimension, *(points[:, index],) * 2) for index, dimension in enumerate(space.dimensions)]

    def objective(logs: Floats) -> tuple[float, Floats]:
        covariance, derivatives = _covariance(space, logs, distances, fixed, outer)
        factor = cho_factor(covariance, lower=True)
        weights = cho_solve(factor, stars)
        inverse = cho_solve(factor, np.eye(len(stars)))
        away = (logs - means) / spreads
        cost = 0.5 * stars @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * away @ away
        inner = inverse - np.outer(weights, weights)
        gradient = np.array([0.5 * np.sum(inner * derivative) for derivative in derivatives]) + away / spreads
        return float(cost), gradient

    bounds = [(mean - 3.5 * spread, mean + 3.5 * spread) for mean, spread in zip(means, spreads, strict=True)]
    options = {"maxiter": 60}
    found = minimize(objective, means, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    # The same without any effect of settings: their sizes are held at next to nothing, and the others found again
    start = np.concatenate([means[:count], [_NOTHING, _NOTHING], means[count + 2 :]])
    held = [*[(length, length) for length in means[:count]], *[(_NOTHING, _NOTHING)] * 2, *bounds[count + 2 :]]
    without = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=held, options=options)

    def likelihood(logs: Floats) -> float:
        away = (logs - means) / spreads
        return 0.5 * float(away @ away) - objective(logs)[0]

    return replace(_unpack(found.x, count), support=likelihood(found.x) - likelihood(without.x))


def _covariance(
    space: SettingSpace, logs: Floats, distances: Sequence[Floats], fixed: Mapping[str, Floats], outer: Floats
) -> tuple[Floats, list[Floats]]:
    """The covariance of ratings, and its derivative by the logarithm of each size."""
    parts = _unpack(logs, len(distances))
    similar, slopes = [], []
    for dimension, length, distance in zip(space.dimensions, parts.lengths, distances, strict=True):
        scaled = distance / length
        if dimension.is_number:
            step = _ROOT_5 * scaled
            decay = np.exp(-step)
            similar.append((1 + step + step**2 / 3) * decay)
            slopes.append(step**2 * (1 + step) / 3 * decay)
        else:
            similar.append(np.exp(-scaled))
            slopes.append(scaled * similar[-1])
    product = np.prod(similar, axis=0) if similar else np.zeros_like(outer)
    alone = parts.alone / max(1, len(similar))
    derivatives = []
    for index, slope in enumerate(slopes):
        others = np.prod([part for place, part in enumerate(similar) if place != index], axis=0)
        derivatives.append(outer * slope * (alone + parts.together * others))
    derivatives.append(outer * alone * sum(similar, np.zeros_like(outer)))
    derivatives.append(outer * parts.together * product)
    derivatives.append(outer * parts.prompt * fixed["prompt"])
    derivatives.append(outer * parts.seed * fixed["seed"])
    derivatives.append(parts.rater * fixed["rater"])
    noise = (parts.noise**2 + 1 / 12) * np.eye(len(outer))  # rounding to whole stars adds a twelfth
    covariance = sum(derivatives[len(slopes) :], noise)
    derivatives.append(2 * parts.noise**2 * np.eye(len(outer)))
    return covariance, derivatives
