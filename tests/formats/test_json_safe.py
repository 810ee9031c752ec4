from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePosixPath

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.json_safe import json_safe
from stablenew.formats.strict_json import canonical_bytes, encode_json, parse_json


class Mood(Enum):
    CALM = "calm"


def test_json_safe_takes_anything():
    class Strange:
        def __repr__(self):
            return "<strange \ud800>"

    moment = datetime(2026, 11, 21, 7, 10, 9, 123456, UTC)
    value = {
        1: (2**64 - 1, float("nan"), float("inf")),
        "t": moment,
        "p": PurePosixPath("a/b"),
        "s": {3, 1},
        "e": Mood.CALM,
        "n": np.float32(0.5),
        "i": np.int64(7),
        "o": Strange(),
        "l": "half \ud800",
        "b": True,
    }
    assert json_safe(value) == {
        "1": ["18446744073709551615", None, None],
        "t": "2026-11-21T07:10:09.123Z",
        "p": "a/b",
        "s": [1, 3],
        "e": "calm",
        "n": 0.5,
        "i": 7,
        "o": "<strange \ufffd>",
        "l": "half \ufffd",
        "b": True,
    }


def test_json_safe_cuts_what_refers_to_itself():
    loop = []
    loop.append(loop)
    parse_json(encode_json(json_safe(loop)))


@given(st.recursive(st.floats() | st.text() | st.binary() | st.complex_numbers(), st.lists, max_leaves=8))
def test_json_safe_always_gives_i_json(value):
    safe = json_safe(value)
    assert parse_json(encode_json(safe)) == safe
    assert canonical_bytes(safe)
