"""ComfyUI: the graph that made an image, wherever a saver put it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.graphs.graph import Nodes, find_nodes
from stablenew.image_metadata.graphs.outputs import GraphOutput, read_outputs
from stablenew.image_metadata.graphs.workflow import convert_workflow
from stablenew.image_metadata.infotext import parse_infotext
from stablenew.image_metadata.metadata import Generation, Kind, Tool
from stablenew.image_metadata.prompt_tags import find_embeddings, find_loras, merge_loras
from stablenew.image_metadata.settings import sort_settings
from stablenew.image_metadata.tools.a1111 import build_generation as build_from_infotext

_EMPTY: Final = ("the workflow has no nodes that say how an image is made",)
_DRAFT: Final = "a program in the graph rewrote the prompt; this is the text it was given"
_PREFIXES: Final = ("prompt:", "workflow:")
_UNKNOWN: Final = {"", "unknown"}


def read_comfyui(evidence: Evidence) -> Generation | None:
    """What the graph or the workflow in an image says, completed by the text of the saver."""
    nodes = _find_graph(evidence)
    note: tuple[str, ...] = ()
    if nodes is None:
        nodes = next((found for value in _iter_values(evidence) if (found := convert_workflow(value))), None)
        note = ("only the workflow of the page is there: names of values are partly a guess",)
    if nodes is None:
        is_workflow = any(
            isinstance(value, dict) and {"nodes", "links"} <= value.keys() for value in _iter_values(evidence)
        )
        return Generation(tool=Tool.COMFYUI, notes=_EMPTY) if is_workflow else None
    generation = build_generation(nodes, evidence)
    return _completed(replace(generation, notes=(*note, *generation.notes)), evidence)


def build_generation(nodes: Nodes, evidence: Evidence) -> Generation:
    """What a graph says about this image."""
    outputs = read_outputs(nodes)
    if not outputs:
        return Generation(tool=Tool.COMFYUI)
    chosen = _choose(outputs, evidence)
    texts = [chosen.prompt, chosen.negative_prompt]
    return Generation(
        tool=Tool.COMFYUI,
        prompt=chosen.prompt,
        negative_prompt=chosen.negative_prompt,
        settings=chosen.settings,
        loras=merge_loras(chosen.loras, find_loras(texts)),
        embeddings=find_embeddings(texts),
        input_images=chosen.input_images,
        kind=_kind_of(chosen),
        notes=(*_ambiguity(outputs), *_doubts(chosen)),
    )


def _kind_of(output: GraphOutput) -> Kind:
    if output.is_passed_on:
        return "input"
    return "preview" if output.is_preview else "image"


def _choose(outputs: tuple[GraphOutput, ...], evidence: Evidence) -> GraphOutput:
    """The output that this image most likely is: one that saves, and whose size fits."""
    container = evidence.container

    def misfit(output: GraphOutput) -> tuple[bool, bool]:
        size = output.settings.get("width"), output.settings.get("height")
        fits = size == (container.width, container.height)
        return output.is_preview, fits == (len(output.passes) > 1)

    return min(outputs, key=misfit)


def _ambiguity(outputs: tuple[GraphOutput, ...]) -> tuple[str, ...]:
    saving = [output for output in outputs if not output.is_preview]
    if len(saving) < 2 or all((o.prompt, o.settings) == (saving[0].prompt, saving[0].settings) for o in saving):
        return ()
    return (f"the graph saves {len(saving)} images; which of them this one is, it does not say",)


def _doubts(output: GraphOutput) -> Iterator[str]:
    if output.passes and output.passes[0].is_draft:
        yield _DRAFT
    if not output.is_complete:
        yield "the graph is too large to be read whole"


def _find_graph(evidence: Evidence) -> Nodes | None:
    return next((nodes for value in _iter_values(evidence) if (nodes := find_nodes(value))), None)


def _iter_values(evidence: Evidence) -> Iterator[Any]:
    """Every JSON value that may be a graph or a workflow, the usual places first."""
    for text in (*evidence.iter_texts(["prompt", "workflow"]), *evidence.iter_all_texts()):
        bare = text.lstrip()
        prefix = next((prefix for prefix in _PREFIXES if bare[:10].lower().startswith(prefix)), "")
        value = evidence.parse(bare[len(prefix) :] if prefix else text)
        yield value
        if isinstance(value, dict):
            for name in ("prompt", "workflow", "extra_pnginfo", "extra_data"):
                inner = value.get(name)
                yield evidence.parse(inner) if isinstance(inner, str) else inner
                if isinstance(inner, dict) and "workflow" in inner:
                    yield inner["workflow"]


def _completed(generation: Generation, evidence: Evidence) -> Generation:
    """With what a saver wrote as the WebUIs do: hashes, and values that the graph leaves to its nodes."""
    for text in evidence.iter_main_texts():
        if "Steps:" not in text:
            continue
        found = parse_infotext(text)
        if found.is_generation:
            said = build_from_infotext(found)
            return replace(
                generation,
                prompt=generation.prompt or _known(said.prompt),
                negative_prompt=generation.negative_prompt or _known(said.negative_prompt),
                settings=sort_settings(dict(said.settings) | dict(generation.settings)),
                loras=merge_loras(generation.loras, said.loras),
                embeddings=tuple(dict.fromkeys((*generation.embeddings, *said.embeddings))),
            )
    return generation


def _known(text: str | None) -> str | None:
    return None if text is None or text.strip() in _UNKNOWN else text
