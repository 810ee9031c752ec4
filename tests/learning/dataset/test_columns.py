import pyarrow as pa
import pytest

from stablenew.learning.dataset.columns import text_of, whole


@pytest.mark.parametrize("texts", [[], [""], ["ab", "", "gr\u00fcn", "c"]])
def test_the_text_of_a_column_is_that_of_its_rows(texts):
    column = pa.array(texts, pa.string())
    for start in range(len(texts) + 1):
        assert text_of(column.slice(start)) == "".join(texts[start:]).encode()
        assert text_of(column.slice(0, start)) == "".join(texts[:start]).encode()


def test_a_column_in_pieces_is_made_one():
    assert whole(pa.chunked_array([["a"], ["b", "c"]])).to_pylist() == ["a", "b", "c"]
    assert whole(pa.chunked_array([], pa.string())).to_pylist() == []
