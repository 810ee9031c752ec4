"""What a prompt calls by tag: LoRAs as `<lora:name:0.65>`, embeddings as `embedding:name`. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from stablenew.image_metadata.metadata import Lora

_LORA: Final = re.compile(r"<(?:lora|lyco|hypernet):([^:<>]{1,300})(?::([-+]?[0-9]{0,6}\.?[0-9]{0,9}))?[^<>]{0,300}>")
_EMBEDDING: Final = re.compile(r"embedding:([^\s,:;()\[\]<>]{1,300})")
_MOST: Final = 200


def find_loras(texts: Iterable[str | None], hashes: Mapping[str, str] | None = None) -> tuple[Lora, ...]:
    """Every LoRA that some texts call, each once, with its hash where one is known."""
    found: dict[str, Lora] = {}
    for text in texts:
        for match in _LORA.finditer(text or ""):
            name = match[1].strip()
            found.setdefault(name, Lora(name, read_weight(match[2]), (hashes or {}).get(name)))
            if len(found) >= _MOST:
                break
    return tuple(found.values())


def find_embeddings(texts: Iterable[str | None]) -> tuple[str, ...]:
    """Every embedding that some texts call by tag, each once."""
    names = (match[1] for text in texts for match in _EMBEDDING.finditer(text or ""))
    return tuple(dict.fromkeys(name for name, _ in zip(names, range(_MOST), strict=False)))


def merge_loras(*groups: Iterable[Lora]) -> tuple[Lora, ...]:
    """LoRAs of several places, each name once; what the first one does not say comes from the next."""
    found: dict[str, Lora] = {}
    for group in groups:
        for lora in group:
            known = found.get(lora.name)
            if known:
                weight = lora.weight if known.weight is None else known.weight
                lora = Lora(lora.name, weight, known.hash or lora.hash)  # noqa: PLW2901
            found[lora.name] = lora
    return tuple(found.values())


def read_weight(value: Any) -> float | None:
    """The weight of a LoRA, as a number or a text; None where it is neither, or has no end."""
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return weight if math.isfinite(weight) else None
