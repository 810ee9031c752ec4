"""Bytes to values: strict JSON, lines, seals, hashes and schemas."""

import hashlib
import json
import math
import re
from decimal import Decimal
from functools import cache
from pathlib import Path

import jsonschema
import xxhash

SCHEMAS = Path(__file__).resolve().parents[2] / "v1"


def xxh128(data):
    return "xxh128:" + xxhash.xxh3_128_hexdigest(data)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@cache
def validator(name):
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_bytes()))


def parse(data):
    """The value of I-JSON bytes. Raises ValueError."""

    def whole(text):
        if abs(number := int(text[:40])) >= 2**53:
            raise ValueError(text)
        return number

    def finite(text):
        if math.isinf(number := float(text)):
            raise ValueError(text)
        return number

    def once(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    text = data.decode("utf-8")
    value = json.loads(text, parse_int=whole, parse_float=finite, parse_constant=whole, object_pairs_hook=once)
    canonical(value)  # halves of surrogate pairs cannot be written
    if depth(value) > 64:
        raise ValueError("nested too deep")
    return value


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def canonical(value):
    """RFC 8785."""
    return text_of(value).encode("utf-8")


def text_of(value):
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{text_of(key)}:{text_of(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    if isinstance(value, float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)


def number_text(value):
    """As ECMAScript writes it."""
    exact = Decimal(repr(value))
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return tidy(format(exact, "f"))
    digits, _, exponent = format(exact.normalize(), "e").partition("e")
    return f"{tidy(digits)}e{int(exponent):+d}"


def tidy(digits):
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def document(data, schema, unreadable):
    """The value of a document, or the code of what is wrong with it."""
    try:
        value = parse(data)
    except (ValueError, RecursionError):
        return None, unreadable
    has_version = isinstance(value, dict) and schema != "feedback_event"
    version = value.get("schema_version") if has_version else None
    if isinstance(version, str) and re.match(r"[0-9]{1,8}\..", version) and int(version.partition(".")[0]) > 1:
        return None, "newer-format"
    return (value, None) if validator(schema).is_valid(value) else (None, unreadable)


def lines_of(data):
    *lines, rest = data.split(b"\n")
    yield from ((number, line, True) for number, line in enumerate(lines, 1) if line.strip())
    if rest:
        yield len(lines) + 1, rest, False


def parse_seal(data):
    """Path and SHA-256 of every line of a seal; None if it is none."""
    *lines, rest = data.decode("latin-1").split("\n")
    found = [re.fullmatch(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._/-]*)", line) for line in lines]
    if rest or not lines or not all(found) or any(".." in match[2].split("/") for match in found):
        return None
    sums = {match[2]: match[1] for match in found}
    return sums if len(sums) == len(lines) else None
