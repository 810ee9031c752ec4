"""What a learning contract answers: modifiers, their ranges, best defaults, proposals."""

from dataclasses import dataclass
from typing import Any

from stablenew.learning.evidence.rating_statistics import Interval
from stablenew.learning.setting_limits import SettingLimits


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
    """The value of a setting that the evidence favours, or else the value that is used most."""

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
