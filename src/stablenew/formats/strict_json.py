"""Strict JSON in, canonical JSON out.

Reading accepts I-JSON (RFC 7493) and nothing else, so that every program in every language sees the same value.
Canonical writing is RFC 8785 (JCS), so that equal values have equal bytes and digests of them mean something.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from stablenew.errors import InvalidJson

JsonValue: TypeAlias = Any
"""None, bool, int, float, str, list of these, or dict of str to these."""

MAX_SAFE_INTEGER = 2**53 - 1
_write_sorted = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
MAX_DEPTH = 64
MAX_BYTES = 64 * 1024 * 1024

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_LONGEST_SAFE_INTEGER = len(str(-MAX_SAFE_INTEGER))
_HIGHEST_PLAIN_EXPONENT = 21  # ECMAScript Number::toString switches to exponents outside 1e-7 < |x| < 1e21
_LOWEST_PLAIN_EXPONENT = -6


def parse_json(data: bytes, *, max_bytes: int = MAX_BYTES) -> JsonValue:
    """The value in `data`, if it is I-JSON.

    Raises:
        InvalidJson: not strict UTF-8, a byte order mark, a duplicate key, NaN or an infinity, an integer beyond
            2^53-1, a float that overflows, a lone surrogate, nesting over 64, more than `max_bytes`, or no JSON at all.
    """
    if len(data) > max_bytes:
        raise InvalidJson(f"expected at most {max_bytes:,} bytes of JSON, found {len(data):,}")
    text = _decode(data)
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_int=_safe_integer,
            parse_float=_finite_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidJson(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if _ESCAPED_SURROGATE.search(text):
        _check_surrogates(value)
    return value


def parse_loose_json(data: str | bytes) -> Any:
    """The value in JSON as other programs write it, with NaN, large numbers and keys that stand twice.

    Raises:
        ValueError: it is not valid JSON, or is nested too deep to be read.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise InvalidJson("nested too deep to be read") from None


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise InvalidJson("starts with a byte order mark; save the file as UTF-8 without one")
    return text


def is_too_deep(data: bytes) -> bool:
    """Whether a document is nested deeper than `parse_json` allows: for readers that parse by other means."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False
    try:
        _check_depth(data.decode("utf-8", "replace"))
    except InvalidJson:
        return True
    return False


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidJson(f"nested deeper than {MAX_DEPTH} levels at character {match.start()}")
        elif bracket in "]}":
            depth -= 1


def _object_without_duplicates(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidJson(f"key {duplicate!r} stands twice in one object")
    return result


def _safe_integer(text: str) -> int:
    value = int(text) if len(text) <= _LONGEST_SAFE_INTEGER else MAX_SAFE_INTEGER + 1
    if abs(value) > MAX_SAFE_INTEGER:
        raise InvalidJson(f"integer {text[:40]} is beyond 2^53-1; write it as a decimal string")
    return value


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidJson(f"number {text[:40]} is too large for a double")
    return value


def _refuse_constant(text: str) -> JsonValue:
    raise InvalidJson(f"{text} is not JSON; leave the field out instead")


def _check_surrogates(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidJson("a string holds half of a surrogate pair") from None


def encode_json(value: JsonValue) -> bytes:
    """`value` on one line, in the order of its keys: how lines of JSON Lines files are written."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def encode_pretty_json(value: JsonValue) -> bytes:
    """`value` indented for people, with a newline at the end."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2).encode("utf-8") + b"\n"


def canonical_bytes(value: JsonValue) -> bytes:
    """`value` as RFC 8785 writes it: equal values, equal bytes.

    Raises:
        InvalidJson: something in it is not I-JSON.
    """
    if _is_written_alike(value):
        text = _write_sorted(value)
    else:
        parts: list[str] = []
        _write_canonical(value, parts)
        text = "".join(parts)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidJson("a string holds half of a surrogate pair") from None


def _is_written_alike(value: JsonValue) -> bool:
    """Whether Python's own writer gives the canonical form: no floats, and only keys that sort alike."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(abs(value) <= MAX_SAFE_INTEGER)
    if kind is list:
        return all(map(_is_written_alike, value))
    if kind is not dict:
        return False
    for key, item in value.items():  # a loop, because events go through here by the hundred thousand
        if type(key) is not str or not key.isascii() or not (type(item) is str or _is_written_alike(item)):
            return False
    return True


def _write_canonical(value: JsonValue, parts: list[str]) -> None:
    match value:
        case None:
            parts.append("null")
        case bool():
            parts.append("true" if value else "false")
        case str():
            parts.append(json.dumps(value, ensure_ascii=False))
        case int():
            parts.append(_canonical_integer(value))
        case float():
            parts.append(format_number(value))
        case Mapping():
            _write_canonical_object(value, parts)
        case list() | tuple():
            _write_canonical_array(value, parts)
        case _:
            raise InvalidJson(f"{type(value).__name__} has no place in JSON")


def _canonical_integer(value: int) -> str:
    if abs(value) > MAX_SAFE_INTEGER:
        raise InvalidJson(f"integer {value} is beyond 2^53-1; write it as a decimal string")
    return str(value)


def _write_canonical_object(value: Mapping[str, JsonValue], parts: list[str]) -> None:
    parts.append("{")
    for index, key in enumerate(sorted(value, key=_utf16_order)):
        parts.append(("," if index else "") + json.dumps(key, ensure_ascii=False) + ":")
        _write_canonical(value[key], parts)
    parts.append("}")


def _write_canonical_array(value: Iterable[JsonValue], parts: list[str]) -> None:
    parts.append("[")
    for index, item in enumerate(value):
        if index:
            parts.append(",")
        _write_canonical(item, parts)
    parts.append("]")


def _utf16_order(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def format_number(value: float) -> str:
    """`value` as ECMAScript writes it (Number::toString, which RFC 8785 prescribes).

    Raises:
        InvalidJson: NaN or an infinity.
    """
    if not math.isfinite(value):
        raise InvalidJson(f"{value} is not JSON; leave the field out instead")
    if value == 0:
        return "0"
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)  # noqa: S101  # only NaN and infinities have letters here
    all_digits = "".join(map(str, digit_tuple))
    digits = all_digits.rstrip("0")
    point = len(all_digits) + exponent
    return ("-" if sign else "") + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    if len(digits) <= point <= _HIGHEST_PLAIN_EXPONENT:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _HIGHEST_PLAIN_EXPONENT:
        return f"{digits[:point]}.{digits[point:]}"
    if _LOWEST_PLAIN_EXPONENT < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
