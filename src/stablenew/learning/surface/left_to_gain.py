"""What is left to gain: how much better other settings may be than the best known ones."""

from typing import Final, NamedTuple

import numpy as np

from stablenew.learning.surface.observations import Floats

_SURFACES: Final = 200
"""Surfaces that are drawn."""
_JITTER: Final = 1e-5
ENOUGH: Final = 0.07
"""Stop when less than this part of the way from average to best settings is expected to be left."""


class Left(NamedTuple):
    """What better settings than the best known may still bring."""

    stars: float
    """Expected stars between the best there is and the best known."""
    share: float
    """The same as a part of the way from average settings to the best."""

    @property
    def is_little(self) -> bool:
        """Whether one may stop."""
        return self.share < ENOUGH


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
    stars = float((highest - drawn[:, best]).mean())
    way = float(highest.mean() - spread.mean())
    return Left(stars, stars / max(way, _JITTER))
