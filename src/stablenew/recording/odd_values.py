"""Values that do not fit their field: read as what they mean where that is plain, else kept as text beside the record.

Recording must not depend on how a program writes its settings. `"30"` is the number 30; `20.5` steps are no
number of steps, but they are what was given, and they stay in the record under `odd`.
"""

import dataclasses
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from stablenew.formats.digest import digest_bytes, is_digest
from stablenew.formats.json_safe import json_safe
from stablenew.formats.run_id import is_run_id
from stablenew.formats.settings import BY_NAME, standard_name
from stablenew.formats.strict_json import MAX_SAFE_INTEGER, JsonValue, encode_json
from stablenew.recording.side_channel import attempt

_SLUG: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9_]+")
_TIMESTAMP: Final = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
_LARGEST_SEED: Final = 10**64
_LONGEST_TEXT: Final = 1 << 20
_LONGEST_NAME: Final = 256
_KEPT_CHARACTERS: Final = 1000
_COUNTS: Final = frozenset({"width", "height"})
_FIRST_SECOND: Final = 100_000_000
_LAST_SECOND: Final = 100_000_000_000
"""Of the numbers that are taken for times: the years 1973 to 5138."""
_MISFIT: Final = object()
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""Types whose values have no methods of their own that could raise."""


@dataclass(slots=True)
class OddValues:
    """Collects what does not fit while a record is built."""

    odd: dict[str, str] = field(default_factory=dict)
    """As text, by the dotted name of the field."""
    given_names: dict[str, str] = field(default_factory=dict)
    """The standard name of each setting that was given by another one."""

    def note(self, name: str, value: Any) -> None:
        """Keep `value` as text under `name`."""
        is_not_json, _ = attempt(lambda: isinstance(value, float) and not math.isfinite(value))
        self.odd[shorten(name, _LONGEST_NAME)] = repr(value) if is_not_json else as_text(value)

    def fit(self, name: str, value: Any, read: Callable[[Any], Any], default: Any = None) -> Any:
        """What `read` makes of `value`; where that is nothing, `default`, and the value is noted unless it is None."""
        if value is None:
            return default
        found, error = attempt(read, value)
        if error is None and found is not _MISFIT:
            return found
        self.note(name, value)
        return default

    def settings(self, group: str, settings: Any) -> dict[str, JsonValue]:
        """`settings` under their standard names, each of the type of its field. `group` is where they stand."""
        if settings is None:
            return {}
        pairs, error = attempt(_pairs_of, settings)
        if pairs is None or error is not None:
            self.note(group, settings)
            return {}
        named = [(shorten(as_text(given), _LONGEST_NAME), value) for given, value in pairs]
        return self._by_standard_name(group, named)

    def _by_standard_name(self, group: str, named: list[tuple[str, Any]]) -> dict[str, JsonValue]:
        fitted: dict[str, JsonValue] = {}
        standard = {given: standard_name(given) for given, _ in named}
        for given, value in sorted(named, key=lambda pair: standard[pair[0]] != pair[0]):  # own names first
            name = standard[given]
            found = self.fit(f"{group}.{given}", value, _READERS[_type_of(name)] if name in BY_NAME else _read_any)
            if fitted.get(name) is None and not (found is None and value is not None):
                fitted[name] = found
                if name != given:
                    self.given_names[given] = name
            elif found is not None and found != fitted[name]:
                self.note(f"{group}.{given}", value)  # the same setting by two names, with two values
        order = {standard[given]: place for place, (given, _) in enumerate(named)}
        return dict(sorted(fitted.items(), key=lambda pair: order[pair[0]]))


def _pairs_of(settings: Any) -> list[tuple[Any, Any]]:
    """Names and values, of a mapping, pairs, or an object whose attributes they are, such as parsed arguments.

    Raises:
        ValueError, TypeError: it holds none.
    """
    if hasattr(settings, "items"):
        return list(settings.items())
    if hasattr(settings, "_asdict"):  # a named tuple
        return list(settings._asdict().items())
    if isinstance(settings, (list, tuple)):
        return [(name, value) for name, value in settings]
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return [(field.name, getattr(settings, field.name)) for field in dataclasses.fields(settings)]
    pairs = list(vars(settings).items())
    if not pairs:
        raise ValueError("an object without attributes")
    return pairs


def _read_any(value: Any) -> JsonValue:
    """Any value as JSON holds it."""
    found = to_json(value)
    if found is None:
        raise ValueError("a number that JSON does not have")
    return found


def _type_of(name: str) -> str:
    return "count" if name in _COUNTS else BY_NAME[name].type


def as_text(value: Any) -> str:
    """`value` as text, whatever it is; long texts are cut, with their length and digest at the end."""
    json = to_json(value)
    return shorten(json if isinstance(json, str) else encode_json(json).decode())


def to_json(value: Any) -> JsonValue:
    """`json_safe`, also for objects that cannot even be described, and with texts of bearable length."""
    if type(value) in _PLAIN:
        return _shorten_within(json_safe(value))
    is_text, _ = attempt(isinstance, value, str)
    safe, error = attempt(json_safe, str.__str__(value) if is_text else value)
    if error is not None:
        return f"<{type(value).__name__} that cannot be described: {type(error).__name__}>"
    return _shorten_within(safe)


def _shorten_within(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return shorten(value)
        case dict():
            return {shorten(name, _LONGEST_TEXT): _shorten_within(item) for name, item in value.items()}
        case list():
            return [_shorten_within(item) for item in value]
    return value


def shorten(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text`, if it is not longer than `longest`; else its beginning, and how to recognise the rest."""
    if len(text) <= longest:
        return text
    data = text.encode("utf-8", "surrogatepass")
    note = f"… ({len(text):,} characters, {digest_bytes(data)})"
    return text[: max(0, min(_KEPT_CHARACTERS, longest) - len(note))] + note


def read_text(value: Any) -> Any:
    """A text; also a number or path as text, and a member of an enumeration by its text, else its name."""
    if isinstance(value, Enum):
        return as_text(value.value if isinstance(value.value, str) else value.name)
    if isinstance(value, os.PathLike):
        return as_text(os.fsdecode(value))
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return as_text(value) if isinstance(value, str) or (is_number and math.isfinite(value)) else _MISFIT


def read_name(value: Any) -> Any:
    """A text of 1 to 256 characters."""
    text = read_text(value)
    return text if text is not _MISFIT and 0 < len(text) <= _LONGEST_NAME else _MISFIT


def read_slug(value: Any) -> Any:
    """A word of an open vocabulary, such as `txt2img`."""
    return value if isinstance(value, str) and _SLUG.match(value) else _MISFIT


def nearest_slug(value: Any, default: str) -> str:
    """The word that is most like `value`: `hi_res` for `Hi-Res`."""
    text = _NOT_SLUG.sub("_", as_text(value).casefold()).strip("_").lstrip("0123456789_")[:64]
    return text if _SLUG.match(text) else default


def read_number(value: Any) -> Any:
    """A finite number; also one as text, a `Decimal` or `Fraction`, or a scalar of NumPy or torch."""
    plain = _plain_number(value)
    if isinstance(plain, bool) or not isinstance(plain, (int, float, str)):
        return _MISFIT
    number = float(plain)
    return number if math.isfinite(number) and abs(number) <= 1e308 else _MISFIT


def read_seconds(value: Any) -> Any:
    """A number that is not negative."""
    number = read_number(value)
    return number if number is not _MISFIT and number >= 0 else _MISFIT


def read_integer(value: Any) -> Any:
    """An integer within 2^53; also one as text or as `7.0`."""
    number = _read_big_integer(value)
    return number if number is not _MISFIT and abs(number) <= MAX_SAFE_INTEGER else _MISFIT


def read_count(value: Any) -> Any:
    """An integer that is not negative."""
    number = read_integer(value)
    return number if number is not _MISFIT and number >= 0 else _MISFIT


def read_seed(value: Any) -> Any:
    """An integer of up to 64 digits, written as JSON holds it."""
    number = _read_big_integer(value)
    return json_safe(number) if number is not _MISFIT and abs(number) < _LARGEST_SEED else _MISFIT


def _plain_number(value: Any) -> JsonValue:
    """`value` as JSON, where what is exactly a whole number is one."""
    if type(value) in _PLAIN:
        return to_json(value)
    ratio, _ = attempt(getattr, value, "as_integer_ratio")
    exact, _ = attempt(ratio) if callable(ratio) and not isinstance(value, (int, float)) else (None, None)
    if not isinstance(exact, tuple):
        return to_json(value)
    above, below = exact
    return above if below == 1 else above / below


def _read_big_integer(value: Any) -> Any:
    plain = _plain_number(value)
    if isinstance(plain, bool) or not isinstance(plain, (int, float, str)):
        return _MISFIT
    if isinstance(plain, str) and not plain.strip().lstrip("+-").isdigit():  # "20.0" or "1e3"
        plain = float(plain)
    number = int(plain)
    return number if not isinstance(plain, float) or number == plain else _MISFIT


def read_timestamp(value: Any) -> Any:
    """A time as the format writes it; also a `datetime`, a text with an offset, or seconds since 1970."""
    if isinstance(value, (int, float)) and _FIRST_SECOND <= value < _LAST_SECOND:
        value = datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and _TIMESTAMP.match(value):
        datetime.fromisoformat(value)
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    text = json_safe(moment) if isinstance(moment, datetime) else None
    return text if isinstance(text, str) and _TIMESTAMP.match(text) else _MISFIT


def read_digest(value: Any) -> Any:
    """A digest; also that of an output reference."""
    text = getattr(value, "digest", value)
    return text if isinstance(text, str) and is_digest(text) else _MISFIT


def read_run_id(value: Any) -> Any:
    """An id of a run."""
    return value if isinstance(value, str) and is_run_id(value) else _MISFIT


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "text": read_text,
    "integer": read_integer,
    "count": read_count,
    "number": read_number,
    "seed": read_seed,
}
