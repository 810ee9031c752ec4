"""Seeds in two columns: they may need more than 64 bits, so what is above the lowest 32 is a number of its own."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from stablenew.formats.query_language import Range
from stablenew.index.asking.columns.arrays import Arrays
from stablenew.index.asking.columns.masks import Column, Mask, iter_blocks
from stablenew.index.stored_values import read_seed

SEED_BITS: Final = 32
_MASK: Final = (1 << SEED_BITS) - 1


def seed_columns(stored: list[Any]) -> dict[str, Column]:
    """The two columns of seeds, as the index stores them."""
    seeds = [read_seed(seed) for seed in stored]
    return {
        "seed_high": np.array([np.nan if seed is None else float(seed >> SEED_BITS) for seed in seeds], np.float64),
        "seed_low": np.array([0 if seed is None else seed & _MASK for seed in seeds], np.uint32),
    }


def join_seed(high: float, low: float) -> int:
    """The seed of which these are the two parts."""
    return (int(high) << SEED_BITS) + int(low)


def find_seeds(rows: Arrays, ranges: Sequence[Range]) -> Mask:
    """The rows whose seed lies in one of `ranges`."""
    mask = np.zeros(rows.count, np.bool_)
    for span in ranges:
        if isinstance(span.single, int):
            high, low = _split_seed(span.single)
            found = np.flatnonzero(rows["seed_low"] == low)
            mask[found[rows.at("seed_high", found) == high]] = True
            continue
        for block in iter_blocks(rows.count):
            mask[block] |= _seeds_in_range(rows.at("seed_high", block), rows.at("seed_low", block), span)
    return mask


def _seeds_in_range(highs: Column, lows: Column, span: Range) -> Mask:
    test: Mask = ~np.isnan(highs)
    if span.low is not None:
        high, low = _split_seed(span.low)
        test &= (highs > high) | ((highs == high) & (lows > low if span.is_low_open else lows >= low))
    if span.high is not None:
        high, low = _split_seed(span.high)
        test &= (highs < high) | ((highs == high) & (lows < low if span.is_high_open else lows <= low))
    return test


def _split_seed(bound: float) -> tuple[float, float]:
    """A number as the two of a seed: divided by 2^32, and what is left."""
    if isinstance(bound, int):
        return float(bound >> SEED_BITS), float(bound & _MASK)
    if not math.isfinite(bound):
        return bound, 0.0
    high = float(math.floor(bound / (_MASK + 1)))
    return high, bound - high * (_MASK + 1)
