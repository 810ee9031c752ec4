"""Civitai's generator: a graph of ComfyUI with models as URNs, and what it was asked for beside it as JSON."""

from dataclasses import replace
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.graphs.graph import Nodes, find_nodes
from stablenew.image_metadata.metadata import Generation, Tool
from stablenew.image_metadata.settings import build_settings, sort_settings
from stablenew.image_metadata.text_decoding import parse_json
from stablenew.image_metadata.tools.comfyui import build_generation

_NAMES: Final = {"baseModel": "base_model", "prompt": "", "negativePrompt": ""}


def read_civitai(evidence: Evidence) -> Generation | None:
    """What an image of Civitai's own generator says."""
    for value in evidence.iter_main_objects():
        nodes = find_nodes(value)
        if nodes and ("extraMetadata" in value or "urn:air:" in str(_model_names(nodes))):
            return _read(value, nodes, evidence)
    return None


def _model_names(nodes: Nodes) -> list[Any]:
    return [value for node in nodes.values() for name, value in node["inputs"].items() if name.endswith("_name")]


def _read(value: dict[str, Any], nodes: Nodes, evidence: Evidence) -> Generation:
    generation = build_generation(nodes, evidence)
    asked = value.get("extraMetadata")
    asked = parse_json(asked) if isinstance(asked, str) else asked
    if not isinstance(asked, dict):
        return replace(generation, tool=Tool.CIVITAI)
    prompt, negative = asked.get("prompt"), asked.get("negativePrompt")
    return replace(
        generation,
        tool=Tool.CIVITAI,
        prompt=prompt if isinstance(prompt, str) else generation.prompt,
        negative_prompt=negative if isinstance(negative, str) else generation.negative_prompt,
        settings=sort_settings(build_settings(asked, _NAMES) | dict(generation.settings)),
    )
