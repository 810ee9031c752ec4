import json
import math
import shutil
import subprocess

import numpy as np
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from stablenew.errors import InvalidJson
from stablenew.formats.strict_json import (
    MAX_DEPTH,
    canonical_bytes,
    encode_json,
    encode_pretty_json,
    format_number,
    parse_json,
    parse_loose_json,
)
from tests.strategies import json_values


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a":1,"a":2}', "'a' stands twice"),
        (b'{"x":[{"b":1,"c":0,"b":1}]}', "'b' stands twice"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e400", "too large"),
        (b"9007199254740992", "2^53-1"),
        (b"-9007199254740992", "2^53-1"),
        (b"1" * 5000, "2^53-1"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\uDC00":1}', "surrogate"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b"[" * 65 + b"]" * 65, "64 levels"),
        (b'{"a":' * 100_000, "64 levels"),
        (b"", "line 1"),
        (b"{'a':1}", "line 1, column 2"),
        (b'"a\nb"', "line 1"),
        (b"01", "line 1"),
    ],
)
def test_parse_refuses_what_is_not_i_json_and_says_why(data, says):
    with pytest.raises(InvalidJson, match=says.replace("^", r"\^")):
        parse_json(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"9007199254740991", 2**53 - 1),
        (b"-0", 0),
        (b"-0.0", -0.0),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"' + b"[" * 100 + b'"', "[" * 100),
        (b'"\\\\ud800"', "\\ud800"),
        ("\u2028".join('""').encode(), "\u2028"),
    ],
)
def test_parse_takes_what_is_i_json(data, value):
    parsed = parse_json(data)
    assert value is None or parsed == value


def test_parse_refuses_more_bytes_than_it_was_told():
    with pytest.raises(InvalidJson, match="at most 3 bytes"):
        parse_json(b"[1,2]", max_bytes=3)


@given(st.binary(max_size=200))
@example(b"\x00")
def test_arbitrary_bytes_give_a_value_or_our_error(data):
    try:
        value = parse_json(data)
    except InvalidJson:
        return
    assert parse_json(encode_json(value)) == value


@given(json_values)
def test_canonical_bytes_are_those_of_rfc8785(value):
    assert canonical_bytes(value) == rfc8785.dumps(value)


@given(json_values)
def test_every_way_of_writing_reads_back(value):
    assert parse_json(encode_json(value)) == value
    assert parse_json(encode_pretty_json(value)) == value
    assert json.loads(canonical_bytes(value), parse_int=float) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(1e-7)
@example(123456789012345680000.0)
@example(5e-324)
def test_numbers_are_written_as_ecmascript_writes_them(value):
    assert format_number(value).encode() == rfc8785.dumps(value)
    assert float(format_number(value)) == value


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_numbers_are_written_as_a_real_ecmascript_engine_writes_them():
    rng = np.random.default_rng(7)
    doubles = np.frombuffer(rng.bytes(8 * 20_000), dtype=np.float64)
    values = [float(x) for x in doubles if math.isfinite(x)] + [float(f"1e{e}") for e in range(-30, 30)]
    script = "process.stdin.on('data',d=>b+=d).on('end',()=>console.log(JSON.parse(b).map(String).join('\\n')))"
    out = subprocess.run(
        ["node", "-e", f"let b='';{script}"], input=json.dumps(values), capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == [format_number(value) for value in values]


def test_keys_are_sorted_by_utf16_units():
    assert canonical_bytes({"\ufb33": 1, "😀": 2}) == '{"😀":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), 2**53, "\ud800", object(), {"a": [{1, 2}]}])
def test_canonical_bytes_refuse_what_is_not_json(value):
    with pytest.raises(InvalidJson):
        canonical_bytes(value)


@pytest.mark.parametrize("text", ["NaN", '{"a": 1, "a": 2}', "1e999", str(2**70), '"\\ud800"'])
def test_json_of_other_programs_need_not_be_strict(text):
    found = parse_loose_json(text)
    assert found == json.loads(text) or math.isnan(found)
    assert parse_loose_json(text.encode()) == found or math.isnan(found)
    with pytest.raises(InvalidJson):
        parse_json(text.encode())


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 100_000, "\ufeff1"])
def test_what_is_no_json_at_all_or_nested_too_deep_is_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"\w+"):
        parse_loose_json(text)
