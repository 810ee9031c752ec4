"""Evidence: which values of a setting were rated better, how sure that is, and what speaks against believing it.

Three kinds are kept apart, because they deserve different trust:

- The mean rating of images with a value: shrunken, with an interval. Other settings and prompts may be behind it.
- Matched comparisons: images of one rater that are alike in prompt and every setting but this one and the seed. A
  prompt with its settings is a stratum, and values are compared within strata. What a learning plan varied on purpose
  (controlled) is kept apart from what happened to vary (observational).
- Preferences: which of two images of that kind people preferred.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.matched_pairs import MatchedPairs, Matching, match_groups
from stablenew.learning.evidence.rating_statistics import (
    MOST_STARS,
    Difference,
    Strength,
    fit_bradley_terry,
    measure_difference,
)
from stablenew.learning.evidence.setting_factors import Factor, hash_codes
from stablenew.learning.evidence.value_evidence import ValueEvidence, build_values, pair_up, runs_behind
from stablenew.learning.evidence.value_ranges import Grouping, ValueRange, group_values, keep_values, show_number

FEW_IMAGES: Final = 10
"""Fewer rated images than this say little about a value."""
FEW_PAIRS: Final = 5
"""Fewer matched pairs than this say nothing about a difference."""
MOST_PAIRS: Final = 1_000
"""Pairs of values that are compared; where there are more, hardly any met often enough to say something."""
_ALWAYS_TOGETHER: Final = 0.95
_NOT_ALONE: Final = 0.2
_GROUPED: Final = "grouped"
_NAMED: Final = 12
"""How many values with few images a warning names."""

CONTROLLED: Final = "controlled"
OBSERVATIONAL: Final = "observational"
KINDS: Final = (CONTROLLED, OBSERVATIONAL)


@dataclass(frozen=True)
class Comparison:
    """How much better one value of the setting was than another where all else was alike."""

    value: Any
    """A value of the setting, perhaps a `ValueRange`."""
    other: Any
    """The value it is compared with."""
    kind: str
    """`controlled` or `observational`."""
    difference: Difference
    """In stars, `value` minus `other`."""
    is_of_few_prompts: bool
    """Whether seeds were compared because there are too few prompts; then it says nothing about other prompts."""
    run_ids: tuple[str, ...]
    """The runs behind it."""

    @property
    def is_enough(self) -> bool:
        """Whether there are enough matched pairs to say anything."""
        return self.difference.effective_count >= FEW_PAIRS


@dataclass(frozen=True)
class Evidence:
    """Everything known of one setting, or of a pair."""

    setting: str
    """Dotted name of the setting."""
    against: str | None
    """Dotted name of the other setting of a pair."""
    values: list[ValueEvidence]
    """Each value or pair of values, the best first."""
    comparisons: list[Comparison] = field(default_factory=list)
    """Each in both directions; empty for a pair of settings."""
    preferences: dict[Any, Strength] = field(default_factory=dict)
    """By value, how often it would be preferred."""
    preference_count: int = 0
    """Comparisons of images that differ in this setting alone."""
    unmatched_preference_count: int = 0
    """Comparisons of images that differ in more than this setting; they are not used."""
    agreement: float | None = None
    """Krippendorff's alpha of the raters; None when nobody rated the same image as another."""
    warnings: list[str] = field(default_factory=list)
    """Reasons for caution, in words."""

    @property
    def gains(self) -> list[Comparison]:
        """The comparisons with enough matched pairs, in the direction of the better value, the surest first."""
        gains = [gain for gain in self.comparisons if gain.is_enough and gain.difference.interval.estimate >= 0]
        return sorted(gains, key=lambda gain: -gain.difference.confidence)

    @property
    def preferred(self) -> list[tuple[Any, Strength]]:
        """The values that were compared, the most preferred first."""
        return sorted(self.preferences.items(), key=lambda pair: -pair[1].win_rate.estimate)


def build_evidence(
    table: EvidenceTable, setting: str, against: str | None = None, *, is_exact: bool = False
) -> Evidence:
    """The evidence for the values of a setting, or for pairs of values of two.

    Very many numbers are grouped into ranges, unless `is_exact`.

    Raises:
        ConfigError: there is no such setting.
    """
    name = table.find_setting(setting)
    grouping = _group(table, name, is_exact=is_exact)
    factor = grouping.apply(table.factors[name])
    if against is not None:
        other = table.find_setting(against)
        pairs = pair_up(factor, _group(table, other, is_exact=is_exact).apply(table.factors[other]))
        values = build_values(table, pairs)
        return Evidence(name, other, values, agreement=table.agreement, warnings=list(_warnings(pairs)))
    compared = _compare(table, name, grouping)
    strengths, matched = _preferences(table, name, grouping)
    return Evidence(
        name,
        None,
        build_values(table, factor),
        comparisons=compared.comparisons,
        preferences=strengths,
        preference_count=matched,
        unmatched_preference_count=len(table.preferences) - matched,
        agreement=table.agreement,
        warnings=[*_ranges(table, factor), *_warnings(factor), *_confounded(table, factor), *compared.warnings],
    )


def _group(table: EvidenceTable, name: str, *, is_exact: bool) -> Grouping:
    return (keep_values if is_exact else group_values)(table.factors[name])


@dataclass
class _Compared:
    """Comparisons of a setting's values with each other."""

    comparisons: list[Comparison] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _compare(table: EvidenceTable, name: str, grouping: Grouping) -> _Compared:
    found = _Compared()
    for kind in KINDS:
        matched, pair_count = _match(table, name, grouping, kind, with_seeds=False)
        by_seed = _match(table, name, grouping, kind, with_seeds=True).pairs if matched else {}
        for (code, other), pairs in matched.items():
            both = grouping.values[code], grouping.values[other]
            found.comparisons += _compare_two(table, both, kind, pairs, by_seed.get((code, other), pairs))
        if pair_count > len(matched):
            found.warnings.append(
                f"compared are the {MOST_PAIRS:,} of {pair_count:,} pairs of values that met most often"
            )
    return found


def _compare_two(
    table: EvidenceTable, both: tuple[Any, Any], kind: str, pairs: MatchedPairs, by_seed: MatchedPairs
) -> tuple[Comparison, Comparison]:
    is_of_few_prompts = len(pairs.weights) < FEW_PAIRS <= len(by_seed.weights)
    found = by_seed if is_of_few_prompts else pairs
    difference = measure_difference(found.differences, found.weights).within(-MOST_STARS, MOST_STARS)
    run_ids = runs_behind(table, found.images)
    value, other = both
    return (
        Comparison(value, other, kind, difference, is_of_few_prompts, run_ids),
        Comparison(other, value, kind, difference.reversed(), is_of_few_prompts, run_ids),
    )


def _match(table: EvidenceTable, name: str, grouping: Grouping, kind: str, *, with_seeds: bool) -> Matching:
    """The matched pairs of a setting's values. In the groups' keys its grouped value replaces the exact one first."""
    groups = table.groups[kind == CONTROLLED, with_seeds]
    exact = table.factors[name].codes[groups.images]
    groups = groups.merged(groups.keys - hash_codes(name, exact) + hash_codes(_GROUPED, grouping.of_code[exact]))
    codes = grouping.of_code[table.factors[name].codes[groups.images]]
    return match_groups(groups, groups.keys - hash_codes(_GROUPED, codes), codes.astype(np.int64), MOST_PAIRS)


def _preferences(table: EvidenceTable, name: str, grouping: Grouping) -> tuple[dict[Any, Strength], int]:
    """Strengths from comparisons of images that differ in this setting alone, and how many those are."""
    if not table.preferences:
        return {}, 0
    contexts, codes = table.compared_contexts_without(name), grouping.of_code[table.compared_codes[name]]
    matched = []
    for comparison in table.preferences:
        winner = table.compared.get(comparison["winner"])
        loser = table.compared.get(comparison["loser"])
        if winner is None or loser is None or winner == loser or comparison["outcome"] not in ("win", "tie"):
            continue
        if contexts[winner] == contexts[loser] and codes[winner] != codes[loser]:
            matched.append((codes[winner], codes[loser], 1.0 if comparison["outcome"] == "win" else 0.5))
    if not matched:
        return {}, 0
    winners, losers, points = (np.array(column) for column in zip(*matched, strict=True))
    used, indices = np.unique(np.concatenate([winners, losers]), return_inverse=True)
    half = len(matched)
    strengths = fit_bradley_terry(indices[:half], indices[half:], points.astype(float), len(used))
    return {grouping.values[code]: strength for code, strength in zip(used.tolist(), strengths, strict=True)}, half


def _ranges(table: EvidenceTable, factor: Factor) -> Iterator[str]:
    count = len(table.factors[factor.name].values)
    if any(isinstance(value, ValueRange) for value in factor.values):
        yield f"{count:,} different values, grouped into ranges of about as many images each"


def _warnings(factor: Factor) -> Iterator[str]:
    used, indices = factor.used
    if not used:
        yield "no image is rated yet"
        return
    counts = np.bincount(indices)
    thin = [_show(factor.values[code]) for code, count in zip(used, counts.tolist(), strict=True) if count < FEW_IMAGES]
    if thin:
        more = f" and {len(thin) - _NAMED:,} more" if len(thin) > _NAMED else ""
        yield f"fewer than {FEW_IMAGES} rated images: {', '.join(thin[:_NAMED])}{more}"
    if len(used) == 1:
        yield f"{factor.name} was never varied"


def _confounded(table: EvidenceTable, factor: Factor) -> Iterator[str]:
    """Values that were always used with the same value of another setting, which elsewhere had others."""
    used, indices = factor.used
    if len(used) < 2:
        return
    for other in table.factors.values():
        if other.name == factor.name or not other.is_varied:
            continue
        for index, code in enumerate(used):
            here, elsewhere = other.codes[indices == index], other.codes[indices != index]
            if len(here) < FEW_PAIRS or not len(elsewhere):
                continue
            values, counts = np.unique(here, return_counts=True)
            main = values[counts.argmax()]
            is_alone = counts.max() / len(here) >= _ALWAYS_TOGETHER
            if is_alone and (elsewhere != main).mean() >= _NOT_ALONE:
                yield (
                    f"{factor.name} {_show(factor.values[code])} was only ever used with {other.name} "
                    f"{_show(other.values[main])}: which of the two matters cannot be told from its mean"
                )


def _show(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(_show, value))
    return "unknown" if value is None else show_number(value) if isinstance(value, float) else str(value)


def to_json(value: Any) -> Any:
    """Evidence as JSON: dataclasses and named tuples as objects."""
    from dataclasses import fields, is_dataclass  # noqa: PLC0415

    if isinstance(value, str):  # most are run ids
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)):
        return {name: to_json(item) for name, item in zip(names, value, strict=True)}
    if isinstance(value, dict):
        return [{"value": key} | to_json(item) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    return value
