"""Where the evidence about single settings and the model of all settings together differ, and why that may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stablenew.learning.evidence.best_settings import BestSettings
from stablenew.learning.learning_contract import BestDefault

_CLOSE: Final = 0.1
"""Numbers are one answer if they differ by at most this part of the larger."""


@dataclass(frozen=True)
class TwoAnswers:
    """What the two ways of looking at the ratings say of one setting."""

    default: BestDefault
    """From images that are alike in everything else."""
    together: Any
    """From one model over all settings; None where it supports no change or does not know the setting."""
    difference: str | None
    """Why they differ, in words; None where they agree or one of them is silent."""


def compare_answers(defaults: Mapping[str, BestDefault], found: BestSettings) -> dict[str, TwoAnswers]:
    """Both answers for each setting, by dotted name."""
    return {name: _compare(default, found) for name, default in defaults.items()}


def _compare(default: BestDefault, found: BestSettings) -> TwoAnswers:
    if not found.is_supported or default.name not in found.settings:
        return TwoAnswers(default, None, None)
    together = found.settings[default.name]
    if _is_close(default.value, together):
        return TwoAnswers(default, together, None)
    if default.is_supported:
        reason = (
            "matched pairs compare it with the other settings as they were; "
            f"{together} is expected to be better together with the other best settings"
        )
    else:
        reason = f"too few images match in everything else; {together} comes from all {found.image_count} images"
    return TwoAnswers(default, together, reason)


def _is_close(value: Any, other: Any) -> bool:
    if all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in (value, other)):
        return bool(abs(value - other) <= _CLOSE * max(abs(value), abs(other)))
    return bool(value == other)
