"""NovelAI: PNG texts, or the same as JSON within JSON in WebP and in the pixels."""

from collections.abc import Mapping
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation, Tool
from stablenew.image_metadata.settings import build_settings, first_text

_NAMES: Final = {"scale": "cfg_scale", "n_samples": "batch_size"}
_NOT_SETTINGS: Final = {"prompt", "uc", "signed_hash"}
_MARKS: Final = {"uc", "scale", "sampler"}
"""Names that together only its comment has."""
_PLACES: Final = ("Title", "Description", "Software", "Source")
_SAMPLERS: Final = {
    "k_euler": "Euler",
    "k_euler_ancestral": "Euler a",
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a",
    "k_dpmpp_sde": "DPM++ SDE",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE",
    "ddim_v3": "DDIM",
}


def read_novelai(evidence: Evidence) -> Generation | None:
    """What an image of NovelAI says."""
    said = _texts_of(evidence)
    comment = said.get("Comment")
    comment = evidence.parse(comment) if isinstance(comment, str) else comment
    is_named = "novelai" in str(said.get("Software", "")).casefold()
    if not isinstance(comment, dict):
        prompt = said.get("Description")
        return Generation(Tool.NOVELAI, prompt=prompt) if is_named and isinstance(prompt, str) else None
    if not is_named and not comment.keys() >= _MARKS:
        return None
    return _read(comment, said)


def _texts_of(evidence: Evidence) -> Mapping[str, Any]:
    """The texts as in a PNG, which other places hold as one JSON object."""
    for value in evidence.iter_objects(evidence.iter_texts(["UserComment", "stealth", "sidecar"])):
        if value.keys() >= _MARKS:  # the comment alone
            return {name: text for name in _PLACES if (text := evidence.text(name)) is not None} | {"Comment": value}
        if "Comment" in value:
            return {"Software": evidence.text("Software") or ""} | value
    return {name: text for name in (*_PLACES, "Comment") if (text := evidence.text(name)) is not None}


def _read(comment: Mapping[str, Any], said: Mapping[str, Any]) -> Generation:
    source = first_text([said.get("Source"), said.get("Software")]) or ""
    model, _, model_hash = source.rpartition(" ")
    facts = {"model": model or source, "model_hash": model_hash} if source and source != "NovelAI" else {}
    pairs = {name: value for name, value in comment.items() if name not in _NOT_SETTINGS} | facts
    sampler = pairs.get("sampler")
    if isinstance(sampler, str):
        pairs["sampler"] = _SAMPLERS.get(sampler, sampler)
    prompt = first_text([comment.get("prompt"), said.get("Description")])
    return Generation(
        tool=Tool.NOVELAI,
        tool_version=facts.get("model"),
        prompt=_with_characters(prompt, comment.get("v4_prompt")),
        negative_prompt=_with_characters(first_text([comment.get("uc")]), comment.get("v4_negative_prompt")),
        settings=build_settings(pairs, _NAMES),
    )


def _with_characters(text: str | None, structured: Any) -> str | None:
    """A prompt with those of its characters, parted by `|` as NovelAI takes them."""
    caption = structured.get("caption") if isinstance(structured, dict) else None
    if not isinstance(caption, dict):
        return text
    base = text or first_text([caption.get("base_caption")])
    characters = caption.get("char_captions")
    parts = [
        part["char_caption"]
        for part in (characters if isinstance(characters, list) else [])
        if isinstance(part, dict) and isinstance(part.get("char_caption"), str) and part["char_caption"].strip()
    ]
    return " | ".join([base or "", *parts]) if parts else base
