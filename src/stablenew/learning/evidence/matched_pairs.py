"""Matched pairs: ratings by one rater of images that are alike in everything but one setting.

Ratings that are alike in everything form a group. Groups that are alike in everything but the setting form a stratum,
and each pair of groups in a stratum says how much better one value of the setting was than another, there. Pure, on
plain arrays.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


class RatingGroups(NamedTuple):
    """Ratings that are alike in everything. Except for `members`, each array has one entry a group."""

    keys: Keys
    """Names each group; no two are equal."""
    images: Codes
    """One image of each group."""
    counts: Codes
    """Ratings in each group."""
    means: Floats
    """Mean stars of each group."""
    members: Codes
    """The image of every rating, group after group."""
    starts: Codes
    """Index in `members` of the first rating of each group."""

    def images_of(self, groups: Codes) -> Codes:
        """The images behind some of the groups."""
        counts = self.counts[groups]
        return np.take(self.members, np.repeat(self.starts[groups], counts) + _count_up(counts))

    def merged(self, keys: Keys) -> "RatingGroups":
        """Groups with equal `keys` as one group."""
        return group_ratings(np.repeat(keys, self.counts), self.members, np.repeat(self.means, self.counts))


class MatchedPairs(NamedTuple):
    """Where two values of a setting were rated in the same stratum. `images` apart, one entry per pair of groups."""

    differences: Floats
    """Mean stars of the first value minus those of the second."""
    weights: Floats
    """`n m / (n + m)` for means of n and m ratings."""
    images: Codes
    """The images behind all pairs; an image can occur more than once."""


def group_ratings(keys: Keys, images: Codes, stars: Floats) -> RatingGroups:
    """Ratings grouped by key. The three arrays have one entry a rating."""
    order = np.argsort(keys, kind="stable")
    starts = _starts(keys[order])
    counts = np.diff(starts, append=len(order))
    means = np.add.reduceat(stars[order], starts) / counts if len(order) else np.empty(0)
    members = images[order]
    return RatingGroups(keys[order][starts], members[starts], counts, means, members, starts)


class Matching(NamedTuple):
    """All matched pairs of a setting's values."""

    pairs: dict[tuple[int, int], MatchedPairs]
    """By the codes of both values, the lower code first; only the pairs of values that met most often."""
    pair_count: int
    """How many pairs of values met at all."""


def match_groups(groups: RatingGroups, strata: Keys, codes: Codes, most: int) -> Matching:
    """The matched pairs of at most `most` pairs of values.

    `strata` gives for each group what it is alike in apart from the setting, and `codes` its value of the setting; no
    two groups have both in common.
    """
    first, second = _pair_up(strata)
    is_swapped = codes[first] > codes[second]
    first, second = np.where(is_swapped, second, first), np.where(is_swapped, first, second)
    differences = groups.means[first] - groups.means[second]
    counts = groups.counts.astype(np.float64)
    weights = counts[first] * counts[second] / (counts[first] + counts[second])
    width = int(codes.max(initial=0)) + 1
    pair_count, largest = _largest_sets(codes[first] * width + codes[second], most)
    pairs = {}
    for pair, rows in largest:
        both = np.unique(np.concatenate([first[rows], second[rows]]))
        pairs[divmod(pair, width)] = MatchedPairs(differences[rows], weights[rows], groups.images_of(both))
    return Matching(pairs, pair_count)


def _pair_up(keys: Keys) -> tuple[Codes, Codes]:
    """Every pair of entries with equal keys: the indices of the first and of the second."""
    order = np.argsort(keys, kind="stable")
    sizes = np.diff(_starts(keys[order]), append=len(order))
    order, sizes = order[np.repeat(sizes > 1, sizes)], sizes[sizes > 1]
    partners = np.repeat(np.cumsum(sizes), sizes) - 1 - np.arange(len(order))
    firsts = np.repeat(np.arange(len(order)), partners)
    return order[firsts], order[firsts + 1 + _count_up(partners)]


def _largest_sets(codes: Codes, most: int) -> tuple[int, list[tuple[int, Codes]]]:
    """How many different codes there are, and for the `most` frequent ones, in order, where each occurs."""
    order = np.argsort(codes, kind="stable")
    starts = _starts(codes[order])
    ends = np.append(starts[1:], len(order))
    chosen = np.sort(np.argsort(starts - ends, kind="stable")[:most])
    found = [(int(codes[order[starts[index]]]), order[starts[index] : ends[index]]) for index in chosen]
    return len(starts), found


def _starts(ordered: npt.NDArray[np.int64] | Keys) -> Codes:
    """Where each run of equal entries begins in a sorted array."""
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _count_up(counts: Codes) -> Codes:
    """From 0 up to each count, joined: 0, 1, 2, 0, 1 for 3 and 2."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
