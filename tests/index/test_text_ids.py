import contextlib

import pytest

from stablenew.index import text_ids
from stablenew.index.index_file import open_for_writing
from stablenew.index.text_ids import BodyIds, WordIds, with_ids


@pytest.fixture
def connection(tmp_path):
    with contextlib.closing(open_for_writing(tmp_path / "index.sqlite")) as connection:
        yield connection


def test_numbers_take_the_place_of_texts_column_by_column(connection):
    words = WordIds(connection)
    rows = [("completed", 5, "euler"), (None, 6, "euler"), ("failed", 7, None)]
    numbered = list(with_ids(rows, {0: words.ids_of, 2: words.ids_of}))
    names = dict(connection.execute("SELECT id, text FROM name"))
    assert [(names.get(one), number, names.get(other)) for one, number, other in numbered] == rows
    assert list(with_ids([], {0: words.ids_of})) == []


def test_a_prompt_keeps_its_number_when_it_is_no_longer_remembered(connection, monkeypatch):
    monkeypatch.setattr(text_ids, "_MAX_CACHED", 2)
    prompts = BodyIds(connection, "prompt")
    some = ["a harbour", "a hill", None, "a lake", "a harbour"]
    first = list(prompts.ids_of(some))
    assert first[0] == first[4]
    assert first[2] is None
    assert len(set(first)) == 4
    assert list(prompts.ids_of(["a tree"])) != [first[0]]
    assert list(prompts.ids_of(some)) == first
    assert list(BodyIds(connection, "prompt").ids_of(some)) == first


def test_a_text_that_is_prompt_and_negative_prompt_has_two_numbers(connection):
    here, there = (BodyIds(connection, kind) for kind in ("prompt", "negative"))
    numbers = {*here.ids_of(["blurry"]), *there.ids_of(["blurry"])}
    assert len(numbers) == 2
    found = connection.execute("SELECT rowid FROM negative_text WHERE negative_text MATCH 'blurry'").fetchall()
    assert [row[0] for row in found] == list(there.ids_of(["blurry"]))
