"""Which settings are tuned, and how far: as people write it, else as images were varied, else around the usual."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stablenew.errors import ConfigError
from stablenew.formats.common_names import common_value
from stablenew.learning.evidence.best_settings import compared_factors
from stablenew.learning.evidence.evidence_table import EvidenceTable
from stablenew.learning.evidence.setting_factors import OWN, Factor, form_interval, sort_key
from stablenew.learning.setting_limits import limits_of

_TRIED_FIRST: Final = ("txt2img.cfg_scale", "txt2img.steps")
"""What is tuned before anything was varied."""
_AROUND: Final = (0.5, 1.7)
"""How far, as multiples of what is used."""
_NARROWEST: Final = 1.0
"""How far at least: distilled models are used with a single step, and with a CFG scale of 0 or 1."""


class SettingRange(NamedTuple):
    """What one setting may be: everything between two numbers, or one of some values."""

    name: str
    """Its dotted name."""
    values: tuple[Any, ...]
    """The lowest and the highest, or each value."""
    is_interval: bool


def read_ranges(over: Sequence[str], table: EvidenceTable) -> list[SettingRange]:
    """The ranges that `over` names; `table` knows the settings.

    Raises:
        ConfigError: a range names no setting or does not fit it.
    """
    return [_read_range(table, *parts) for parts in parse_ranges(over)]


def choose_ranges(
    judged: EvidenceTable, others: EvidenceTable, used: Mapping[str, Any], may_vary: Callable[[str], bool]
) -> list[SettingRange]:
    """The ranges of the settings that `judged` images differ in and that `may_vary`, else that `others` differ in.

    Where no image differs from another, these are CFG scale and steps around the values in use.
    """
    for factors in (judged.factors, compared_factors(others)):
        seen = _seen_ranges(factor for name, factor in factors.items() if may_vary(name))
        if seen:
            return seen
    return [_range_around(name, used.get(name)) for name in _TRIED_FIRST]


def _range_around(name: str, used: Any) -> SettingRange:
    limits = limits_of(name)
    middle = limits.default if used is None else used
    low, high = (middle * part for part in _AROUND)
    low = max(low, limits.lowest or low)
    high = max(high, low + _NARROWEST)
    high = min(high, limits.highest or high)
    kind = int if limits.type == "integer" else float
    return SettingRange(name, (kind(round(low, 1)), kind(round(high, 1))), is_interval=True)


def parse_ranges(texts: Sequence[str]) -> list[tuple[str, tuple[str, ...], bool]]:
    """Name, values as text, and whether they are two ends, of each `cfg=3..12` or `sampler=Euler|DPM++ 2M`.

    A text may hold several, with commas between.

    Raises:
        ConfigError: one is not of that form.
    """
    found = []
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        name, equals, values = text.partition("=")
        low, dots, high = values.partition("..")
        parts = (low, high) if dots else tuple(values.split("|"))
        if not equals or not all(part.strip() for part in (name, *parts)) or len(parts) < 2:
            raise ConfigError(f"expected SETTING=LOW..HIGH or SETTING=VALUE|VALUE, found {text!r}")
        found.append((name.strip(), tuple(part.strip() for part in parts), bool(dots)))
    return found


def _read_range(table: EvidenceTable, name: str, texts: tuple[str, ...], is_interval: bool) -> SettingRange:
    dotted = table.find_setting(name)
    limits = limits_of(dotted)
    if dotted.startswith(OWN):
        raise ConfigError(f"{name} is not a setting that a plan can vary")
    if limits.type == "text" or not is_interval:
        if is_interval:
            raise ConfigError(f"{name} is a word: expected {name}=VALUE|VALUE, found {'..'.join(texts)!r}")
        values = [common_value(dotted, _read_value(name, text, limits.type)) for text in texts]
        return SettingRange(dotted, tuple(dict.fromkeys(values)), is_interval=False)
    low, high = (_read_value(name, text, limits.type) for text in texts)
    for end in (low, high):
        if (limits.lowest is not None and end < limits.lowest) or (limits.highest is not None and end > limits.highest):
            raise ConfigError(f"{name} is between {limits.lowest} and {limits.highest}, found {end}")
    if not low < high:
        raise ConfigError(f"{name}: expected the lower number first, found {'..'.join(texts)}")
    return SettingRange(dotted, (low, high), is_interval=True)


def _read_value(name: str, text: str, kind: str) -> Any:
    if kind == "text":
        return text
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        raise ConfigError(
            f"{name}: expected {'a whole number' if kind == 'integer' else 'a number'}, found {text!r}"
        ) from None


def _seen_ranges(factors: Iterable[Factor]) -> list[SettingRange]:
    """What images had, of every setting that they differ in and that a plan can vary."""
    found = []
    for factor in factors:
        limits = limits_of(factor.name)
        values = {factor.values[code] for code in factor.used[0]} - {None}
        seen = sorted(filter(limits.allow, values), key=sort_key)
        if len(seen) > 1 and not factor.name.startswith(OWN):
            are_numbers = form_interval(seen)
            found.append(SettingRange(factor.name, (seen[0], seen[-1]) if are_numbers else tuple(seen), are_numbers))
    return found
