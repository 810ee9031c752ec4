"""The values of settings that are in use, which others are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stablenew.learning.dataset.columns import stage_model
from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.setting_factors import OWN, Factor

_SPREAD: Final = 0.25
"""A setting whose most frequent value has a smaller share than this was not used but tried."""


def most_used(table: EvidenceTable) -> Mapping[str, Any]:
    """The value of each setting that most rated images had; without any, that most images had. None: not known.

    Images that a learning plan made do not count where there are others: what was tried is not what is in use. Where
    there are only such, a setting that was tried all over its range has its default.
    """
    if not len(table.stars):
        return {name: _most_used(table.factors[name].values, codes) for name, codes in table.compared_codes.items()}
    if table.is_controlled.all():
        return {name: _default_within(factor) for name, factor in table.factors.items()}
    return {
        name: _most_used(factor.values, factor.codes[~table.is_controlled]) for name, factor in table.factors.items()
    }


def values_in_use(table: EvidenceTable, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values that settings are compared with: those of `current`, for all others what is used most.

    Raises:
        ConfigError: `current` names a setting that does not exist.
    """
    return dict(most_used(table)) | {table.find_setting(name): value for name, value in (current or {}).items()}


def _default_within(factor: Factor) -> Any:
    """The default of a number that was spread over a range with it; else what is used most."""
    stage, _, key = factor.name.partition(".")
    numbers = [factor.values[code] for code in factor.used[0] if isinstance(factor.values[code], (int, float))]
    share = float(np.bincount(factor.used[1]).max()) / len(factor.codes)
    if share < _SPREAD and numbers and not factor.name.startswith(OWN):
        field = stage_model(stage).model_fields.get(key)
        if field is not None and isinstance(field.default, (int, float)) and numbers[0] <= field.default <= numbers[-1]:
            return field.default
    return _most_used(factor.values, factor.codes)


def _most_used(values: Sequence[Any], codes: npt.NDArray[np.int32]) -> Any:
    counts = np.bincount(codes, minlength=len(values)).astype(float)
    counts[[value is None for value in values]] *= 1e-9
    return values[int(counts.argmax())] if len(counts) else None
