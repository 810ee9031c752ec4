"""The texts of a file as detectors ask for them: by key whatever its case, and as JSON within a budget."""

import json

import pytest

from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.evidence import Evidence

MEGABYTE = 1024 * 1024


def evidence(*texts):
    """Evidence of texts, each a (key, text) of a PNG."""
    container = Container()
    for key, text in texts:
        container.add("png", key, text)
    return Evidence(container)


def test_a_text_is_found_under_its_key_in_any_case_and_the_first_one_counts():
    found = evidence(("Comment", "a"), ("comment", "b"), ("Title", "c"))
    assert (found.text("COMMENT"), found.text("missing"), found.text()) == ("a", None, None)
    assert found.text("missing", "title", "comment") == "c"
    assert list(found.iter_texts(["title", "Comment"])) == ["c", "a", "b"]
    assert list(found.iter_all_texts()) == ["a", "b", "c"]
    assert [text.key for text in found.texts] == ["Comment", "comment", "Title"]


def test_a_text_that_was_decoded_wrongly_is_repaired_and_kept_as_it_was():
    wrong = "テスト".encode().decode("latin-1")
    found = evidence(("parameters", wrong))
    assert found.text("parameters") == "テスト"
    assert found.texts[0].text == wrong


def test_the_most_telling_texts_come_first_whatever_their_order_in_the_file():
    found = evidence(("Description", "d"), ("Comment", '{"c": 1}'), ("other", '{"o": 1}'), ("parameters", '{"p": 1}'))
    assert list(found.iter_main_texts()) == ['{"p": 1}', '{"c": 1}', "d"]
    assert list(found.iter_main_objects()) == [{"p": 1}, {"c": 1}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ('\ufeff \n\0{"a": "x\ny"}\0', {"a": "x\ny"}),
        (json.dumps('{"a": 1}'), {"a": 1}),
        (json.dumps("[1]"), [1]),
        ('"plain"', None),
        ("5", None),
        ("true", None),
        ("{", None),
        ('{"a": 1} trailing', None),
        ("", None),
        ("{" * 100_000, None),
    ],
)
def test_json_is_an_object_a_list_or_one_of_them_written_as_a_text(text, value):
    assert evidence().parse(text) == value


def test_json_is_found_under_the_first_key_that_has_some():
    found = evidence(("a", "words"), ("b", "[1]"), ("b", '{"x": 1}'), ("c", "[]"))
    assert found.json("a", "b") == [1]
    assert found.json("a") is None
    assert found.object("a", "b") == {"x": 1}
    assert found.object("c") == found.object("missing") == {}
    assert found.json("c") == []


def test_a_text_is_parsed_once():
    found = evidence()
    text = '{"a": []}'
    assert found.parse(text) is found.parse(text)


def test_a_text_beyond_the_limit_is_kept_and_not_understood():
    large = json.dumps({"a": "x" * (4 * MEGABYTE)})
    found = evidence(("prompt", large))
    assert found.json("prompt") is None
    assert found.text("prompt") == large
    assert found.container.problems == ["a JSON text is too large to be understood; it is kept as it is"]


def test_all_texts_of_a_file_together_have_a_budget_and_what_is_known_costs_nothing_more():
    texts = [json.dumps([number, "x" * (3 * MEGABYTE)]) for number in range(3)]
    found = evidence()
    assert [found.parse(text) is not None for text in texts] == [True, True, False]
    assert found.parse(texts[0])[0] == 0
    assert found.parse("[1]") == [1], "what is small still fits"
    assert len(found.container.problems) == 1


def test_a_text_that_is_exactly_as_long_as_the_limit_is_understood():
    text = '["' + "x" * (4 * MEGABYTE - 4) + '"]'
    assert len(text) == 4 * MEGABYTE
    assert evidence().parse(text) is not None


def test_what_a_converter_packed_into_a_comment_is_found_under_its_own_keys():
    packed = json.dumps({"Parameters": "Steps: 20", "prompt": "not one of them", "invokeai_metadata": {"seed": 1}})
    for key in ("UserComment", "comment", "ImageDescription"):
        found = evidence((key, packed))
        assert (found.text("parameters"), found.object("invokeai_metadata")) == ("Steps: 20", {"seed": 1})
        assert found.text("prompt") is None
    assert evidence(("title", packed)).text("parameters") is None


@pytest.mark.parametrize("value", [None, 5, ["Steps: 20"], True])
def test_what_is_neither_text_nor_object_is_not_unpacked(value):
    assert evidence(("comment", json.dumps({"parameters": value}))).text("parameters") is None


def test_a_text_of_the_file_itself_comes_before_one_that_was_packed():
    found = evidence(("comment", '{"parameters": "packed"}'), ("parameters", "own"))
    assert list(found.iter_texts(["parameters"])) == ["own", "packed"]
