"""Long lists, in parts that SQLite takes."""

from hypothesis import given
from hypothesis import strategies as st

from stablenew.index.id_lists import iter_id_lists, iter_parts


@given(st.integers(0, 1_700))
def test_parts_are_the_list_again_and_none_is_longer_than_500(count):
    parts = list(iter_parts(range(count)))
    assert [value for part in parts for value in part] == list(range(count))
    assert all(0 < len(part) <= 500 for part in parts)


def test_ids_are_written_with_commas_and_no_ids_are_no_statement():
    assert list(iter_id_lists([3, 1, 2])) == ["3,1,2"]
    assert list(iter_id_lists([])) == []
    assert [text.count(",") for text in iter_id_lists(range(501))] == [499, 0]
