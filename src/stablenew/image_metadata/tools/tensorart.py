"""TensorArt: JSON under `generation_data` beside a graph whose model names are masked."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.graphs.graph import find_nodes
from stablenew.image_metadata.metadata import Generation, Lora, Tool
from stablenew.image_metadata.settings import build_settings, first_text, sort_settings
from stablenew.image_metadata.tools.comfyui import build_generation

_NAMES: Final = {"ksamplerName": "sampler"}
_PROMPTS: Final = {"prompt", "negativePrompt"}


def read_tensorart(evidence: Evidence) -> Generation | None:
    """What an image of TensorArt says."""
    said = evidence.object("generation_data")
    if not said:
        return None
    nodes = find_nodes(evidence.json("prompt"))
    graph = build_generation(nodes, evidence) if nodes else Generation()
    pairs = {name: value for name, value in said.items() if name not in _PROMPTS}
    base = said.get("baseModel")
    if isinstance(base, dict):
        pairs |= {"model": base.get("modelFileName"), "model_hash": base.get("hash")}
    if str(pairs.get("seed")) == "-1":
        del pairs["seed"]  # it asked for a random one; which it was, the graph says
    return replace(
        graph,
        tool=Tool.TENSOR_ART,
        prompt=first_text([said.get("prompt"), graph.prompt]),
        negative_prompt=first_text([said.get("negativePrompt"), graph.negative_prompt]),
        settings=sort_settings(dict(graph.settings) | build_settings(pairs, _NAMES)),
        loras=tuple(_iter_loras(said.get("models"))) or graph.loras,
        kind="image",
    )


def _iter_loras(models: Any) -> Iterator[Lora]:
    for model in models[:200] if isinstance(models, list) else []:
        if isinstance(model, dict) and "lora" in str(model.get("type", "")).casefold():
            name, weight = first_text([model.get("modelFileName"), model.get("label")]), model.get("weight")
            if name:
                digest = first_text([model.get("hash")])
                yield Lora(name, float(weight) if isinstance(weight, (int, float)) else None, digest)
