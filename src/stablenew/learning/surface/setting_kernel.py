"""How alike two choices of settings are, and how much settings, prompts, seeds and raters each contribute.

A setting that is a number is compared by a Matérn kernel with smoothness 5/2, a word by whether it is the same. The
surface is the sum of what each setting contributes by itself and of what all contribute together: few data are enough
for the first, and the second can learn any interaction.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stablenew.formats.settings import find_setting

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
        if not self._is_whole:
            return round(value, self._digits)
        return int(min(max(round(value / self._step) * self._step, low), high))

    def snap(self, codes: Floats) -> Floats:
        """The codes of the values that `decode` gives for these."""
        if not self.is_number:
            return codes
        low, high = self._ends
        values = low + codes * (high - low)
        step = self._step
        rounded = np.round(values / step) * step if self._is_whole else np.round(values, self._digits)
        snapped = (rounded - low) / (high - low)
        return np.where(codes == UNKNOWN, UNKNOWN, np.clip(snapped, 0, 1))

    @property
    def _is_whole(self) -> bool:
        return all(isinstance(tried, int) for tried in self.values)

    @property
    def _step(self) -> int:
        setting = find_setting(self.name.rpartition(".")[2])
        return setting.step if setting is not None else 1

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

    def snap(self, points: Floats) -> Floats:
        """The points with settings as people choose them."""
        columns = [dimension.snap(points[:, index]) for index, dimension in enumerate(self.dimensions)]
        return np.column_stack(columns) if columns else points

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


def distance_between(dimension: Dimension, codes: Floats, others: Floats) -> Floats:
    """Between 0 and 1; what is not known is as far as can be from what is."""
    if not dimension.is_number:
        return np.asarray(codes[:, None] != others, np.float64)
    is_unknown = (codes == UNKNOWN)[:, None] != (others == UNKNOWN)
    return np.where(is_unknown, 1.0, np.abs(codes[:, None] - others))


def _similarity(dimension: Dimension, length: float, codes: Floats, others: Floats) -> Floats:
    return similarity_at(dimension, distance_between(dimension, codes, others), length)[0]


def similarity_at(dimension: Dimension, distance: Floats, length: float) -> tuple[Floats, Floats]:
    """How alike values at a distance are, and the derivative of that by the logarithm of the length."""
    if not dimension.is_number:
        least = math.exp(-1 / length)  # distances of words are 0 or 1
        return np.where(distance > 0, least, 1.0), (least / length) * distance
    step = (_ROOT_5 / length) * distance
    decay = np.exp(-step)
    square = step * step
    return (1 + step + square / 3) * decay, square * (1 + step) * (decay / 3)


@dataclass(frozen=True)
class KernelParts:
    """How much each part contributes. Variances are in squared stars."""

    lengths: Floats
    """For each setting how far it must change to matter: a long one hardly matters."""
    alone: float
    """Variance of what settings contribute one by one."""
    pairs: float
    """Variance of what settings contribute two by two."""
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
    image: float = 0.0
    """Variance between images that are alike in settings, prompt and seed."""

    def setting_covariance(self, space: SettingSpace, points: Floats, others: Floats) -> Floats:
        """The covariance of what the settings contribute at some points and at others."""
        similar = space.similarities(self.lengths, points, others)
        if not similar:
            return np.zeros((len(points), len(others)))
        alone, pairs, together = combine(similar)
        return np.asarray(self.alone * alone + self.pairs * pairs + self.together * together)

    @property
    def setting_variance(self) -> float:
        """How much all settings contribute, as a variance."""
        return self.alone + self.pairs + self.together

    def image_covariance(self, space: SettingSpace, points: Floats, prompts: Codes, seeds: Codes) -> Floats:
        """The covariance of what images are worth."""
        covariance = self.setting_covariance(space, points, points)
        covariance += self.prompt * same_entries(prompts)
        covariance += self.seed * same_entries(seeds)
        covariance[np.diag_indices_from(covariance)] += self.image
        return np.asarray(covariance)


def combine(similar: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """How alike points are one setting at a time, two at a time, and in all together; each is 1 for equal points."""
    total, squares, product = similar[0].copy(), similar[0] ** 2, similar[0].copy()
    for part in similar[1:]:  # much faster than to stack them
        total += part
        squares += part * part
        product *= part
    count = len(similar)
    return total / count, (total * total - squares) / max(1, count * (count - 1)), product


def same_entries(codes: Codes) -> Floats:
    """Where two entries are equal and known; an entry is always equal to itself."""
    same = ((codes[:, None] == codes) & (codes >= 0)[:, None]).astype(float)
    np.fill_diagonal(same, 1.0)
    return np.asarray(same)
