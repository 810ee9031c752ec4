"""What a prompt calls by tag: LoRAs and embeddings."""

import re
from typing import Final

LORA_TAG: Final = re.compile(r"<lora:([^:<>]+)(?::([-+]?[0-9]*\.?[0-9]+))?[^<>]*>")
EMBEDDING_TAG: Final = re.compile(r"<embedding:([^:<>]+)>")
_EMBEDDING: Final = re.compile(
    r"<embedding:([^:<>]+)(?::[^<>]*)?>|(?<![<\w])embedding:([^\s,:;()\[\]<>|]+)", re.IGNORECASE
)
"""`<embedding:name>` as packs write it, and `embedding:name` as ComfyUI does, also in brackets and with a weight."""


def split_loras(text: str) -> tuple[str, list[tuple[str, float]]]:
    """A prompt without the LoRAs it calls, and these with their weights: for programs that have no words for them."""
    loras = [(name, 1.0 if weight is None else weight) for name, weight in find_loras(text)]
    return (LORA_TAG.sub("", text).strip() if loras else text), loras


def find_embeddings(text: str) -> list[str]:
    """Names of the embeddings that `text` calls by tag, each once.

    The WebUIs call one by its bare name, which only they can tell from a word.
    """
    return list(dict.fromkeys((match[1] or match[2]).strip() for match in _EMBEDDING.finditer(text)))


def find_loras(text: str) -> list[tuple[str, float | None]]:
    """Name and weight of every LoRA that `text` calls."""
    return [(match[1].strip(), float(match[2]) if match[2] else None) for match in LORA_TAG.finditer(text)]
