"""Proposals for one setting at a time, from matched pairs: images that are alike in everything else."""

from collections.abc import Sequence
from typing import Any

from stablenew.learning.contract_answers import Proposal
from stablenew.learning.evidence.evidence import CONTROLLED, FEW_PAIRS, KINDS, Comparison, build_evidence
from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.rating_statistics import CONFIDENCE, NOT_ENOUGH
from stablenew.learning.evidence.setting_factors import Factor


def key_of(value: Any) -> tuple[str, Any]:
    """Equal for values that are the same to a person, such as 7 and 7.0; True is not 1."""
    if isinstance(value, (bool, str)) or value is None:
        return (type(value).__name__, value)
    return ("number", float(value))


def propose_from_pairs(table: EvidenceTable, factor: Factor, current: Any) -> Proposal:
    """Whether another value of a setting than the `current` one was surely rated better where all else was alike."""
    evidence = build_evidence(table, factor.name, is_exact=True)  # what is proposed is a value
    against = [found for found in evidence.comparisons if key_of(found.other) == key_of(current)]
    best = _best_comparison(against)
    if best is None:
        return _refuse(factor.name, current, against)
    tried = len({key_of(found.value) for found in against if found.is_enough})
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
        by_value |= {key_of(found.value): found for found in enough}
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
