"""In which order raters gave their stars, and what they said of the same images before."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.learning.dataset.columns import whole
from stablenew.learning.evidence.matched_pairs import Codes

EARLIER: Final = "earlier_ratings"
"""The column of stars that were given before others."""
FORGOTTEN: Final = 5
"""A rater gave so many other stars between two for one image: with fewer, the later ones correct the earlier ones."""


class RatingOrder(NamedTuple):
    """When stars were given: positions count what a rater said, from 0, whatever is left out afterwards."""

    positions: Codes
    """Of each rating that counts, as the `rating_` arrays of a table have them."""
    images: Codes
    """Of each earlier rating the index of its image."""
    raters: Codes
    """Of each earlier rating the index of its rater."""
    stars: Codes
    """Of each earlier rating its stars."""
    earlier_positions: Codes
    """Of each earlier rating."""


def order_ratings(rated: pa.Table, raters: Sequence[str]) -> RatingOrder:
    """The order of the ratings of some images, by the columns `ratings` and `earlier_ratings`."""
    now = _flatten_column(rated, "ratings", raters)
    before = _flatten_column(rated, EARLIER, raters)
    everything = [np.concatenate(column) for column in zip(now, before, strict=True)]
    positions = _count_each(everything[1], everything[3])
    of_now, of_before = positions[: len(now.images)], positions[len(now.images) :]
    kept = _is_forgotten(before, of_before, now, of_now)
    return RatingOrder(of_now, before.images[kept], before.raters[kept], before.stars[kept], of_before[kept])


class _Ratings(NamedTuple):
    images: Codes
    raters: Codes
    stars: Codes
    times: Codes


def _flatten_column(rated: pa.Table, name: str, raters: Sequence[str]) -> _Ratings:
    if name not in rated.column_names:
        return _Ratings(*(np.empty(0, np.int64),) * 4)
    images, entries = flatten_lists(whole(rated[name]))
    codes = pc.index_in(pc.struct_field(entries, "rater"), pa.array(raters, pa.string()))
    # A score in place of a rating is not a whole star, but then nothing was said before it.
    stars = pc.cast(pc.struct_field(entries, "rating"), pa.int64(), safe=False)
    times = pc.cast(pc.struct_field(entries, "rated_at"), pa.int64())
    columns = (pc.fill_null(column, -1).to_numpy(zero_copy_only=False) for column in (codes, stars, times))
    return _Ratings(images, *(column.astype(np.int64) for column in columns))


def _count_each(raters: Codes, times: Codes) -> Codes:
    """For each rating how many its rater gave before it."""
    order = np.lexsort((times, raters))
    ordered = raters[order]
    positions = np.empty(len(raters), np.int64)
    positions[order] = np.arange(len(raters)) - np.searchsorted(ordered, ordered)
    return positions


def _is_forgotten(before: _Ratings, positions: Codes, now: _Ratings, now_positions: Codes) -> Codes:
    """Indices of the earlier ratings that the rater could not simply remember when the next came."""
    next_of = {(image, rater): position for image, rater, position in _triples(now, now_positions)}
    kept = []
    for index in np.argsort(-positions, kind="stable").tolist():
        key = (int(before.images[index]), int(before.raters[index]))
        if next_of.get(key, -1) - int(positions[index]) > FORGOTTEN:
            kept.append(index)
            next_of[key] = int(positions[index])
    return np.array(sorted(kept), np.int64)


def _triples(ratings: _Ratings, positions: Codes) -> "zip[tuple[int, int, int]]":
    return zip(ratings.images.tolist(), ratings.raters.tolist(), positions.tolist(), strict=True)


def flatten_lists(lists: pa.ListArray) -> tuple[Codes, pa.Array]:
    """The index of the list of each entry, and all entries joined."""
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    return parents, pc.list_flatten(lists)
