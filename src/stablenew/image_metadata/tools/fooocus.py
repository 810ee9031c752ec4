"""Fooocus, whose scheme is JSON or the text of the WebUIs, and RuinedFooocus."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.infotext import parse_infotext
from stablenew.image_metadata.metadata import Generation, Lora, Tool
from stablenew.image_metadata.prompt_tags import find_embeddings, find_loras, merge_loras
from stablenew.image_metadata.settings import build_settings, first_text
from stablenew.image_metadata.sidecars import with_plain_names
from stablenew.image_metadata.tools.a1111 import build_generation

_NAMES: Final = {"base_model": "model", "base_model_hash": "model_hash"}
_RUINED_NAMES: Final = {"base_model_name": "model", "base_model_hash": "model_hash"}
_PROMPTS: Final = {
    "prompt",
    "negative_prompt",
    "full_prompt",
    "full_negative_prompt",
    "version",
    "Prompt",
    "Negative",
    "software",
}
_WEIGHTED: Final = re.compile(r"\s{0,4}(-?[0-9.]{1,12})\s{0,4}-\s{0,4}(.{1,500})")


def read_fooocus(evidence: Evidence) -> Generation | None:
    """What an image of Fooocus or RuinedFooocus says."""
    for value in evidence.iter_main_objects():
        if "Prompt" in value and ("base_model_name" in value or value.get("software") == "RuinedFooocus"):
            return _read_ruined(value)
        if {"Prompt", "Base Model"} <= value.keys():
            value = with_plain_names(value)  # noqa: PLW2901
        if {"base_model", "prompt"} <= value.keys() and {"guidance_scale", "steps", "performance"} & value.keys():
            return build_fooocus(value)
    if evidence.text("fooocus_scheme") or "fooocus" in (evidence.text("Software") or "").casefold():
        found = next((parse_infotext(text) for text in evidence.iter_main_texts()), None)
        if found and found.parameters:
            return replace(build_generation(found), tool=Tool.FOOOCUS)
    return None


def build_fooocus(data: Mapping[str, Any]) -> Generation:
    """What the JSON of Fooocus says, from an image or from its log."""
    prompt, negative = data.get("prompt"), data.get("negative_prompt")
    texts = [text for text in (prompt, negative) if isinstance(text, str)]
    return Generation(
        tool=Tool.FOOOCUS,
        tool_version=first_text([data.get("version")]),
        prompt=prompt if isinstance(prompt, str) else None,
        negative_prompt=negative if isinstance(negative, str) else None,
        settings=build_settings({name: value for name, value in data.items() if name not in _PROMPTS}, _NAMES),
        loras=merge_loras(_iter_loras(data.get("loras")), find_loras(texts)),
        embeddings=find_embeddings(texts),
    )


def _iter_loras(loras: Any) -> Iterator[Lora]:
    """`[name, weight, hash]` each; older versions write the list as Python does."""
    if isinstance(loras, str):
        try:
            loras = ast.literal_eval(loras[:10_000])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return
    for item in loras[:200] if isinstance(loras, list) else []:
        if isinstance(item, (list, tuple)) and len(item) >= 2 and isinstance(item[0], str) and item[0] != "None":
            weight = float(item[1]) if isinstance(item[1], (int, float)) else None
            yield Lora(item[0], weight, item[2] if len(item) > 2 and isinstance(item[2], str) else None)


def _read_ruined(data: Mapping[str, Any]) -> Generation:
    prompt, negative = data.get("Prompt"), data.get("Negative")
    return Generation(
        tool=Tool.RUINED_FOOOCUS,
        tool_version=first_text([data.get("version")]),
        prompt=prompt if isinstance(prompt, str) else None,
        negative_prompt=negative if isinstance(negative, str) else None,
        settings=build_settings({name: value for name, value in data.items() if name not in _PROMPTS}, _RUINED_NAMES),
        loras=tuple(_iter_ruined_loras(data.get("loras"))),
    )


def _iter_ruined_loras(loras: Any) -> Iterator[Lora]:
    """`[hash, "weight - path"]` each."""
    for item in loras[:200] if isinstance(loras, list) else []:
        if isinstance(item, list) and len(item) >= 2 and isinstance(item[1], str):
            match = _WEIGHTED.fullmatch(item[1])
            digest = item[0] if isinstance(item[0], str) and item[0] else None
            if match:
                yield Lora(match[2].strip(), _number(match[1]), digest)
            else:
                yield Lora(item[1], None, digest)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
