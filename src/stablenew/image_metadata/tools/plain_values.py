"""Programs that nobody knows: values under plain names, as JSON or one text each; a prompt and settings beside it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stablenew.formats.settings import BY_NAME, SAMPLER, SCHEDULE
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.infotext import parse_infotext
from stablenew.image_metadata.metadata import Generation
from stablenew.image_metadata.prompt_tags import find_embeddings, find_loras
from stablenew.image_metadata.settings import build_settings, first_text
from stablenew.image_metadata.tools.a1111 import build_generation

_PROMPTS: Final = ("prompt", "Prompt", "positive_prompt", "positivePrompt", "Positive Prompt")
_NEGATIVES: Final = ("negative_prompt", "negativePrompt", "Negative Prompt", "negative", "Negative", "uc")
_LEAST_SETTINGS: Final = 2
_TELLING: Final = {"seed", "steps", "cfg_scale", SAMPLER, SCHEDULE, "distilled_cfg_scale"}
_NAMES: Final = {"guidance": "cfg_scale", "sd_model_name": "model", "sd_model_hash": "model_hash"}
_FLUX_MAKER: Final = "Black Forest Labs"
_MOST_TEXTS: Final = 100


def read_plain_values(evidence: Evidence) -> Generation | None:
    """What an image says in plain words, whatever program wrote them."""
    for value in evidence.iter_main_objects():
        if found := _read_infotexts(value) or _read(value):
            return replace(found, tool=found.tool or _program(evidence))
    if found := _read_flux(evidence):
        return found
    texts = {text.key: text.text for text in evidence.texts[:_MOST_TEXTS] if text.place in {"png", "tags"}}
    if any(evidence.parse(texts[name]) is not None for name in _PROMPTS if name in texts):
        return None  # a graph, which others read
    found = _read(texts)
    return replace(found, tool=_program(evidence)) if found else None


def _read_flux(evidence: Evidence) -> Generation | None:
    """What the program that Black Forest Labs publishes with its models writes into EXIF."""
    if evidence.text("Make") != _FLUX_MAKER:
        return None
    model = evidence.text("Model")
    return Generation(
        tool=_FLUX_MAKER,
        prompt=evidence.text("ImageDescription"),
        settings=build_settings({"model": model} if model else {}),
    )


def _read_infotexts(said: Mapping[str, Any]) -> Generation | None:
    """What the API of a WebUI answers, saved beside an image."""
    texts = said.get("infotexts")
    text = texts[0] if isinstance(texts, list) and texts and isinstance(texts[0], str) else None
    infotext = parse_infotext(text) if text else None
    return build_generation(infotext) if infotext and infotext.is_generation else None


def _read(said: Mapping[str, Any]) -> Generation | None:
    prompt, negative = (first_text(said.get(name) for name in names) for names in (_PROMPTS, _NEGATIVES))
    if prompt is None:
        return None
    settings = build_settings(
        {name: value for name, value in said.items() if name not in {*_PROMPTS, *_NEGATIVES}}, _NAMES
    )
    if len(settings.keys() & BY_NAME.keys()) < _LEAST_SETTINGS or not settings.keys() & _TELLING:
        return None  # text with the word `prompt` in it
    texts = [prompt, negative]
    return Generation(
        prompt=prompt,
        negative_prompt=negative,
        settings=settings,
        loras=find_loras(texts),
        embeddings=find_embeddings(texts),
    )


def _program(evidence: Evidence) -> str | None:
    return evidence.text("Software", "CreatorTool")
