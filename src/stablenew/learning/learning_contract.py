"""The learning contract: what a program that learns from runs offers to whoever wants better settings.

Four functions, a typed protocol. Answers carry counts, intervals and the runs behind them, and say "not enough
evidence" where that is so. Nothing is ever applied automatically. An installed package can add a proposer by an entry
point of the group `stablenew.proposers`: a callable that takes a `Dataset` and returns a `LearningContract`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from stablenew.errors import ConfigError
from stablenew.learning.dataset.columns import stage_model
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.best_settings import NOT_ENOUGH
from stablenew.learning.evidence.evidence import CONTROLLED, FEW_PAIRS, KINDS, Comparison, build_evidence
from stablenew.learning.evidence.evidence_table import EvidenceTable, read_evidence_table
from stablenew.learning.evidence.rating_statistics import CONFIDENCE, Interval
from stablenew.learning.evidence.setting_factors import OWN, Factor, is_number
from stablenew.learning.evidence.value_evidence import build_values
from stablenew.learning.evidence.values_in_use import most_used, values_in_use

if TYPE_CHECKING:
    from stablenew.learning.evidence.best_settings import BestSettings, SettingAnswer

GROUP: Final = "stablenew.proposers"
BUILT_IN: Final = "evidence"
TOGETHER: Final = "together"
"""The kind of evidence that is one model of all settings."""


@dataclass(frozen=True)
class SettingLimits:
    """The type of a setting, its lowest and highest value or its choices, and its default."""

    type: str
    """`integer`, `number`, `text` or `yes or no`."""
    lowest: float | None = None
    """The lowest value allowed."""
    highest: float | None = None
    """The highest value allowed."""
    choices: tuple[str, ...] = ()
    """The values allowed, where there are only a few."""
    default: Any = None
    """The value used when none is given."""


def limits_of(name: str, seen: Sequence[Any] = ()) -> SettingLimits:
    """The limits of a setting, given its dotted name; of one outside the table of settings, the type of `seen`."""
    stage, _, key = name.partition(".")
    if name.startswith(OWN):
        return SettingLimits(_type_of(seen))
    schema = stage_model(stage).model_json_schema(by_alias=False)["properties"].get(key)
    if schema is None:
        return SettingLimits("number")
    default = schema.get("default")
    schema = next((choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"), schema)
    return SettingLimits(
        _TYPES.get(schema.get("type"), "text"),
        _first(schema, "minimum", "exclusiveMinimum", "ge", "gt"),
        _first(schema, "maximum", "exclusiveMaximum", "le", "lt"),
        tuple(schema.get("enum", ())),
        default,
    )


def _type_of(values: Sequence[Any]) -> str:
    if all(isinstance(value, bool) for value in values):
        return "yes or no"
    if not all(isinstance(value, (int, float)) for value in values):
        return "text"
    return "integer" if all(isinstance(value, int) for value in values) else "number"


def _first(schema: dict[str, Any], *keys: str) -> Any:
    """The value of the first of `keys` that is present; pydantic leaves some bounds under their Python names."""
    return next((schema[key] for key in keys if key in schema), None)


@dataclass(frozen=True)
class Modifier:
    """A setting that can be learned about."""

    name: str
    """Its dotted name."""
    values_seen: tuple[Any, ...]
    """The values that rated images had."""
    rated_image_count: int
    """Rated images of which the value is known."""
    is_varied: bool
    """Whether rated images had different values."""


@dataclass(frozen=True)
class ModifierRange:
    """The values that a setting may have, and those that it had."""

    name: str
    """Its dotted name."""
    limits: SettingLimits
    """What its format allows."""
    lowest_seen: float | None
    """The lowest number that rated images had."""
    highest_seen: float | None
    """The highest number that rated images had."""
    values_seen: tuple[Any, ...]
    """All values that rated images had."""
    likely_best: tuple[Any, ...] = ()
    """The values that may be the best together with the best of other settings: of a number the lowest and the highest,
    else each. Empty where the ratings do not tell."""
    difference: str | None = None
    """Why the value that matched pairs favour is not among them, in words; None where it is, or one does not tell."""


@dataclass(frozen=True)
class BestDefault:
    """The value of a setting that the evidence favours; where it favours none, the value that is used most."""

    name: str
    """The setting's dotted name."""
    value: Any
    """The best value known."""
    is_supported: bool
    """Whether there is enough evidence."""
    reason: str
    """Why, in words; begins with "not enough evidence" where that is so."""
    mean: Interval | None
    """Mean stars of the images with this value, shrunken; None without any."""
    image_count: int
    """Rated images with this value."""
    run_ids: tuple[str, ...]
    """The runs behind it."""


@dataclass(frozen=True)
class Proposal:
    """A setting that might be changed, and why. It is never applied automatically."""

    name: str
    """The setting's dotted name."""
    current: Any
    """The value it is compared with."""
    proposed: Any
    """The better value; None where there is nothing to propose."""
    is_supported: bool
    """Whether there is enough evidence for an answer."""
    reason: str
    """Why, in words; begins with "not enough evidence" where that is so."""
    gain: Interval | None
    """In stars, proposed minus current, where all else was alike."""
    confidence: float | None
    """The probability that proposed is better than current, corrected for the number of values tried."""
    kind: str | None
    """`controlled` or `observational`, or `together` where one model of all settings speaks for it."""
    place_count: int
    """Matched pairs behind it."""
    run_ids: tuple[str, ...]
    """The runs behind it."""
    together: Any = None
    """What one model of all settings together expects to be best; None where it supports no change."""
    difference: str | None = None
    """Why `together` is another value, in words; None where the two agree or one of them is silent."""


class LearningContract(Protocol):
    """What every proposer offers."""

    def get_available_modifiers(self) -> Sequence[Modifier]:
        """The settings that the runs used."""

    def get_modifier_ranges(self) -> Mapping[str, ModifierRange]:
        """For each of them the values it may have, and those it had."""

    def get_current_best_defaults(self) -> Mapping[str, BestDefault]:
        """For each of them the value that the evidence favours."""

    def propose_new_defaults(
        self, dataset: Dataset | None = None, current: Mapping[str, Any] | None = None
    ) -> Sequence[Proposal]:
        """For each varied setting, whether a value other than the `current` one would be better.

        `dataset` replaces the one the contract was made for. `current` holds values by dotted name; the default is the
        value that most rated images had.
        """


class EvidenceContract:
    """The built-in contract: matched comparisons decide, means do not."""

    def __init__(self, dataset: Dataset | EvidenceTable) -> None:
        self._table = dataset if isinstance(dataset, EvidenceTable) else read_evidence_table(dataset)

    def get_available_modifiers(self) -> list[Modifier]:
        """The settings known of rated images, the varied ones first."""
        factors = [factor for factor in self._table.factors.values() if _values_seen(factor)]
        found = [
            Modifier(factor.name, _values_seen(factor), int(_is_known(factor).sum()), len(_values_seen(factor)) > 1)
            for factor in factors
        ]
        return sorted(found, key=lambda modifier: (not modifier.is_varied, -modifier.rated_image_count))

    @property
    def varied_settings(self) -> list[str]:
        """Names of the settings that rated images differ in, those known of most images first."""
        return [modifier.name for modifier in self.get_available_modifiers() if modifier.is_varied]

    def get_modifier_ranges(self) -> dict[str, ModifierRange]:
        """The values each setting may have by its format, those that rated images had, and those that may be best."""
        ranges, pairs = {}, {proposal.name: proposal for proposal in self._propose_single(self._table, None)}
        for factor in self._table.factors.values():
            seen = _values_seen(factor)
            numbers = [value for value in seen if is_number(value)]
            likely, difference = _likely_values(pairs.get(factor.name), self._together.answers.get(factor.name))
            ranges[factor.name] = ModifierRange(
                factor.name,
                limits_of(factor.name, seen),
                min(numbers, default=None),
                max(numbers, default=None),
                seen,
                likely,
                difference,
            )
        return ranges

    @cached_property
    def _together(self) -> "BestSettings":
        from stablenew.learning.evidence.best_settings import find_best_settings  # noqa: PLC0415  SciPy takes a second

        return find_best_settings(self._table)

    def get_current_best_defaults(self) -> dict[str, BestDefault]:
        """For each setting known of rated images, the value to use."""
        used = most_used(self._table)
        proposals = {proposal.name: proposal for proposal in self._propose_single(self._table, used)}
        names = [modifier.name for modifier in self.get_available_modifiers()]
        return {name: self._best(name, used[name], proposals.get(name)) for name in names}

    def _best(self, name: str, used: Any, proposal: Proposal | None) -> BestDefault:
        is_changed = proposal is not None and proposal.proposed is not None
        value = proposal.proposed if proposal is not None and is_changed else used
        known = {_key(found.value): found for found in build_values(self._table, self._table.factors[name])}
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
        from stablenew.learning.evidence.best_settings import find_best_settings  # noqa: PLC0415  SciPy takes a second

        table = self._table if dataset is None else read_evidence_table(dataset)
        is_own = table is self._table and not current
        together = self._together if is_own else find_best_settings(table, current)
        return [_with_surface(proposal, together) for proposal in self._propose_single(table, current)]

    def _propose_single(self, table: EvidenceTable, current: Mapping[str, Any] | None) -> list[Proposal]:
        """From matched pairs alone."""
        used = values_in_use(table, current)
        varied = [factor for factor in table.factors.values() if len(_values_seen(factor)) > 1]
        return [_propose(table, factor, used[factor.name]) for factor in varied]


def _likely_values(proposal: Proposal | None, answer: "SettingAnswer | None") -> tuple[tuple[Any, ...], str | None]:
    """The values that may be best by the surface, and why matched pairs say otherwise, if they do."""
    if answer is None:
        return (), None
    if proposal is None or proposal.proposed is None or answer.holds(proposal.proposed):
        return answer.likely, None
    return answer.likely, (
        f"matched pairs favour {proposal.proposed}, with the other settings as they were; "
        "these are with the others at their best"
    )


def _with_surface(proposal: Proposal, found: "BestSettings") -> Proposal:
    """The proposal with what the model of all settings says beside it, or instead where pairs favour no value."""
    from stablenew.learning.evidence.best_settings import compare_value  # noqa: PLC0415  SciPy takes a second

    answer = found.answers.get(proposal.name)
    if proposal.proposed is None and found.is_supported and answer and answer.gain.probability >= CONFIDENCE:
        return _propose_together(proposal, found, answer)
    value = proposal.current if proposal.proposed is None else proposal.proposed
    together, reason = compare_value(proposal.name, value, found, is_supported=proposal.is_supported)
    return replace(proposal, together=together, difference=reason)


def _propose_together(proposal: Proposal, found: "BestSettings", answer: "SettingAnswer") -> Proposal:
    value, (estimate, low, high, probability) = found.settings[proposal.name], answer.gain
    return replace(
        proposal,
        proposed=value,
        is_supported=True,
        reason=f"{value} is expected to be rated {estimate:+.2f} stars against {proposal.current} by a model of all "
        f"settings, the others at their best ({found.image_count} images)",
        gain=Interval(estimate, low, high),
        confidence=probability,
        kind=TOGETHER,
        run_ids=found.run_ids,
        together=value,
        difference=f"matched pairs alone propose no change: {proposal.reason}",
    )


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
    against = [found for found in evidence.comparisons if _key(found.other) == _key(current)]
    best = _best_comparison(against)
    if best is None:
        return _refuse(factor.name, current, against)
    tried = len({_key(found.value) for found in against if found.is_enough})
    confidence = _allow_for_tries(_sureness(best), tried)
    gain = best.difference.interval
    if confidence < CONFIDENCE:
        best_found = f"the best, {best.value}, by {gain.estimate:+.2f} stars"
        reason = f"no other value is surely better than {current}: {best_found}"
        return Proposal(factor.name, current, None, True, reason, gain, confidence, best.kind, *_behind(best))
    scope = "seeds of a few prompts" if best.is_of_few_prompts else "matched pairs"
    reason = (
        f"{best.value} was rated {gain.estimate:+.2f} stars against {current} where all else was alike "
        f"({best.difference.place_count} {scope}, {best.kind})"
    )
    return Proposal(factor.name, current, best.value, True, reason, gain, confidence, best.kind, *_behind(best))


def _behind(comparison: Comparison) -> tuple[int, tuple[str, ...]]:
    return comparison.difference.place_count, comparison.run_ids


def _best_comparison(against: Sequence[Comparison]) -> Comparison | None:
    """The surest gain over the current value; for each value, controlled evidence is preferred to observational."""
    by_value: dict[Any, Comparison] = {}
    for kind in reversed(KINDS):
        enough = (found for found in against if found.kind == kind and found.is_enough and found.value is not None)
        by_value |= {_key(found.value): found for found in enough}
    return max(
        by_value.values(), key=lambda found: (_sureness(found), found.difference.interval.estimate), default=None
    )


def _sureness(comparison: Comparison) -> float:
    """The probability that the value is the better one."""
    sure = comparison.difference.confidence
    return sure if comparison.difference.interval.estimate > 0 else 1 - sure


def _allow_for_tries(confidence: float, tried: int) -> float:
    """The probability that the best of several tried values is better, when each may be so by luck (Bonferroni)."""
    return max(0.0, 1 - (1 - confidence) * max(1, tried))


def _refuse(name: str, current: Any, against: Sequence[Comparison]) -> Proposal:
    pairs = max((found.difference.place_count for found in against), default=0)
    reason = (
        f"{NOT_ENOUGH}: no two rated images are alike in all but {name}"
        if not against
        else f"{NOT_ENOUGH}: {_count_pairs(pairs)} at most, {FEW_PAIRS} are needed; {_advise(against, name)}"
    )
    return Proposal(name, current, None, False, reason, None, None, None, pairs, ())


def _count_pairs(count: int) -> str:
    return f"{count} matched pair" if count == 1 else f"{count} matched pairs"


def _advise(against: Sequence[Comparison], name: str) -> str:
    """What to do about too few matched pairs: rate more of a plan that was run, or else run one."""
    if any(found.kind == CONTROLLED for found in against):
        return f"rate more images of the learning plan over {name}, or run it with more prompts or seeds"
    return f"a learning plan over {name} would give them"


def open_contract(dataset: Dataset, name: str = BUILT_IN) -> LearningContract:
    """The contract of this name over a dataset: the built-in one, or one that an installed package brings.

    Raises:
        ConfigError: there is no proposer of this name.
    """
    if name == BUILT_IN:
        return EvidenceContract(dataset)
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise ConfigError(f"no proposer {name!r}; there are {', '.join([BUILT_IN, *sorted(found)])}")
    make: Callable[[Dataset], LearningContract] = found[name].load()
    return make(dataset)


_TYPES = {"integer": "integer", "number": "number", "string": "text", "boolean": "yes or no"}
