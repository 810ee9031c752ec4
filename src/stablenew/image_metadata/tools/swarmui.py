"""SwarmUI: JSON with `sui_image_params`, in images and beside them (`.swarm.json`)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.grids import find_tiling
from stablenew.image_metadata.metadata import Generation, Lora, Tool
from stablenew.image_metadata.prompt_tags import find_embeddings, find_loras, merge_loras, read_weight
from stablenew.image_metadata.settings import build_settings, first_text

_NAMES: Final = {"fluxguidancescale": "distilled_cfg_scale", "initimagecreativity": "denoising_strength"}
_NOT_SETTINGS: Final = {"prompt", "negativeprompt", "swarm_version", "loras", "loraweights"}


def read_swarmui(evidence: Evidence) -> Generation | None:
    """What an image of SwarmUI says."""
    for value in evidence.iter_main_objects():
        said = value.get("sui_image_params")
        said = value if said is None and "swarm_version" in value else said
        if isinstance(said, dict):
            return _with_kind(_read(said, value), said.get("images"), evidence)
    return None


def _with_kind(generation: Generation, count: Any, evidence: Evidence) -> Generation:
    """A grid has as many images in it as were asked for."""
    settings = generation.settings
    tiling = find_tiling(evidence.container, settings.get("width"), settings.get("height"))
    is_grid = tiling is not None and isinstance(count, int) and tiling.images >= count > 1
    return replace(generation, kind="grid") if is_grid else generation


def _read(said: Mapping[str, Any], whole: Mapping[str, Any]) -> Generation:
    models = whole.get("sui_models")
    hashes = dict(_iter_hashes(models if isinstance(models, list) else []))
    extra = whole.get("sui_extra_data")
    pairs = {name: _readable(value) for name, value in said.items() if name not in _NOT_SETTINGS}
    if "model" in hashes:
        pairs["model_hash"] = hashes["model"]
    if isinstance(pairs.get("clipstopatlayer"), int):
        pairs["clipstopatlayer"] = abs(pairs["clipstopatlayer"])
    prompt, negative = said.get("prompt"), said.get("negativeprompt")
    texts = [text for text in (prompt, negative) if isinstance(text, str)]
    return Generation(
        tool=Tool.SWARMUI,
        tool_version=first_text([said.get("swarm_version")]),
        prompt=prompt if isinstance(prompt, str) else None,
        negative_prompt=negative if isinstance(negative, str) else None,
        settings=build_settings(pairs, _NAMES),
        loras=merge_loras(_iter_loras(said, hashes), find_loras(texts)),
        embeddings=find_embeddings(texts),
        made_at=first_text([extra.get("date")]) if isinstance(extra, dict) else None,
    )


def _readable(value: Any) -> Any:
    return ", ".join(map(str, value[:50])) if isinstance(value, list) else value


def _iter_hashes(models: list[Any]) -> Iterator[tuple[str, str]]:
    """The hash of each model, by what it was for and by its name."""
    for model in models[:200]:
        if isinstance(model, dict) and isinstance(model.get("hash"), str):
            digest = model["hash"].removeprefix("0x")
            for key in (model.get("param"), model.get("name")):
                if isinstance(key, str):
                    yield key.removesuffix(".safetensors"), digest


def _iter_loras(said: Mapping[str, Any], hashes: Mapping[str, str]) -> Iterator[Lora]:
    names, weights = (_list(said.get(key)) for key in ("loras", "loraweights"))
    for at, name in enumerate(names[:200]):
        yield Lora(str(name), read_weight(weights[at] if at < len(weights) else None), hashes.get(str(name)))


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return value if isinstance(value, list) else []
