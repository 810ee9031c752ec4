"""Matched places: where one rater rated images that are alike in all but one setting.

Ratings that are alike in everything are a cell. Cells that are alike in all but the setting are a place, and each pair
of them says how much better one value was than the other there. Pure, on plain arrays.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


class Cells(NamedTuple):
    """Ratings that are alike in everything, an entry for each such group of them."""

    keys: Keys
    """Different for each."""
    images: Codes
    """One image of each."""
    counts: Codes
    """Ratings."""
    means: Floats
    """Of their stars."""
    members: Codes
    """The image of each rating, those of a cell next to each other, ..."""
    starts: Codes
    """... and where those of each begin."""

    def images_of(self, cells: Codes) -> Codes:
        """The images behind some of the cells."""
        counts = self.counts[cells]
        return np.take(self.members, np.repeat(self.starts[cells], counts) + _count_up(counts))

    def merged(self, keys: Keys) -> "Cells":
        """Those with the same of these keys as one."""
        return gather_cells(np.repeat(keys, self.counts), self.members, np.repeat(self.means, self.counts))


class Places(NamedTuple):
    """Where two values of a setting met: the first two have an entry for each place."""

    differences: Floats
    """Mean stars of the one value over the other."""
    weights: Floats
    """`n m / (n + m)` for means of n and m ratings."""
    images: Codes
    """The images behind it, perhaps more than once."""


def gather_cells(keys: Keys, images: Codes, stars: Floats) -> Cells:
    """The cells of ratings, given for each of these what it is alike in, its image, and its stars."""
    order = np.argsort(keys, kind="stable")
    starts = _starts(keys[order])
    counts = np.diff(starts, append=len(order))
    means = np.add.reduceat(stars[order], starts) / counts if len(order) else np.empty(0)
    members = images[order]
    return Cells(keys[order][starts], members[starts], counts, means, members, starts)


class Matches(NamedTuple):
    """Where values of a setting met."""

    places: dict[tuple[int, int], Places]
    """By the codes of both values, the lower one first."""
    pair_count: int
    """How many pairs of values met; those in `places` met most often."""


def match_cells(cells: Cells, place_keys: Keys, codes: Codes, most: int) -> Matches:
    """The places where two values met, of at most `most` pairs of values.

    `place_keys` says for each cell what it is alike in but for the setting, `codes` which value of that it has; no two
    cells have both the same.
    """
    one, other = _pair_up(place_keys)
    is_swapped = codes[one] > codes[other]
    one, other = np.where(is_swapped, other, one), np.where(is_swapped, one, other)
    differences = cells.means[one] - cells.means[other]
    counts = cells.counts.astype(np.float64)
    weights = counts[one] * counts[other] / (counts[one] + counts[other])
    width = int(codes.max(initial=0)) + 1
    pairs, groups = _largest_groups(codes[one] * width + codes[other], most)
    found = {}
    for pair, rows in groups:
        both = np.unique(np.concatenate([one[rows], other[rows]]))
        found[divmod(pair, width)] = Places(differences[rows], weights[rows], cells.images_of(both))
    return Matches(found, pairs)


def _pair_up(keys: Keys) -> tuple[Codes, Codes]:
    """Every pair of entries that have one key: the place of the one, and of the other."""
    order = np.argsort(keys, kind="stable")
    sizes = np.diff(_starts(keys[order]), append=len(order))
    order, sizes = order[np.repeat(sizes > 1, sizes)], sizes[sizes > 1]
    partners = np.repeat(np.cumsum(sizes), sizes) - 1 - np.arange(len(order))
    ones = np.repeat(np.arange(len(order)), partners)
    return order[ones], order[ones + 1 + _count_up(partners)]


def _largest_groups(codes: Codes, most: int) -> tuple[int, list[tuple[int, Codes]]]:
    """How many codes there are; those that come most often, in order, and where each is."""
    order = np.argsort(codes, kind="stable")
    starts = _starts(codes[order])
    ends = np.append(starts[1:], len(order))
    chosen = np.sort(np.argsort(starts - ends, kind="stable")[:most])
    found = [(int(codes[order[starts[one]]]), order[starts[one] : ends[one]]) for one in chosen]
    return len(starts), found


def _starts(ordered: npt.NDArray[np.int64] | Keys) -> Codes:
    """Where in an ordered array something else begins."""
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def _count_up(counts: Codes) -> Codes:
    """From 0 up to each count, one after the other: 0, 1, 2, 0, 1 for 3 and 2."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
