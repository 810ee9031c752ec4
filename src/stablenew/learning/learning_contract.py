"""The learning contract: what a program that learns from runs offers to whoever asks for better settings.

Four functions, a typed protocol. Answers carry counts, intervals and the runs behind them, and say "not enough
evidence" where that is so. Nothing is ever applied by itself. A third party plugs its own proposer in by an entry point
of the group `stablenew.proposers`: a callable that takes a `Dataset` and gives a `LearningContract`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

import numpy as np

from stablenew.errors import ConfigError
from stablenew.learning.dataset.columns import stage_model
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.evidence import KINDS, Comparison, build_evidence
from stablenew.learning.evidence.evidence_table import (
    EvidenceTable,
    Factor,
    find_setting,
    most_used,
    read_evidence_table,
)
from stablenew.learning.evidence.rating_statistics import CONFIDENCE, Interval
from stablenew.learning.evidence.value_evidence import build_values

GROUP: Final = "stablenew.proposers"
BUILT_IN: Final = "evidence"
NOT_ENOUGH: Final = "not enough evidence"


@dataclass(frozen=True)
class SettingLimits:
    """The type of a setting, its lowest and highest value or its choices, and its default."""

    type: str
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()
    default: Any = None


def limits_of(name: str) -> SettingLimits:
    """The limits of a setting, given its dotted name."""
    stage, _, key = name.partition(".")
    schema = stage_model(stage).model_json_schema(by_alias=False)["properties"].get(key)
    if schema is None:
        return SettingLimits("number")
    default = schema.get("default")
    schema = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
    return SettingLimits(
        _TYPES.get(schema.get("type"), "text"),
        _first(schema, "minimum", "exclusiveMinimum", "ge", "gt"),
        _first(schema, "maximum", "exclusiveMaximum", "le", "lt"),
        tuple(schema.get("enum", ())),
        default,
    )


def _first(schema: dict[str, Any], *keys: str) -> Any:
    """What stands under the first of `keys` that is there; pydantic leaves some bounds under their Python names."""
    return next((schema[key] for key in keys if key in schema), None)


@dataclass(frozen=True)
class Modifier:
    """A setting that could be learned about."""

    name: str
    values_seen: tuple[Any, ...]
    rated_image_count: int
    is_varied: bool


@dataclass(frozen=True)
class ModifierRange:
    """What a setting may be, and what it was."""

    name: str
    limits: SettingLimits
    lowest_seen: float | None
    highest_seen: float | None
    values_seen: tuple[Any, ...]


@dataclass(frozen=True)
class BestDefault:
    """The value of a setting that the evidence speaks for, or the one that is used, if it speaks for none."""

    name: str
    value: Any
    is_supported: bool
    reason: str
    """In words; "not enough evidence" and why, where that is so."""
    mean: Interval | None
    image_count: int
    run_ids: tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """One setting that might be changed, and why. Nobody applies it but you."""

    name: str
    current: Any
    proposed: Any
    """None where there is nothing to propose."""
    is_supported: bool
    reason: str
    gain: Interval | None
    """In stars, proposed over current, where all else was alike."""
    confidence: float | None
    """That proposed is better than current, allowing for how many values were tried."""
    kind: str | None
    """`controlled` or `observational`."""
    place_count: int
    run_ids: tuple[str, ...]


class LearningContract(Protocol):
    """What consumers rely on."""

    def get_available_modifiers(self) -> Sequence[Modifier]:
        """The settings that the runs used."""

    def get_modifier_ranges(self) -> Mapping[str, ModifierRange]:
        """What each of them may be, and was."""

    def get_current_best_defaults(self) -> Mapping[str, BestDefault]:
        """For each the value that the evidence speaks for."""

    def propose_new_defaults(
        self, dataset: Dataset | None = None, current: Mapping[str, Any] | None = None
    ) -> Sequence[Proposal]:
        """For each varied setting whether another value than the `current` one would be better.

        `dataset` is another one than the contract was made for; `current` holds values by dotted name, by default the
        ones that most rated images had.
        """


class EvidenceContract:
    """The built-in contract: matched comparisons decide, means do not."""

    def __init__(self, dataset: Dataset | EvidenceTable) -> None:
        self._table = dataset if isinstance(dataset, EvidenceTable) else read_evidence_table(dataset)

    def get_available_modifiers(self) -> list[Modifier]:
        """The settings that rated images know of, the varied ones first."""
        factors = [one for one in self._table.factors.values() if _values_seen(one)]
        found = [
            Modifier(one.name, _values_seen(one), int(_is_known(one).sum()), len(_values_seen(one)) > 1)
            for one in factors
        ]
        return sorted(found, key=lambda one: (not one.is_varied, -one.rated_image_count))

    @property
    def varied_settings(self) -> list[str]:
        """Names of the settings that rated images differ in, those known of most images first."""
        return [one.name for one in self.get_available_modifiers() if one.is_varied]

    def get_modifier_ranges(self) -> dict[str, ModifierRange]:
        """What each setting may be by its format, and what it was in rated images."""
        ranges = {}
        for factor in self._table.factors.values():
            seen = _values_seen(factor)
            numbers = [one for one in seen if isinstance(one, (int, float)) and not isinstance(one, bool)]
            ranges[factor.name] = ModifierRange(
                factor.name,
                limits_of(factor.name),
                min(numbers, default=None),
                max(numbers, default=None),
                seen,
            )
        return ranges

    def get_current_best_defaults(self) -> dict[str, BestDefault]:
        """For each setting that rated images know of, the value to use."""
        used = most_used(self._table)
        proposals = {one.name: one for one in self.propose_new_defaults(current=used)}
        names = [one.name for one in self.get_available_modifiers()]
        return {name: self._best(name, used[name], proposals.get(name)) for name in names}

    def _best(self, name: str, used: Any, proposal: Proposal | None) -> BestDefault:
        is_changed = proposal is not None and proposal.proposed is not None
        value = proposal.proposed if proposal is not None and is_changed else used
        known = {_key(one.value): one for one in build_values(self._table, self._table.factors[name])}
        found = known.get(_key(value))
        return BestDefault(
            name,
            value,
            proposal is not None and proposal.is_supported,
            proposal.reason if proposal is not None else f"{NOT_ENOUGH}: {name} was never varied",
            found.mean if found else None,
            found.image_count if found else 0,
            found.run_ids if found else (),
        )

    def propose_new_defaults(
        self, dataset: Dataset | None = None, current: Mapping[str, Any] | None = None
    ) -> list[Proposal]:
        """One answer for each varied setting; see `LearningContract`.

        Raises:
            ConfigError: `current` names a setting that does not exist.
        """
        table = self._table if dataset is None else read_evidence_table(dataset)
        used = dict(most_used(table)) | {find_setting(name): value for name, value in (current or {}).items()}
        varied = [factor for factor in table.factors.values() if len(_values_seen(factor)) > 1]
        return [_propose(table, factor, used[factor.name]) for factor in varied]


def _is_known(factor: Factor) -> Any:
    known = [code for code, value in enumerate(factor.values) if value is not None]
    return np.isin(factor.codes, known)


def _values_seen(factor: Factor) -> tuple[Any, ...]:
    used = set(factor.used[0])
    return tuple(value for code, value in enumerate(factor.values) if code in used and value is not None)


def _key(value: Any) -> tuple[str, Any]:
    if isinstance(value, (bool, str)) or value is None:
        return (type(value).__name__, value)
    return ("number", float(value))


def _propose(table: EvidenceTable, factor: Factor, current: Any) -> Proposal:
    evidence = build_evidence(table, factor.name, is_exact=True)  # what is proposed is a value
    against = [one for one in evidence.comparisons if _key(one.other) == _key(current)]
    best = _best_comparison(against)
    if best is None:
        return _refuse(factor.name, current, against)
    tried = len({_key(one.value) for one in against if one.is_enough})
    confidence = _allow_for_tries(_sureness(best), tried)
    gain = best.difference.interval
    if confidence < CONFIDENCE:
        best_found = f"the best, {best.value}, by {gain.estimate:+.2f} stars"
        reason = f"no other value is surely better than {current}: {best_found}"
        return Proposal(factor.name, current, None, True, reason, gain, confidence, best.kind, *_behind(best))
    scope = "seeds of a few prompts" if best.is_of_few_prompts else "places"
    reason = (
        f"{best.value} was rated {gain.estimate:+.2f} stars against {current} where all else was alike "
        f"({best.difference.place_count} {scope}, {best.kind})"
    )
    return Proposal(factor.name, current, best.value, True, reason, gain, confidence, best.kind, *_behind(best))


def _behind(comparison: Comparison) -> tuple[int, tuple[str, ...]]:
    return comparison.difference.place_count, comparison.run_ids


def _best_comparison(against: Sequence[Comparison]) -> Comparison | None:
    """The surest gain over the current value; for each value controlled evidence goes before observational."""
    by_value: dict[Any, Comparison] = {}
    for kind in reversed(KINDS):
        enough = (one for one in against if one.kind == kind and one.is_enough and one.value is not None)
        by_value |= {_key(one.value): one for one in enough}
    return max(by_value.values(), key=lambda one: (_sureness(one), one.difference.interval.estimate), default=None)


def _sureness(comparison: Comparison) -> float:
    """How sure it is that the value is the better one."""
    sure = comparison.difference.confidence
    return sure if comparison.difference.interval.estimate > 0 else 1 - sure


def _allow_for_tries(confidence: float, tried: int) -> float:
    """The chance that the best of several that were tried is better: each may be so by luck (Bonferroni)."""
    return max(0.0, 1 - (1 - confidence) * max(1, tried))


def _refuse(name: str, current: Any, against: Sequence[Comparison]) -> Proposal:
    places = max((one.difference.place_count for one in against), default=0)
    reason = (
        f"{NOT_ENOUGH}: no two rated images are alike in all but {name}"
        if not against
        else f"{NOT_ENOUGH}: {places} matched places at most; a learning plan over {name} would tell"
    )
    return Proposal(name, current, None, False, reason, None, None, None, places, ())


def open_contract(dataset: Dataset, name: str = BUILT_IN) -> LearningContract:
    """The contract of this name over a dataset: the built-in one, or one that an installed package brings.

    Raises:
        ConfigError: there is none of this name.
    """
    if name == BUILT_IN:
        return EvidenceContract(dataset)
    found = {one.name: one for one in entry_points(group=GROUP)}
    if name not in found:
        raise ConfigError(f"no proposer {name!r}; there are {', '.join([BUILT_IN, *sorted(found)])}")
    make: Callable[[Dataset], LearningContract] = found[name].load()
    return make(dataset)


_TYPES = {"integer": "integer", "number": "number", "string": "text", "boolean": "yes or no"}
