"""What is left to gain: how much better other settings may be than the best known ones."""

from typing import Final, NamedTuple

import numpy as np

from stablenew.learning.surface.observations import Floats

_SURFACES: Final = 200
"""Surfaces that are drawn."""
_JITTER: Final = 1e-5
SURE: Final = 0.9
"""The probability with which no more is left than is said."""
_UNKNOWN_SIZES: Final = 1.4
"""Surfaces are drawn as if the sizes of their parts were known, and they are not: so much more is left (measured)."""
_LOOKED_AT: Final = 1.6
"""The same of the bound: one looks at it after each round and stops at the first that is low, so it must be wider for
no more than a tenth of those who stop to have more left (measured)."""
ENOUGH: Final = 0.2
"""Stop when at most this part of the way from average to best settings is left, as far as one can be `SURE`.

With a lower limit hardly anybody is told to stop within a hundred ratings, and those who are have not come nearer:
ratings tell what is left on average, but little about the one who gave them.
"""


class Left(NamedTuple):
    """What better settings than the best known may still bring."""

    stars: float
    """Expected stars between the best there is and the best known."""
    share: float
    """The same as a part of the way from average settings to the best."""
    most: float
    """With a probability of `SURE` no larger part is left."""

    @property
    def text(self) -> str:
        """In words; a part that is larger than the whole says only that little is known."""
        if self.most > 1:
            return f"{self.stars:.2f} stars or so; there are too few ratings to say how near the best that is"
        way = f"{self.share:.0%} of the way from average to best"
        return f"{self.stars:.2f} stars, {way}, very likely at most {self.most:.0%}"

    @property
    def is_little(self) -> bool:
        """Whether so little is left that more images are not worth their time."""
        return self.most < ENOUGH


def draw_surfaces(mean: Floats, covariance: Floats, chance: np.random.Generator) -> Floats:
    """Surfaces out of all that agree with what was observed; one row each, with the worth of each point."""
    jitter = _JITTER * max(float(covariance.diagonal().max()), 1.0)
    root = np.linalg.cholesky(covariance + jitter * np.eye(len(mean)))
    drawn: Floats = mean + chance.standard_normal((_SURFACES, len(mean))) @ root.T
    return drawn


def measure_left(drawn: Floats, best: int, spread: Floats) -> Left:
    """What is between the best candidate of each surface and the one that is best by expectation.

    `spread` is what is expected of settings all over the space.
    """
    highest = drawn.max(axis=1)
    lost = highest - drawn[:, best]
    expected, most = _UNKNOWN_SIZES * float(lost.mean()), _LOOKED_AT * float(np.quantile(lost, SURE))
    way = max(float(highest.mean() - spread.mean()), _JITTER)
    return Left(expected, expected / way, most / way)
