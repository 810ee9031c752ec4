"""Which points to look at together, so that the settings that are best by expectation afterwards are as good as can be.

The knowledge gradient of a batch (Frazier, Powell and Dayanik, The Knowledge-Gradient Policy for Correlated Normal
Beliefs, 2009; for batches Wu and Frazier, 2016), chosen one point after the other.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stablenew.learning.surface.observations import Floats

Flags = npt.NDArray[np.bool_]

_FUTURES: Final = 16
"""What the points before may turn out to be, drawn so often."""
_AHEAD: Final = 4
"""Points are valued as if they were rated so often: what a batch begins, others go on with, and what a single rating
teaches is often next to nothing for all points (Frazier and Powell, Paradoxes in Learning, 2010)."""
_NEARLY: Final = 0.8
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_SHARES: Final = _WEIGHTS / _WEIGHTS.sum()


class Choice(NamedTuple):
    """A batch."""

    picks: tuple[int, ...]
    """Indices of the points."""
    value: float
    """By so many stars the best by expectation is expected to be better afterwards."""


def choose_batch(
    mean: Floats, covariance: Floats, noise: Floats, size: int, chance: np.random.Generator, free: Flags | None = None
) -> Choice:
    """The `size` points that teach most, none twice.

    `noise` is the variance of a rating of each point; `free` marks points that cost nothing, which are taken where they
    teach nearly as much as others.
    """
    noise = noise / _AHEAD
    means, left = np.tile(mean, (_FUTURES, 1)), covariance.copy()
    discount = np.ones(len(mean)) if free is None else np.where(free, 1.0, _NEARLY)
    picks: list[int] = []
    value = 0.0
    for _ in range(min(size, len(mean))):
        slopes = left / np.sqrt(left.diagonal() + noise)
        values = _value_of_each(means if picks else means[:1], slopes) - float(mean.max())
        wanted = values * discount
        wanted[picks] = -np.inf
        pick = int(wanted.argmax())
        picks.append(pick)
        value = float(values[pick])
        means = means + chance.standard_normal((_FUTURES, 1)) * slopes[:, pick]
        left = left - np.outer(left[:, pick], left[:, pick]) / (left[pick, pick] + noise[pick])
    return Choice(tuple(picks), max(0.0, value))


def _value_of_each(means: Floats, slopes: Floats) -> Floats:
    """For each point the expected highest mean after a look at it. Column j of `slopes` is what a look at j moves."""
    values = np.zeros(slopes.shape[1])
    for future in means:
        for node, share in zip(_NODES, _SHARES, strict=True):
            values += share * (future[:, None] + node * slopes).max(axis=0)
    return values / len(means)
