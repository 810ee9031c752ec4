"""How images with each value of a setting, or with each pair of values of two settings, were rated.

Other settings and prompts may be behind it: see `evidence`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.matched_pairs import Codes
from stablenew.learning.evidence.rating_statistics import (
    MOST_STARS,
    Interval,
    count_stars,
    measure_groups,
    shrink_means,
)
from stablenew.learning.evidence.setting_factors import Factor, used_codes
from stablenew.learning.evidence.value_ranges import group_values


@dataclass(frozen=True)
class ValueEvidence:
    """How images with one value, or one pair of values, were rated."""

    value: Any
    """The value, perhaps a `ValueRange`; for two settings a list of both values."""
    image_count: int
    """Rated images with the value."""
    controlled_count: int
    """Those of them that a learning plan made."""
    stars: list[int]
    """How many images have each number of stars from 0 to 5."""
    raw_mean: float
    """Mean of their stars."""
    mean: Interval
    """The shrunken mean, which is to be trusted more."""
    run_ids: tuple[str, ...]
    """The runs behind it."""


def build_values(table: EvidenceTable, factor: Factor, rows: Codes | None = None) -> list[ValueEvidence]:
    """How images (those of `rows`, or all) with each value of a factor were rated, the best first."""
    used, indices = factor.used if rows is None else used_codes(factor.codes[rows])
    rows = np.arange(len(table.stars)) if rows is None else rows
    if not used:
        return []
    stars = table.stars[rows]
    groups = measure_groups(stars, indices, table.families[rows], len(used))
    means = shrink_means(groups)
    found = []
    by_value = np.split(np.argsort(indices, kind="stable"), np.cumsum(groups.counts)[:-1])
    for index, (code, here) in enumerate(zip(used, by_value, strict=True)):
        found.append(
            ValueEvidence(
                value=factor.values[code],
                image_count=len(here),
                controlled_count=int(table.is_controlled[rows[here]].sum()),
                stars=count_stars(stars[here]),
                raw_mean=float(groups.means[index]),
                mean=means[index].within(0.0, MOST_STARS),
                run_ids=runs_behind(table, rows[here]),
            )
        )
    return sorted(found, key=lambda evidence: -evidence.mean.estimate)


def build_cells(table: EvidenceTable, setting: str, against: str, most: int) -> list[ValueEvidence]:
    """How images with each pair of values of two settings were rated, of the `most` used values of each setting.

    Very many numbers are grouped into ranges.
    """
    first, second = (group_values(factor).apply(factor) for factor in (table.factors[setting], table.factors[against]))
    rows = np.flatnonzero(_is_common(first, most) & _is_common(second, most))
    return build_values(table, pair_up(first, second), rows)


def _is_common(factor: Factor, most: int) -> npt.NDArray[np.bool_]:
    """Whether each image has one of the `most` used values."""
    counts = np.bincount(factor.codes, minlength=len(factor.values))
    is_common = np.zeros(len(counts), bool)
    is_common[np.argsort(-counts, kind="stable")[:most]] = True
    return is_common[factor.codes]


def pair_up(first: Factor, second: Factor) -> Factor:
    """Two settings as one factor, whose values are lists of both."""
    width = max(1, len(second.values))
    used, codes = np.unique(first.codes.astype(np.int64) * width + second.codes, return_inverse=True)
    values = [[first.values[code // width], second.values[code % width]] for code in used.tolist()]
    return Factor(f"{first.name} and {second.name}", values, codes.astype(np.int32))


def runs_behind(table: EvidenceTable, images: Codes) -> tuple[str, ...]:
    """The runs that made these images, in order."""
    used = np.unique(table.runs[images])
    return tuple([table.run_ids[code] for code in used.tolist()])
