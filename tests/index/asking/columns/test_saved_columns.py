import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stablenew.index.asking.columns.saved_columns import pack_column, unpack_column

TYPES = {
    np.int64: st.integers(-(1 << 63), (1 << 63) - 1),
    np.int32: st.integers(-(1 << 31), (1 << 31) - 1),
    np.uint32: st.integers(0, (1 << 32) - 1),
    np.float32: st.floats(width=32),
    np.float64: st.floats(),
    np.bool_: st.booleans(),
}


@given(st.data())
def test_every_column_comes_back_as_it_was(data):
    kind = data.draw(st.sampled_from(list(TYPES)))
    values = data.draw(st.lists(TYPES[kind], max_size=30))
    column = np.array(values * data.draw(st.integers(1, 200)), kind)
    found = unpack_column("some", pack_column("some", column), kind)
    assert found.dtype == column.dtype
    assert np.array_equal(found, column, equal_nan=column.dtype.kind == "f")


def test_columns_of_few_values_or_steady_steps_take_few_bytes():
    columns = {
        "constant": np.full(10_000, np.nan, np.float32),
        "ascending": np.arange(10_000, dtype=np.int64) + (1 << 40),
        "few": np.tile(np.array([7.5, np.nan, 30], np.float32), 3_000),
    }
    sizes = {
        name: sum(array.nbytes for array in pack_column(name, column).values()) for name, column in columns.items()
    }
    assert sizes["constant"] < 100
    assert sizes["ascending"] < len(columns["ascending"]) + 100
    assert sizes["few"] < len(columns["few"]) + 100


def test_a_column_of_many_values_is_stored_as_it_is():
    column = np.random.default_rng(1).integers(0, 1 << 60, 10_000)
    assert pack_column("some", column) == {"some": column}
