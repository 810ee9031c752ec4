"""Where the evidence about single settings and the model of all settings together differ, and why that may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stablenew.learning.evidence.best_settings import BestSettings, compare_value
from stablenew.learning.learning_contract import BestDefault


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
    return TwoAnswers(default, *compare_value(default.name, default.value, found, is_supported=default.is_supported))
