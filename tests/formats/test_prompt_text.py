"""Tags in prompts."""

from stablenew.formats.prompt_text import find_embeddings


def test_embeddings_are_found_in_every_notation():
    packs = "<embedding:fine detail>, (<embedding:ink>:0.8)"
    text = f"{packs}, embedding:hands, (embedding:face-v2:1.2) <embedding:mood:0.5>"
    assert find_embeddings(text) == ["fine detail", "ink", "hands", "face-v2", "mood"]
    assert find_embeddings("no embedding: here, and noembedding:x") == []
