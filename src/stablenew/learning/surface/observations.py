"""What was said of images: ratings and comparisons, as arrays."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from stablenew.learning.surface.setting_kernel import SettingSpace

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MOST_OBSERVATIONS: Final = 5_000
"""Ratings, and comparisons that count twice. More are thinned to this many, evenly among raters."""


_ROUNDING: Final = 1e-9
"""A share times a count is a whole number as far as that."""


@dataclass(frozen=True)
class Observations:
    """Ratings and comparisons of images. The arrays that describe images have one entry per image."""

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
    positions: Codes | None = None
    """For each rating how many its rater had given before; None where that is not known.

    A rater may have rated an image several times: then each time is a rating.
    """

    def pair_repeats(self) -> tuple[Codes, Codes]:
        """Indices of ratings that their rater repeated for the same image, and of the next one of each."""
        if self.positions is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        order = np.lexsort((self.positions, self.raters, self.rated))
        first, second = order[:-1], order[1:]
        is_pair = (self.rated[first] == self.rated[second]) & (self.raters[first] == self.raters[second])
        return first[is_pair], second[is_pair]

    def find_latest(self) -> Codes:
        """Indices of the ratings without those that the rater of an image repeated later."""
        return np.setdiff1d(np.arange(len(self.stars)), self.pair_repeats()[0])

    def latest(self) -> "Observations":
        """The same with the latest of each rater's ratings of an image: it is what they think now."""
        kept = self.find_latest()
        positions = None if self.positions is None else self.positions[kept]
        return replace(
            self, rated=self.rated[kept], raters=self.raters[kept], stars=self.stars[kept], positions=positions
        )

    def thinned(self) -> "Observations":
        """At most `MOST_OBSERVATIONS`, evenly chosen, and only the images that they are about."""
        count = len(self.stars) + 2 * len(self.winners)
        share = min(1.0, MOST_OBSERVATIONS / max(1, count))
        order = np.argsort(self.raters, kind="stable")
        ratings = np.sort(order[every(len(order), share)])
        pairs = every(len(self.winners), share)
        rated, winners, losers = self.rated[ratings], self.winners[pairs], self.losers[pairs]
        used = np.unique(np.concatenate([rated, winners, losers]))
        rated, winners, losers = (np.searchsorted(used, images) for images in (rated, winners, losers))
        return Observations(
            self.space, self.points[used], self.prompts[used], self.seeds[used],
            rated, self.raters[ratings], self.stars[ratings], winners, losers, self.points_won[pairs],
            None if self.positions is None else self.positions[ratings],
        )  # fmt: skip


def every(count: int, share: float) -> Codes:
    """Indices of about that share of `count` entries, evenly spread; at least one of any."""
    wanted = min(count, max(1, int(count * share + _ROUNDING)))
    return np.arange(wanted, dtype=np.int64) * count // max(1, wanted)  # in whole numbers, so none is past the end


@dataclass(frozen=True)
class ImagesOfObservations:
    """Which images each observation is about: `scale * image` for a rating, `winner - loser` for a comparison."""

    first: Codes
    second: Codes
    """-1 for a rating."""
    scale: Floats

    @classmethod
    def of(cls, observed: Observations, scales: Floats) -> "ImagesOfObservations":
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

    def add_variances(self, own: Floats) -> Floats:
        """The variance of each observation, given what each image has by itself."""
        second = np.where(self.second >= 0, own[self.second], 0.0)
        return np.asarray(self.scale**2 * own[self.first] + second)
