"""The first images of a sorted list, without sorting all of it.

The rows are looked at in blocks, in an order that is kept for all queries, until enough of them fit.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.columns.masks import Column, Mask
from stablenew.index.asking.orders import BEST, NEWEST, OLDEST, RANDOM, UNRATED, WORST

_BLOCK: Final = 1 << 15
_MAX_KEPT: Final = 4


class _Ranking(NamedTuple):
    """The rows in the order of some numbers."""

    source: object
    """What the numbers come from; another object has others."""
    ranked: Column
    """The rows that have a number, in order."""
    is_ranked: Mask


class FirstPages:
    """Looks for the first images of lists; orders are kept until the numbers that they come from change."""

    def __init__(self, table: ColumnTable) -> None:
        self._table = table
        self._rankings: dict[str, _Ranking] = {}

    def forget(self) -> None:
        """Drop the orders that no longer hold after a refresh of the table."""
        if not self._table.has_only_new_opinions:
            self._rankings.clear()
        for sort in (BEST, WORST, UNRATED):
            self._rankings.pop(sort, None)

    def find(
        self, fits: Mask, sort: str, limit: int, numbers: Callable[[], Column], source: object, *, is_of_images: bool
    ) -> Column | None:
        """The first `limit` rows that fit, each image once; None where the whole list has to be sorted.

        `numbers` are what is sorted by, ascending, NaN where unknown, by row, and come from `source`; `is_of_images`
        says whether they are equal in all places of an image.
        """
        if sort.startswith(f"{RANDOM}.") or (self._table.has_shared_images and not is_of_images):
            return None
        found: list[int] = []
        seen: set[int] = set()
        images = self._table.rows["image"]
        for block in self._iter_blocks(sort, numbers, source):
            fitting = block[fits[block]]
            for start in range(0, len(fitting), limit):
                some = fitting[start : start + limit]
                for place, image in zip(some.tolist(), images[some].tolist(), strict=True):
                    if image not in seen:
                        seen.add(image)
                        found.append(place)
                        if len(found) == limit:
                            return np.array(found, np.int64)
        return np.array(found, np.int64)

    def _iter_blocks(self, sort: str, numbers: Callable[[], Column], source: object) -> Iterator[Column]:
        if sort in (NEWEST, OLDEST):
            yield from self._by_time(is_ascending=sort == OLDEST)
            return
        ranking = self._rank(sort, numbers, source)
        if sort == UNRATED:
            yield from (block[~ranking.is_ranked[block]] for block in self._by_time())
            yield from (block[ranking.is_ranked[block]] for block in self._by_time())
            return
        yield from (ranking.ranked[start : start + _BLOCK] for start in range(0, len(ranking.ranked), _BLOCK))
        yield from (block[~ranking.is_ranked[block]] for block in self._by_time())

    def _by_time(self, *, is_ascending: bool = False) -> Iterator[Column]:
        order = self._table.row_order if is_ascending else self._table.row_order[::-1]
        return (order[start : start + _BLOCK] for start in range(0, len(order), _BLOCK))

    def _rank(self, sort: str, numbers: Callable[[], Column], source: object) -> _Ranking:
        known = self._rankings.get(sort)
        if known is None or known.source is not source:
            if len(self._rankings) >= _MAX_KEPT:
                self._rankings.clear()
            values = numbers()
            newest = self._table.row_order[::-1]
            valued = newest[~np.isnan(values[newest])]
            ranked = valued[np.argsort(values[valued], kind="stable")]
            self._rankings[sort] = _Ranking(source, ranked, ~np.isnan(values))
        return self._rankings[sort]
