"""The values of settings that are in use, which others are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stablenew.formats.common_names import common_value
from stablenew.learning.dataset.columns import stage_model
from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.setting_factors import OWN, SETTINGS, Factor, is_of_kind

_SPREAD: Final = 0.25
"""A setting whose most frequent value has a smaller share than this was not used but tried."""


def most_used(table: EvidenceTable) -> Mapping[str, Any]:
    """The value of each setting that most rated images had; without any, that most images had. None: not known.

    Images that a learning plan made do not count where there are others: what was tried is not what is in use. Where
    there are only such, a setting that was tried all over its range has its default. Model, VAE, size and the like are
    such that there are images with all of them.
    """
    if len(table.stars) and table.is_controlled.all():
        return {name: _default_within(factor) for name, factor in table.factors.items()}
    wanted = ~table.is_controlled
    rated = {name: factor.codes[wanted] for name, factor in table.factors.items()}
    return _most_used_together(table.factors, rated if len(table.stars) else table.compared_codes)


def _most_used_together(factors: Mapping[str, Factor], codes: Mapping[str, npt.NDArray[np.int32]]) -> dict[str, Any]:
    """What most images have; of model, files and size each that of most images which have those before."""
    found = {name: _most_used(factors[name].values, own) for name, own in codes.items()}
    left: npt.NDArray[np.bool_] | slice = slice(None)
    for name in filter(is_of_kind, SETTINGS):
        values, own = factors[name].values, codes[name]
        found[name] = value = _most_used(values, own[left])
        if value is not None:
            fits = np.isin(own, [code for code, known in enumerate(values) if known is None or known == value])
            left = fits if isinstance(left, slice) else left & fits
    return found


def values_in_use(table: EvidenceTable, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values that settings are compared with: those of `current`, for all others what is used most.

    Raises:
        ConfigError: `current` names a setting that does not exist.
    """
    given = {table.find_setting(name): value for name, value in (current or {}).items()}
    return dict(most_used(table)) | {name: common_value(name, value) for name, value in given.items()}


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
