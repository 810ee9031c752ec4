"""LoRAs and embeddings that a prompt calls by tag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.prompt_tags import find_embeddings, find_loras, merge_loras, read_weight


@pytest.mark.parametrize(
    ("prompt", "loras"),
    [
        ("<lora:harbour:0.65>", [Lora("harbour", 0.65)]),
        ("a<lora: harbour :1>b", [Lora("harbour", 1.0)]),
        ("<lora:harbour>", [Lora("harbour")]),
        ("<lora:harbour:>", [Lora("harbour")]),
        ("<lora:harbour:-.5:0.2>", [Lora("harbour", -0.5)]),
        ("<lora:harbour:0.7:lbw=MIDD>", [Lora("harbour", 0.7)]),
        ("<lora:harbour:strong>", [Lora("harbour")]),
        ("<lora:harbour:.>", [Lora("harbour")]),
        ("<lyco:a:1> <hypernet:b:2>", [Lora("a", 1.0), Lora("b", 2.0)]),
        ("<lora:a:1><lora:a:0.5>", [Lora("a", 1.0)]),
        ("<lora::1> <lora> lora:a:1 <Lora:a:1> <style:a:1>", []),
        ("<lora:a:1", []),
        ("", []),
    ],
)
def test_loras_of_a_prompt(prompt, loras):
    assert find_loras([prompt]) == tuple(loras)


def test_a_lora_gets_the_hash_that_is_known_of_it():
    found = find_loras([None, "<lora:a:1> <lora:b:1>"], {"a": "123", "c": "456"})
    assert found == (Lora("a", 1.0, "123"), Lora("b", 1.0))


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("embedding:easynegative", ["easynegative"]),
        ("(embedding:bad_hands:1.2), embedding:sub/dir.pt", ["bad_hands", "sub/dir.pt"]),
        ("embedding:a embedding:b embedding:a", ["a", "b"]),
        ("embedding: a, embeddings", []),
    ],
)
def test_embeddings_of_a_prompt(prompt, names):
    assert find_embeddings([None, prompt]) == tuple(names)


@pytest.mark.parametrize("tag", ["<lora:name{}:1>", "embedding:name{} "])
def test_a_prompt_of_tags_alone_is_read_up_to_a_limit(tag):
    prompt = "".join(tag.format(number) for number in range(5_000))
    find = find_loras if "lora" in tag else find_embeddings
    assert len(find([prompt])) == 200


@given(st.text("<lora:embding.5-> ,", max_size=60))
def test_any_text_is_read_without_an_error(text):
    for lora in find_loras([text]):
        assert lora.name == lora.name.strip()
    assert all(find_embeddings([text]))


def test_long_tags_without_an_end_cost_no_time():
    assert find_loras(["<lora:" * 20_000]) == ()
    assert find_embeddings(["embedding:" * 20_000]) == ("embedding",)


def test_what_one_place_does_not_say_of_a_lora_comes_from_the_next():
    merged = merge_loras(
        [Lora("a"), Lora("b", 0.5, "123")],
        [Lora("b", 0.9, "456"), Lora("a", 0.7)],
        [Lora("a", 0.1, "789"), Lora("c", 0.0)],
        [Lora("c", 1.0)],
    )
    assert merged == (Lora("a", 0.7, "789"), Lora("b", 0.5, "123"), Lora("c", 0.0))
    assert merge_loras() == ()


@pytest.mark.parametrize(
    ("value", "weight"),
    [(1, 1.0), (0.5, 0.5), ("-0.5", -0.5), ("", None), ("high", None), (None, None), ([], None), ("nan", None),
     (float("inf"), None), (10**400, None)],
)  # fmt: skip
def test_a_weight_is_a_number_that_a_record_can_hold(value, weight):
    assert read_weight(value) == weight
