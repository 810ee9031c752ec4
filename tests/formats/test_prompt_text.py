"""Tags in prompts."""

import pytest

from stablenew.formats.prompt_text import find_embeddings, find_loras, split_loras


def test_embeddings_are_found_in_every_notation():
    packs = "<embedding:fine detail>, (<embedding:ink>:0.8)"
    text = f"{packs}, embedding:hands, (embedding:face-v2:1.2) <embedding:mood:0.5>"
    assert find_embeddings(text) == ["fine detail", "ink", "hands", "face-v2", "mood"]
    assert find_embeddings("no embedding: here, and noembedding:x") == []


@pytest.mark.parametrize(
    ("text", "loras"),
    [
        ("<lora:ink:0.7>", [("ink", 0.7)]),
        ("<lora:ink>", [("ink", None)]),
        ("a <lora: ink wash :-1.5>, b <lora:.v2:.5>", [("ink wash", -1.5), (".v2", 0.5)]),
        ("<lora:ink:0.7:0.5>", [("ink", 0.7)]),
        ("<lora:ink:high>", [("ink", None)]),
        ("<lora:ink:0.7><lora:ink:0.2>", [("ink", 0.7), ("ink", 0.2)]),
        ("<lora:>, <lora>, lora:ink, <lyco:ink:1>", []),
    ],
)
def test_every_lora_is_found_with_its_weight(text, loras):
    assert find_loras(text) == loras


def test_a_prompt_without_its_loras_is_for_programs_that_have_no_words_for_them():
    assert split_loras("a quay <lora:ink:0.7> at dawn <lora:wash>") == (
        "a quay  at dawn",
        [("ink", 0.7), ("wash", 1.0)],
    )
    assert split_loras(" plain ") == (" plain ", [])
