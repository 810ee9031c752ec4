"""Drawing the next two images of a duel: at random, as alike as possible in all but what is compared.

The fairest two images differ in the compared setting only; then come those of one prompt and seed, those of one prompt,
and any two. The closest kind of pairs that is not used up is drawn from, images that were shown least
come first, and which one is on the left is drawn too.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Pair = tuple[int, int]

NO_SIDE: Final = -1
_TRIES: Final = 40
_REPEAT_SHARE: Final = 0.08
_LEAST_APART: Final = 4
"""Votes between two showings of the same images."""
_ENUMERATED: Final = 20_000


class DrawnPair(NamedTuple):
    """Two images to be compared."""

    left: int
    right: int
    match: int
    """The kind of pair: its place in `Candidates.groups`."""
    repeat: int = 0
    """How often this rater compared them before."""


@dataclass(frozen=True)
class Candidates:
    """The images that a duel is drawn from."""

    images: Sequence[int]
    sides: Codes
    """For each image its side; `NO_SIDE` where it is on none."""
    groups: Sequence[Codes]
    """For each kind of pair, the closest first, a number for each image; those of a pair have the same one."""


class PairDrawing:
    """Draws pairs of some candidates. `voted` are the images of earlier votes of this rater, the oldest first."""

    def __init__(self, candidates: Candidates, voted: Iterable[Pair], chance: random.Random) -> None:
        self._candidates = candidates
        self._chance = chance
        self._voted = [_ordered(pair) for pair in voted]
        self._used = set(self._voted)
        self._shown = Counter(image for pair in self._voted for image in pair)
        self._side_of = dict(zip(candidates.images, candidates.sides.tolist(), strict=True))

    def draw(self, sides: Iterable[Pair], excluded: Collection[Pair] = ()) -> DrawnPair | None:
        """The next pair for the first of `sides` that has one; None when all pairs were voted on.

        `excluded` are pairs that are on the screen already.
        """
        waiting = {_ordered(pair) for pair in excluded}
        if self._chance.random() < _REPEAT_SHARE and (repeat := self._draw_repeat(waiting)):
            return repeat
        for match in range(len(self._candidates.groups)):
            for first, second in sides:
                if pair := self._draw_new(match, first, second, waiting):
                    return self._placed(pair, match)
        return None

    def _placed(self, pair: Pair, match: int) -> DrawnPair:
        left, right = pair if self._chance.random() < 0.5 else pair[::-1]
        return DrawnPair(left, right, match)

    def _draw_repeat(self, waiting: Collection[Pair]) -> DrawnPair | None:
        """An earlier pair, on sides drawn again; those shown least often first."""
        counts = Counter(self._voted)
        recent = set(self._voted[-_LEAST_APART:])
        old = [pair for pair in counts if pair not in recent and pair not in waiting and self._is_known(pair)]
        if not old:
            return None
        least = min(counts[pair] for pair in old)
        pair = self._chance.choice([pair for pair in old if counts[pair] == least])
        return self._placed(pair, len(self._candidates.groups))._replace(repeat=counts[pair])

    def _is_known(self, pair: Pair) -> bool:
        sides = [self._side_of.get(image, NO_SIDE) for image in pair]
        return NO_SIDE not in sides and sides[0] != sides[1]

    def _draw_new(self, match: int, first: int, second: int, waiting: Collection[Pair]) -> Pair | None:
        groups = _Groups.of(self._candidates, match, first, second)
        if not len(groups.weights):
            return None
        taken = self._used.union(waiting)
        drawn = {groups.draw(self._chance) for _ in range(_TRIES)}
        fresh = sorted(pair for pair in drawn if _ordered(pair) not in taken)
        if not fresh:
            fresh = [pair for pair in groups.enumerate() if _ordered(pair) not in taken]
        if not fresh:
            return None
        least = min(self._times_shown(pair) for pair in fresh)
        return self._chance.choice([pair for pair in fresh if self._times_shown(pair) == least])

    def _times_shown(self, pair: Pair) -> int:
        return self._shown[pair[0]] + self._shown[pair[1]]


def _ordered(pair: Pair) -> Pair:
    return (min(pair), max(pair))


@dataclass(frozen=True)
class _Groups:
    """The images of two sides by group, where a group has images of both."""

    images: Sequence[int]
    firsts: list[Any]
    seconds: list[Any]
    weights: list[int]
    """How many pairs each group has."""

    @classmethod
    def of(cls, candidates: Candidates, match: int, first: int, second: int) -> "_Groups":
        """The groups of one kind of pair."""
        groups = candidates.groups[match]
        own, other = (np.flatnonzero((candidates.sides == side) & (groups >= 0)) for side in (first, second))
        shared = np.intersect1d(groups[own], groups[other])
        firsts, seconds = (_split(places, groups, shared) for places in (own, other))
        weights = [len(some) * len(others) for some, others in zip(firsts, seconds, strict=True)]
        return cls(candidates.images, firsts, seconds, weights)

    def draw(self, chance: random.Random) -> Pair:
        """Any pair, each as likely as the others."""
        (group,) = chance.choices(range(len(self.weights)), self.weights)
        return (
            self.images[int(chance.choice(self.firsts[group]))],
            self.images[int(chance.choice(self.seconds[group]))],
        )

    def enumerate(self) -> Iterable[Pair]:
        """Every pair, up to a number that takes no time."""
        count = 0
        for some, others in zip(self.firsts, self.seconds, strict=True):
            for first in some:
                for second in others:
                    yield self.images[int(first)], self.images[int(second)]
                    count += 1
                    if count >= _ENUMERATED:
                        return


def _split(places: Codes, groups: Codes, shared: Codes) -> list[Codes]:
    """The places of each shared group."""
    chosen = places[np.isin(groups[places], shared)]
    order = chosen[np.argsort(groups[chosen], kind="stable")]
    starts = np.searchsorted(groups[order], shared, "left")
    ends = np.searchsorted(groups[order], shared, "right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]
