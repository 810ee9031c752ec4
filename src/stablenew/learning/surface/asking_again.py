"""Which images to show a rater again, to find out how consistent their stars are."""

from typing import Final

import numpy as np

from stablenew.learning.surface.observations import Codes
from stablenew.learning.surface.preference_model import Surface

FEWEST_BEFORE: Final = 12
"""With fewer ratings nothing is asked again."""
_SHARE: Final = 0.1
"""The part of a rater's ratings that shall be of images rated before."""
_MOST: Final = 2
"""At once."""


def choose_again(surface: Surface, rater: int) -> Codes:
    """Indices of images: of those that the rater gave stars once, in the older half of the ratings, the best.

    Half of what was said is long enough ago to be forgotten and to show a drift; the best images are those that it
    matters most to judge well. None where enough were rated again, or the order of ratings is not known.
    """
    observed = surface.all_ratings
    own = np.flatnonzero(observed.raters == rater)
    wanted = min(_MOST, int(len(own) * _SHARE) - int(surface.habits.repeat_counts[rater]))
    if observed.positions is None or len(own) < FEWEST_BEFORE or wanted < 1:
        return np.empty(0, np.int64)
    images, counts = np.unique(observed.rated[own], return_counts=True)
    is_old = observed.positions[own] < np.median(observed.positions[own])
    found = np.intersect1d(images[counts == 1], observed.rated[own[is_old]])
    return np.asarray(found[np.argsort(-surface.expect(observed.points[found]), kind="stable")[:wanted]])
