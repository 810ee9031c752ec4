"""Any Python value as the nearest that JSON can hold."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from stablenew.formats.strict_json import MAX_DEPTH, MAX_SAFE_INTEGER, JsonValue


def json_safe(value: object) -> JsonValue:
    """The nearest I-JSON to any Python value; shares nothing with `value`.

    Integers beyond 2^53-1 become decimal strings, NaN and infinities become null, half surrogates U+FFFD, times
    RFC 3339, paths POSIX, sets sorted lists, and what has no JSON form its `repr`. Nesting over 48, and what contains
    itself, is cut to a `repr`, which leaves room for the document around it. It fails only where a method of `value`
    itself raises.
    """
    return _json_safe(value, ())


def _json_safe(value: Any, outer: tuple[int, ...]) -> JsonValue:
    """`outer` are the containers around `value`, by id: their number is the depth, and none may stand in itself."""
    kind = type(value)
    if kind is dict or kind is list:  # exact types first: asking for abstract ones is slow
        return _json_safe_container(value, outer)
    if (safe := _PLAIN.get(kind)) is not None:
        return safe(value)
    if isinstance(value, Enum):
        return _json_safe(value.value, outer)
    for plain in (int, float, str):
        if isinstance(value, plain):
            return _PLAIN[plain](plain(value))
    if isinstance(value, (Mapping, tuple, set, frozenset, list)) or dataclasses.is_dataclass(value):
        return _json_safe_container(value, outer)
    return _json_safe_scalar(value, outer)


def _whole_characters(text: str) -> str:
    """`text` with halves of surrogate pairs joined where they meet, and U+FFFD where one stands alone."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decimal(number: int) -> str:
    """An integer as text: in hexadecimal, where it has more digits than Python is willing to write in decimal."""
    try:
        return str(number)
    except ValueError:
        return hex(number)


_PLAIN: Final[dict[type, Callable[[Any], JsonValue]]] = {
    str: _whole_characters,
    int: lambda number: number if abs(number) <= MAX_SAFE_INTEGER else _decimal(number),
    float: lambda number: number if math.isfinite(number) else None,
    bool: lambda truth: truth,
    type(None): lambda nothing: nothing,
}


def _json_safe_container(value: Any, outer: tuple[int, ...]) -> JsonValue:
    if len(outer) >= MAX_DEPTH - 16 or id(value) in outer:
        return _whole_characters(repr(value))
    inner = (*outer, id(value))
    if type(value) is list:
        return [_json_safe(item, inner) for item in value]
    if isinstance(value, Mapping):
        return {_whole_characters(str(key)): _json_safe(item, inner) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _json_safe(getattr(value, field.name), inner) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted((_json_safe(item, inner) for item in value), key=repr)
    if dataclasses.is_dataclass(value):
        return _whole_characters(repr(value))
    return [_json_safe(item, inner) for item in value]


def _json_safe_scalar(value: object, outer: tuple[int, ...]) -> JsonValue:
    if isinstance(value, datetime):
        try:
            moment = value.astimezone(UTC)
        except (OverflowError, ValueError, OSError):  # at the ends of the calendar
            return value.isoformat()
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if isinstance(value, PurePath):
        return _json_safe(value.as_posix(), outer)
    if callable(item := getattr(value, "item", None)) and hasattr(value, "dtype"):  # NumPy and PyTorch scalars
        try:
            return _json_safe(item(), (*outer, id(value)))
        except (TypeError, ValueError, RuntimeError):
            pass
    return _json_safe(repr(value), outer)
