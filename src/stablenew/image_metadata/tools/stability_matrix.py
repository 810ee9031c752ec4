"""Stability Matrix: its own JSON beside a text like that of the WebUIs and a graph of ComfyUI."""

from dataclasses import replace
from typing import Final

from stablenew.formats.settings import SAMPLER, SCHEDULE
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.graphs.graph import find_nodes
from stablenew.image_metadata.metadata import Generation, Tool
from stablenew.image_metadata.settings import build_settings, find_standard_name, first_text, sort_settings
from stablenew.image_metadata.tools.comfyui import build_generation

_NAMES: Final = {"ModelName": "model"}
_PROMPTS: Final = {"PositivePrompt", "NegativePrompt"}


def read_stability_matrix(evidence: Evidence) -> Generation | None:
    """What an image of Stability Matrix's Inference says."""
    said = evidence.object("parameters-json")
    if "PositivePrompt" not in said:
        return None
    nodes = find_nodes(evidence.json("prompt"))
    graph = build_generation(nodes, evidence) if nodes else Generation()
    pairs = {
        name: value for name, value in said.items() if name not in _PROMPTS and (find_standard_name(name) or value)
    }
    # its own JSON calls samplers as nobody else does; the graph has the usual names
    named = {name: graph.settings[name] for name in (SAMPLER, SCHEDULE) if name in graph.settings}
    prompt = first_text([said.get("PositivePrompt")])
    negative = first_text([said.get("NegativePrompt")])
    return replace(
        graph,
        tool=Tool.STABILITY_MATRIX,
        prompt=prompt.replace("\r\n", "\n") if prompt is not None else graph.prompt,
        negative_prompt=negative.replace("\r\n", "\n") if negative is not None else graph.negative_prompt,
        settings=sort_settings(dict(graph.settings) | build_settings(pairs, _NAMES) | named),
        kind="image",
    )
