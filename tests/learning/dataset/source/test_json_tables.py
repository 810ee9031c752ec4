"""JSON documents as tables: by Arrow's parser, or value by value where that refuses them."""

import json
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.dataset.source.json_tables import (
    READ_SEED,
    RECORD_SCHEMA,
    build_table,
    fit,
    parse_records,
    parse_table,
)
from tests import samples
from tests.strategies import json_objects, json_values

TEXTS = pa.list_(pa.string())
PLAIN = pa.schema([("text", pa.string()), ("count", pa.int64()), ("share", pa.float64()), ("is_on", pa.bool_())])
KINDS = [*PLAIN.types, READ_SEED, TEXTS, pa.struct(list(PLAIN)), pa.list_(pa.struct([("seed", READ_SEED)]))]
PAIR = pa.struct(list(PLAIN)[:2])
NAN, INFINITY = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("a", pa.string(), "a"), (5, pa.string(), None), (True, pa.bool_(), True), (1, pa.bool_(), None),
        (5, pa.int64(), 5), (5.0, pa.int64(), 5), (5.5, pa.int64(), None), (True, pa.int64(), None),
        ("5", pa.int64(), None), (2**63 - 1, pa.int64(), 2**63 - 1), (2**63, pa.int64(), None),
        (5, pa.float64(), 5.0), (False, pa.float64(), None), ("5", pa.float64(), None), (NAN, pa.float64(), None),
        (INFINITY, pa.float64(), None), (10**400, pa.float64(), None), (10**400, pa.int64(), None),
        ({"text": "a", "count": "x"}, PAIR, {"text": "a", "count": None}), ("a", PAIR, None),
        (["a", 5, None], TEXTS, ["a", None, None]), ("a", TEXTS, None), ({"a": 1}, TEXTS, None), (None, TEXTS, None),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_null(value, kind, expected):
    found = fit(value, kind)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "seed"),
    [
        (0, 0), (-1, -1), (2**53, 2**53), (5.0, 5), ("5", 5), ("-1", -1), (str(2**64 - 1), 2**64 - 1),
        (str(2**64), None), (2**64, None), (5.5, None), (1e300, None), (NAN, None), (-INFINITY, None), (10**400, None),
        (True, None), ("", None), ("-", None), ("--5", None), ("5.0", None), ("5 ", None), ("+5", None),
        ("\u0665", None),
        ("9" * 5000, None), ([5], None), ({"seed": 5}, None),
    ],
)  # fmt: skip
def test_a_seed_is_a_whole_number_or_its_digits(value, seed):
    assert fit(value, READ_SEED) == (None if seed is None else Decimal(seed))


@given(json_values, st.sampled_from(KINDS))
def test_any_json_value_fits_any_column_or_is_null(value, kind):
    assert pa.array([fit(value, kind)], kind).type == kind


@given(st.lists(json_objects, max_size=4))
def test_a_table_has_a_row_for_each_object_and_no_other_columns(values):
    table = build_table(values, PLAIN)
    assert (len(table), table.schema) == (len(values), PLAIN)


rows = st.fixed_dictionaries(
    {},
    optional={
        "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        "count": st.none() | st.integers(-(2**53), 2**53),
        "share": st.none() | st.floats(-1e9, 1e9, allow_subnormal=False),
        "is_on": st.none() | st.booleans(),
        "other": st.none() | st.lists(st.integers(0, 3), max_size=2),
    },
)


@given(st.lists(rows, max_size=6), st.booleans())
def test_what_arrow_reads_is_what_is_built_value_by_value(values, is_lines):
    documents = [json.dumps(value).encode() for value in values]
    assert parse_table(documents, PLAIN, is_lines=is_lines).equals(build_table(values, PLAIN))


@pytest.mark.parametrize("documents", [[], [b""], [b"\n \n"]])
def test_of_no_documents_there_is_no_row(documents):
    assert parse_table(documents, PLAIN).equals(PLAIN.empty_table())


@pytest.mark.parametrize(
    "document", [b'{"text": 5}', b'{"count": 1.5}', b'{"text": "\xff"}', b"{", b'{"is_on": "yes"}']
)
def test_what_does_not_fit_is_refused_as_a_whole(document):
    with pytest.raises(ValueError):
        parse_table([b'{"text": "a"}', document], PLAIN)


def test_records_have_only_the_overrides_that_some_of_them_use():
    variants = [{"index": 0, "total": 1, "overrides": own} for own in ({"txt2img.hr_scale": 1.5}, {"other": 1}, {})]
    data = b"\n".join(samples.record("one", 0, [], variant=variant).encode_line() for variant in variants)
    overrides = parse_records(data).schema.field("variant").type.field("overrides").type
    assert [field.name for field in overrides] == ["txt2img.hr_scale"]


@pytest.mark.parametrize("label", ['say "overrides":{ and }', 'a "', "a \\", '"overrides"'])
def test_where_a_text_looks_like_overrides_none_is_left_out(label):
    variant = {"index": 0, "total": 1, "label": label, "overrides": {"txt2img.hr_scale": 1.5}}
    table = parse_records(samples.record("one", 0, [], variant=variant).encode_line())
    assert table["variant"].to_pylist()[0]["overrides"]["txt2img.hr_scale"] == 1.5
    assert table.schema.names == RECORD_SCHEMA.names
