"""The query language: one for the command line, Python, the web page and datasets.

    model:dreamshaper* sampler:"Euler a" cfg:5..8 rating:>=4 since:7d "oil painting" -blurry

A query is a list of conditions, and it selects images: all conditions must hold for one and the same image. What is
said of its variant or job (prompt, settings, pack, status, time) holds for the image; a job is selected when one of its
images is. `-` before a condition negates it.

    oil            a word of the prompt; `harb*` a prefix of 3 letters or more; "oil painting" a phrase
    field:value    `field:a,b` is either; `*` and `?` stand for other characters; case does not matter
    field:5..8     both ends count; 5.. and ..8; >5 >=5 <5 <=5
    rating:5       the mean of all raters, rounded: 4.5 or more; rating:>=4 compares the mean as it is
    mine:4         one's own rating; jobrating: is that of the job itself
    unrated:yes    yes, no, or mine: not rated by oneself
    since:7d       from then on; also h, w, m (months), y, a date, a date with time; before: up to then
    source:webui   the program that recorded it, or the tool that made it
    is:trashed     in the trash
    label:red      a colour, which is the tag `label:red`
    album:Best     an album, which is the tag `album:Best`
    settings.NAME:value, metric.NAME:>6, aspect.NAME:>=4
                   any setting, score or aspect by its name; NAME alone where it means only one of them

A condition on a value that is not known (such as the rating of an unrated image) does not hold; negated, it does.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from stablenew.errors import InvalidQuery
from stablenew.formats.settings import SETTINGS, find_setting

_INDEXED: Final = tuple(setting for setting in SETTINGS if setting.query)
VARIANT_WORDS: Final = tuple(setting.query for setting in _INDEXED if setting.query and setting.type == "text")
USE_WORDS: Final = ("lora", "embedding")
RUN_WORDS: Final = ("pack", "status", "engine", "source", "action", "run")
IMAGE_WORDS: Final = ("tag", "label", "album", "flag", "rater", "type", "stage", "orientation", "digest", "is")
VARIANT_NUMBERS: Final = tuple(setting.query for setting in _INDEXED if setting.query and setting.type != "text")
IMAGE_NUMBERS: Final = ("rating", "mine")
RUN_NUMBERS: Final = ("jobrating", "variants", "outputs", "duration")
TIMES: Final = ("since", "before")
SWITCHES: Final = ("unrated", "noted")
TEXTS: Final = ("prompt", "negative", "note")
WORDS: Final = (*VARIANT_WORDS, *USE_WORDS, *RUN_WORDS, *IMAGE_WORDS)
NUMBERS: Final = (*VARIANT_NUMBERS, *IMAGE_NUMBERS, *RUN_NUMBERS)
FIELDS: Final = (*TEXTS, *WORDS, *NUMBERS, *TIMES, *SWITCHES)
FAMILIES: Final = ("settings", "metric", "aspect")
"""Fields that are followed by a dot and a name, which every store has its own of."""
_OTHER_NAMES: Final = {
    "stars": "rating",
    "id": "run",
    "neg": "negative",
    "tool": "source",
}
_ROUNDED: Final = ("rating", "aspect")
"""Means: a single whole number stands for all that round to it."""
_CHOICES: Final = {"flag": ("pick", "reject"), "orientation": ("portrait", "landscape", "square"), "is": ("trashed",)}
FLAGS: Final = ("pick", "reject")

MAX_LENGTH: Final = 4_000
"""Characters of a query."""
MAX_CONDITIONS: Final = 64
MAX_VALUES: Final = 256
"""Values of all conditions together."""
MAX_PATTERNS: Final = 12
"""Values with `*` or `?` in them: each is compared with every name or run id that the store has."""
_MAX_SUGGESTED: Final = 3
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


def field_of_setting(name: str) -> str | None:
    """The field that finds images by a setting as it ran, such as `cfg` for `cfg_scale`; None when there is none."""
    setting = find_setting(name)
    return setting.query if setting else None


@dataclass(frozen=True, slots=True)
class Words:
    """Words that follow each other in a text; with `is_prefix` the last one is a prefix."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text, or a pattern with `*` and `?` that must match all of it; case does not matter."""

    text: str

    @property
    def has_wildcard(self) -> bool:
        """Whether it matches more than one text."""
        return "*" in self.text or "?" in self.text


def match_any(patterns: Iterable[Pattern]) -> Callable[[str], bool]:
    """A function that returns whether a text matches one of the patterns; those without wildcards cost nothing each."""
    patterns = list(patterns)
    plain = {pattern.text.casefold() for pattern in patterns if not pattern.has_wildcard}
    globs = [Glob(pattern.text) for pattern in patterns if pattern.has_wildcard]
    return lambda text: text.casefold() in plain or any(glob.matches(text) for glob in globs)


class Glob:
    """A pattern with `*` and `?`. Its cost is at most the length of pattern times text: it never backtracks.

    Between two stars the leftmost place is always right, since a later one leaves less text for the rest.
    """

    def __init__(self, pattern: str) -> None:
        first, *others = pattern.casefold().split("*")
        self._first = first
        self._last = others.pop() if others else None
        self._pieces = [_find_piece(piece) for piece in others if piece]

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` matches; case does not matter."""
        text = text.casefold()
        if self._last is None:
            return len(text) == len(self._first) and _fits(self._first, text)
        at, end = len(self._first), len(text) - len(self._last)
        if at > end or not _fits(self._first, text[:at]) or not _fits(self._last, text[end:]):
            return False
        for find in self._pieces:
            found = find(text, at, end)
            if found is None:
                return False
            at = found
        return True


def _fits(piece: str, text: str) -> bool:
    """Whether a pattern without stars matches `text` of the same length."""
    if "?" not in piece:
        return piece == text
    return all(wanted in ("?", found) for wanted, found in zip(piece, text, strict=True))


def _find_piece(piece: str) -> Callable[[str, int, int], int | None]:
    """A function that returns where the leftmost match of `piece` inside a part of a text ends."""
    if "?" not in piece:
        return lambda text, at, end: _end_of(text.find(piece, at, end), piece)
    regex = re.compile("".join("." if letter == "?" else re.escape(letter) for letter in piece), re.DOTALL)

    def find(text: str, at: int, end: int) -> int | None:
        match = regex.search(text, at, end)
        return match and match.end()

    return find


def _end_of(start: int, piece: str) -> int | None:
    return None if start < 0 else start + len(piece)


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


def suggest_names(name: str, candidates: Mapping[str, str]) -> str:
    """A hint about an unknown field or setting: the nearest of `candidates` (typed: shown), or how to list all."""
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(name.lower(), candidates, _MAX_SUGGESTED)
    nearest = list(dict.fromkeys(candidates[match] for match in close))
    if not nearest:
        return "`stablenew images --fields` lists what there is"
    return f"did you mean {' or '.join(filter(None, [', '.join(nearest[:-1]), nearest[-1]]))}?"


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
