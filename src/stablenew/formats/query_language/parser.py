"""From the text of a query to its conditions."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from stablenew.errors import InvalidQuery
from stablenew.formats.query_language.conditions import Condition, Query, Range, Switch, Value, Words
from stablenew.formats.query_language.fields import (
    FAMILIES,
    FIELDS,
    NUMBERS,
    SWITCHES,
    TEXTS,
    TIMES,
    field_of_setting,
    suggest_names,
)
from stablenew.formats.query_language.patterns import Pattern

_OTHER_NAMES: Final = {
    "stars": "rating",
    "id": "run",
    "neg": "negative",
    "tool": "source",
}
_ROUNDED: Final = ("rating", "aspect")
"""Means: a single whole number stands for all that round to it."""
_CHOICES: Final = {"flag": ("pick", "reject"), "orientation": ("portrait", "landscape", "square"), "is": ("trashed",)}
MAX_LENGTH: Final = 4_000
"""Characters of a query."""
MAX_CONDITIONS: Final = 64
MAX_VALUES: Final = 256
"""Values of all conditions together."""
MAX_PATTERNS: Final = 12
"""Values with `*` or `?` in them: each is compared with every name or run id that the store has."""
MAX_DIGITS: Final = 30
"""Digits of a number, which seeds of 64 bits stay well below."""
MIN_PREFIX: Final = 3
_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*):")
_BARE = re.compile(r'[^\s"]\S*')
_BARE_VALUE = re.compile(r'[^\s",]+')
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that no document contains: NUL, and halves of surrogate pairs, which stand for undecodable bytes."""
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")
_COMPARISON = re.compile(rf"(>=|<=|>|<|=)?({_NUMBER})")
_AGE = re.compile(r"([0-9]{1,5})(h|d|w|m|y)")
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}
_WORD = re.compile(r"\w")


def parse_query(text: str, now: datetime, names: Collection[str] = ()) -> Query:
    """The query in `text`; ages count from `now` (aware), dates are days of its time zone.

    `names` are the fields of families that the store has, such as `metric.aesthetic`: they are also found without the
    family, and suggested.

    Raises:
        InvalidQuery: it cannot be understood; the message points at the character.
    """
    return Query(tuple(_Reader(text, now, names).conditions()))


class _Reader:
    """Parses a query from left to right."""

    def __init__(self, text: str, now: datetime, names: Collection[str]) -> None:
        self._text = text
        self._now = now
        self._names = names
        self._at = 0
        self._value_count = 0
        self._pattern_count = 0

    def conditions(self) -> list[Condition]:
        """All conditions, in the order in which they are written."""
        self._check_text()
        found: list[Condition] = []
        while self._skip_space():
            if len(found) == MAX_CONDITIONS:
                raise self._fail(f"expected at most {MAX_CONDITIONS} conditions")
            found.append(self._condition())
        return found

    def _check_text(self) -> None:
        if len(self._text) > MAX_LENGTH:
            raise self._fail(f"expected at most {MAX_LENGTH} characters, found {len(self._text)}", MAX_LENGTH)
        if match := _UNUSABLE.search(self._text):
            raise self._fail("a query cannot contain this character", match.start())

    def _skip_space(self) -> bool:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at < len(self._text)

    def _fail(self, reason: str, position: int | None = None) -> InvalidQuery:
        return InvalidQuery(reason, self._text, self._at if position is None else position)

    def _condition(self) -> Condition:
        start = self._at
        is_negated = self._text[start] == "-" and start + 1 < len(self._text) and not self._text[start + 1].isspace()
        self._at += is_negated
        match = _FIELD.match(self._text, self._at)
        if match is None:
            return Condition("prompt", (self._words(_BARE),), is_negated)
        field = self._known_field(match[1])
        self._at = match.end()
        values = [self._value(field)]
        while self._text.startswith(",", self._at) and field not in SWITCHES:
            self._at += 1
            values.append(self._value(field))
        if self._at < len(self._text) and not self._text[self._at].isspace():
            raise self._fail("expected a space, or a comma and another value")
        return Condition(field, tuple(values), is_negated)

    def _known_field(self, name: str) -> str:
        field = _OTHER_NAMES.get(name.lower(), name.lower())
        family, dot, own = field.partition(".")
        if dot and own and family in FAMILIES:
            return (field_of_setting(own) if family == "settings" else None) or field
        if field not in FIELDS:
            field = field_of_setting(field) or field
        return field if field in FIELDS else self._field_of_family(name, field)

    def _field_of_family(self, name: str, field: str) -> str:
        """The field of a family that `field` means without it."""
        known = sorted({known.lower() for known in self._names})
        meant = [full for full in known if full.partition(".")[2] == field]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise self._fail(f"{name!r} has several meanings: {', '.join(meant)}")
        candidates = {full.partition(".")[2]: full for full in known} | {name: name for name in (*known, *FIELDS)}
        hint = suggest_names(field, candidates)
        raise self._fail(f"no field {name!r}: {hint} (a word with a colon in it goes into quotes)")

    def _next_word(self, pattern: re.Pattern[str]) -> tuple[str, bool]:
        """The next word, and whether it is quoted."""
        if self._text.startswith('"', self._at):
            end = self._text.find('"', self._at + 1)
            if end < 0:
                raise self._fail("this quote is never closed")
            word, self._at = self._text[self._at + 1 : end], end + 1
            return word, True
        match = pattern.match(self._text, self._at)
        if match is None:
            raise self._fail("expected a value here")
        self._at = match.end()
        return match[0], False

    def _value(self, field: str) -> Value:
        start = self._at
        self._value_count += 1
        if self._value_count > MAX_VALUES:
            raise self._fail(f"expected at most {MAX_VALUES} values")
        if field in TEXTS:
            return self._words(_BARE_VALUE)
        word, is_quoted = self._next_word(_BARE_VALUE)
        if not word:
            raise self._fail("expected a value here", start)
        if field.startswith("settings."):
            return self._pattern(word, start) if is_quoted or not _is_range(word) else self._range(field, word, start)
        if field in NUMBERS or "." in field:
            return self._rounded(field, word, self._range(field, word, start))
        if field in TIMES:
            moment = self._moment(word, start)
            return Range(low=moment) if field == "since" else Range(high=moment, is_high_open=True)
        if field in SWITCHES:
            return self._switch(field, word, start)
        if word.lower() not in _CHOICES.get(field, (word.lower(),)):
            raise self._fail(f"expected {' or '.join(_CHOICES[field])}, found {word!r}", start)
        return self._pattern(word.lower() if field in _CHOICES else word, start)

    def _pattern(self, word: str, start: int) -> Pattern:
        pattern = Pattern(word)
        self._pattern_count += pattern.has_wildcard
        if self._pattern_count > MAX_PATTERNS:
            raise self._fail(f"expected at most {MAX_PATTERNS} values with * or ?", start)
        return pattern

    def _rounded(self, field: str, word: str, found: Range) -> Range:
        """For a mean, all that rounds to the number that was asked for."""
        if field.partition(".")[0] in _ROUNDED and word.isdigit():
            return Range(int(word) - 0.5, int(word) + 0.5, is_high_open=True)
        return found

    def _words(self, pattern: re.Pattern[str]) -> Words:
        start = self._at
        word, _ = self._next_word(pattern)
        is_prefix = word.endswith("*")
        text = word.rstrip("*")
        if not _WORD.search(text):
            raise self._fail("expected a word to look for", start)
        if is_prefix and len(text.split()[-1]) < MIN_PREFIX:
            raise self._fail(f"expected at least {MIN_PREFIX} letters before the *", start)
        return Words(text, is_prefix)

    def _range(self, field: str, word: str, start: int) -> Range:
        if sum(map(str.isdigit, word)) > MAX_DIGITS * (1 + word.count("..")):
            raise self._fail(f"expected a number of at most {MAX_DIGITS} digits", start)
        if match := _RANGE.fullmatch(word):
            low, high = (_number(part) for part in match.groups())
            if low is not None and high is not None and low > high:
                raise self._fail(f"this range is empty; did you mean {match[2]}..{match[1]}?", start)
            if low is not None or high is not None:
                return Range(low, high)
        if match := _COMPARISON.fullmatch(word):
            return _compare(match[1] or "=", _number(match[2]) or 0)
        raise self._fail(f"expected a number for {field}, such as 7, 5..8 or >=7, found {word!r}", start)

    def _moment(self, word: str, start: int) -> int:
        """Milliseconds since 1970."""
        if match := _AGE.fullmatch(word):
            try:
                return _milliseconds(self._now - timedelta(hours=int(match[1]) * _HOURS[match[2]]))
            except OverflowError:
                return 0
        try:
            moment = datetime.fromisoformat(word)
        except ValueError:
            raise self._fail(
                f"expected an age such as 7d, or a date such as 2026-01-31, found {word!r}", start
            ) from None
        return _milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=self._now.tzinfo))

    def _switch(self, field: str, word: str, start: int) -> Switch:
        if word.lower() in ("yes", "no"):
            return Switch(word.lower() == "yes")
        if word.lower() == "mine" and field == "unrated":
            return Switch(True, is_mine=True)
        raise self._fail(f"expected {'yes, no or mine' if field == 'unrated' else 'yes or no'}, found {word!r}", start)


def _is_range(word: str) -> bool:
    return any(character.isdigit() for character in word) and (
        _RANGE.fullmatch(word) is not None or _COMPARISON.fullmatch(word) is not None
    )


def _number(text: str | None) -> int | float | None:
    if text is None:
        return None
    return float(text) if "." in text else int(text)


def _compare(sign: str, number: float) -> Range:
    match sign:
        case ">" | ">=":
            return Range(low=number, is_low_open=sign == ">")
        case "<" | "<=":
            return Range(high=number, is_high_open=sign == "<")
        case _:
            return Range(number, number)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
