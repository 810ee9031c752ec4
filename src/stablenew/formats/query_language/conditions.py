"""What a query is made of: conditions, and the values that they allow."""

from dataclasses import dataclass
from typing import TypeAlias

from stablenew.formats.query_language.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Words:
    """Words that follow each other in a text; with `is_prefix` the last one is a prefix."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; None is unbounded. An open end is not part of the range."""

    low: int | float | None = None
    high: int | float | None = None
    is_low_open: bool = False
    is_high_open: bool = False

    def matches(self, value: float) -> bool:
        """Whether `value` lies in it."""
        is_above = self.low is None or (value > self.low if self.is_low_open else value >= self.low)
        is_below = self.high is None or (value < self.high if self.is_high_open else value <= self.high)
        return is_above and is_below

    @property
    def single(self) -> int | float | None:
        """The only number in it; None when there are several."""
        is_closed = not self.is_low_open and not self.is_high_open
        return self.low if self.low == self.high and is_closed else None


@dataclass(frozen=True, slots=True)
class Switch:
    """Yes or no; with `is_mine` about oneself alone."""

    is_on: bool
    is_mine: bool = False


Value: TypeAlias = Words | Pattern | Range | Switch


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: one of `values` holds for `field`, or with `is_negated` none does."""

    field: str
    values: tuple[Value, ...]
    is_negated: bool = False

    def ranges(self) -> list[Range]:
        """The values, as ranges of numbers."""
        return [value for value in self.values if isinstance(value, Range)]

    def patterns(self) -> list[Pattern]:
        """The values, as patterns of text."""
        return [value for value in self.values if isinstance(value, Pattern)]

    def words(self) -> list[Words]:
        """The values, as words of a prompt."""
        return [value for value in self.values if isinstance(value, Words)]

    @property
    def family(self) -> str | None:
        """`settings`, `metric` or `aspect` for a field such as `metric.aesthetic`; None for other fields."""
        family, dot, _ = self.field.partition(".")
        return family if dot else None

    @property
    def switch(self) -> bool:
        """The value, as yes or no."""
        return any(isinstance(value, Switch) and value.is_on for value in self.values)


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...] = ()

    def without(self, field: str) -> "Query":
        """The query without its conditions on `field`."""
        return Query(tuple(condition for condition in self.conditions if condition.field != field))
