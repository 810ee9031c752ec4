import contextlib

import pytest

from stablenew.index import text_ids
from stablenew.index.index_schema import open_for_writing
from stablenew.index.text_ids import PromptNumbers, WordNumbers, with_numbers


@pytest.fixture
def connection(tmp_path):
    with contextlib.closing(open_for_writing(tmp_path / "index.sqlite")) as connection:
        yield connection


def test_numbers_take_the_place_of_texts_column_by_column(connection):
    words = WordNumbers(connection)
    rows = [("completed", 5, "euler"), (None, 6, "euler"), ("failed", 7, None)]
    numbered = list(with_numbers(rows, {0: words.number, 2: words.number}))
    names = dict(connection.execute("SELECT id, text FROM name"))
    assert [(names.get(one), number, names.get(other)) for one, number, other in numbered] == rows
    assert list(with_numbers([], {0: words.number})) == []


def test_a_prompt_keeps_its_number_when_it_is_no_longer_remembered(connection, monkeypatch):
    monkeypatch.setattr(text_ids, "_MOST_REMEMBERED", 2)
    prompts = PromptNumbers(connection, are_negative=False)
    some = ["a harbour", "a hill", None, "a lake", "a harbour"]
    first = list(prompts.number(some))
    assert first[0] == first[4]
    assert first[2] is None
    assert len(set(first)) == 4
    assert list(prompts.number(["a tree"])) != [first[0]]
    assert list(prompts.number(some)) == first
    assert list(PromptNumbers(connection, are_negative=False).number(some)) == first


def test_a_text_that_is_prompt_and_negative_prompt_has_two_numbers(connection):
    here, there = (PromptNumbers(connection, are_negative=one) for one in (False, True))
    numbers = {*here.number(["blurry"]), *there.number(["blurry"])}
    assert len(numbers) == 2
    found = connection.execute("SELECT rowid FROM negative_text WHERE negative_text MATCH 'blurry'").fetchall()
    assert [row[0] for row in found] == list(there.number(["blurry"]))
