"""The learning contract: what a program that learns from runs offers to whoever wants better settings.

Four functions, a typed protocol. Answers carry counts, intervals and the runs behind them, and say "not enough
evidence" where that is so. Nothing is ever applied automatically. An installed package can add a proposer by an entry
point of the group `stablenew.proposers`: a callable that takes a `Dataset` and returns a `LearningContract`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from stablenew.errors import ConfigError
from stablenew.learning.contract_answers import BestDefault, Modifier, ModifierRange, Proposal
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.evidence_table import EvidenceTable, read_evidence_table
from stablenew.learning.evidence.rating_statistics import CONFIDENCE, NOT_ENOUGH, Interval
from stablenew.learning.evidence.setting_factors import Factor, is_number
from stablenew.learning.evidence.value_evidence import build_values
from stablenew.learning.evidence.values_in_use import most_used, values_in_use
from stablenew.learning.paired_proposals import key_of, propose_from_pairs
from stablenew.learning.setting_limits import SettingLimits, limits_of

if TYPE_CHECKING:
    from stablenew.learning.evidence.best_settings import BestSettings, SettingAnswer

__all__ = [
    "BUILT_IN",
    "GROUP",
    "NOT_ENOUGH",
    "TOGETHER",
    "BestDefault",
    "EvidenceContract",
    "LearningContract",
    "Modifier",
    "ModifierRange",
    "Proposal",
    "SettingLimits",
    "open_contract",
]

GROUP: Final = "stablenew.proposers"
BUILT_IN: Final = "evidence"
TOGETHER: Final = "together"
"""The kind of evidence that is one model of all settings."""


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
        known = {key_of(found.value): found for found in build_values(self._table, self._table.factors[name])}
        found = known.get(key_of(value))
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
        return [propose_from_pairs(table, factor, used[factor.name]) for factor in varied]


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
