"""Very many numbers grouped into ranges: a thousand values with two images each say nothing."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from stablenew.learning.evidence.setting_factors import Factor, sort_key

MOST_NUMBERS: Final = 24
"""Up to this many different numbers are kept apart."""
RANGES: Final = 10
"""Ranges that more numbers are grouped into."""


class ValueRange(str):
    """A range of numbers, both ends included, as the query language writes it: `5.2..6.8`."""

    __slots__ = ("low",)
    low: float

    @classmethod
    def between(cls, low: float, high: float) -> Self:
        """The range from `low` to `high`."""
        found = cls(show_number(low) if low == high else f"{show_number(low)}..{show_number(high)}")
        found.low = low
        return found


@dataclass(frozen=True)
class Grouping:
    """How the values of a setting are grouped."""

    values: list[Any]
    """Values, or ranges of them, in order."""
    of_code: npt.NDArray[np.int32]
    """For each code of the setting the index of its value in `values`."""

    def apply(self, factor: Factor) -> Factor:
        """The setting with grouped values."""
        return Factor(factor.name, self.values, self.of_code[factor.codes])


def keep_values(factor: Factor) -> Grouping:
    """Every value kept apart."""
    return Grouping(factor.values, np.arange(len(factor.values), dtype=np.int32))


def group_values(factor: Factor) -> Grouping:
    """Very many numbers in `RANGES` ranges with about as many rated images each; everything else is kept apart."""
    numbers = [code for code, value in enumerate(factor.values) if isinstance(value, (int, float))]
    if len(numbers) <= MOST_NUMBERS:
        return keep_values(factor)
    counts = np.bincount(factor.codes, minlength=len(factor.values))[numbers]
    middles = np.cumsum(counts) - counts / 2
    wanted = np.minimum(RANGES - 1, np.floor(middles / max(1, counts.sum()) * RANGES))
    _, starts, indices = np.unique(wanted, return_index=True, return_inverse=True)
    values = [factor.values[code] for code in numbers]
    ends = [*starts[1:].tolist(), len(values)]
    ranges = [ValueRange.between(values[start], values[end - 1]) for start, end in zip(starts, ends, strict=True)]
    others = [code for code in range(len(factor.values)) if code not in set(numbers)]
    of_code = np.empty(len(factor.values), np.int32)
    of_code[numbers] = indices
    of_code[others] = len(ranges) + np.arange(len(others))
    return Grouping([*ranges, *(factor.values[code] for code in others)], of_code)


def show_number(value: float) -> str:
    """A number as people write it: 7, not 7.0."""
    return str(value).removesuffix(".0")


def value_order(value: Any) -> tuple[bool, str, Any]:
    """As `sort_key`; a range is sorted by its lower end."""
    return sort_key(value.low if isinstance(value, ValueRange) else value)
