"""Columns in memory, beside plain lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.index.asking.columns.arrays import Arrays, read_columns
from stablenew.index.asking.columns.masks import is_in

TYPES = {"id": np.int64, "score": np.float32}
ROWS = st.lists(st.tuples(st.none() | st.integers(0, 50), st.none() | st.integers(-9, 9)), max_size=12)


def listed(arrays):
    scores = [None if np.isnan(value) else int(value) for value in arrays["score"]]
    return list(zip([None if value == -1 else int(value) for value in arrays["id"]], scores, strict=True))


@given(st.lists(st.tuples(ROWS, st.booleans(), st.integers(0, 2**12)), max_size=6))
def test_rows_that_are_appended_trimmed_and_dropped_are_those_of_a_list(steps):
    arrays, model = Arrays(TYPES), []
    for rows, is_trimmed, bits in steps:
        arrays.append_rows(rows)
        model += rows
        if is_trimmed:
            arrays.trim()
        mask = [not bits >> (place % 12) & 1 for place in range(len(model))]
        arrays.keep(np.array(mask, np.bool_))
        model = [row for row, is_kept in zip(model, mask, strict=True) if is_kept]
        assert arrays.count == len(model)
        assert listed(arrays) == model


def test_a_column_can_be_written_to():
    arrays = Arrays(TYPES)
    arrays.append_rows([(1, 1.0), (2, 2.0)])
    arrays["score"][1] = 9
    assert arrays["score"].tolist() == [1, 9]


MANY = {"id": np.int32, "score": np.float32, "lag": np.int64}
VALUES = st.tuples(st.integers(-1, 300), st.none() | st.floats(width=32, allow_nan=False), st.integers(-2, 2))


@given(st.lists(st.lists(VALUES, max_size=9), max_size=6), st.data())
def test_a_coded_column_holds_what_a_plain_one_does(steps, data):
    plain, coded = Arrays(MANY), Arrays(MANY, MANY)
    for rows in steps:
        plain.append_rows(rows)
        coded.append_rows(rows)
        if rows:
            name, place = data.draw(st.sampled_from(list(MANY))), data.draw(st.integers(0, plain.count - 1))
            value = read_columns(MANY, [data.draw(VALUES)])[name]
            plain.set(name, np.array([place]), value)
            coded.set(name, np.array([place]), value)
        restored = Arrays(MANY, MANY)
        restored.restore({name: coded.saved(name) for name in MANY})
        for name in MANY:
            for other in (coded, restored):
                assert np.array_equal(other[name], plain[name], equal_nan=name == "score")
                assert other.where(name, lambda values: values >= 1).tolist() == (plain[name] >= 1).tolist()
            values, codes = coded.coded(name)
            assert np.array_equal(values[codes], plain[name], equal_nan=name == "score")


@pytest.mark.parametrize("count", [255, 256, 65_535, 65_536, 70_000])
def test_a_coded_column_may_have_any_number_of_values(count):
    arrays = Arrays({"id": np.int32}, ["id"])
    for part in np.array_split(np.arange(count, dtype=np.int32), 3):
        arrays.append({"id": part})
    arrays.append({"id": np.array([-1, 7], np.int32)})
    assert np.array_equal(arrays["id"], [*range(count), -1, 7])
    assert np.flatnonzero(arrays.where("id", lambda ids: is_in(ids, [7]))).tolist() == [7, count + 1]
    values, codes = arrays.coded("id")
    assert values[0] == -1
    assert np.array_equal(values[codes], arrays["id"])


def test_what_is_not_known_is_nan_or_minus_one():
    columns = read_columns(TYPES, [(None, None)])
    assert columns["id"].tolist() == [-1]
    assert np.isnan(columns["score"]).tolist() == [True]
    assert {name: (len(column), column.dtype) for name, column in read_columns(TYPES, []).items()} == {
        name: (0, np.dtype(kind)) for name, kind in TYPES.items()
    }
