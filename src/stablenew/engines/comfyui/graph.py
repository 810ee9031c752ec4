"""ComfyUI's workflows in API format: read, filled in, shown. Pure.

A workflow is `{node id: {"class_type": …, "inputs": {name: value or [node id, slot]}}}`.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from stablenew.errors import ConfigError
from stablenew.formats.strict_json import JsonValue, parse_loose_json
from stablenew.image_metadata.graphs.graph import Place

Graph: TypeAlias = dict[str, dict[str, Any]]


Bindings: TypeAlias = dict[str, list[Place]]
"""Name of a setting, and every place where its value goes; the first one is where it is read."""


def read_graph(text: str | bytes, name: str = "the workflow") -> Graph:
    """A workflow from its JSON.

    Raises:
        ConfigError: it is not in API format; the message says how to export one.
    """
    try:
        graph = parse_loose_json(text)
    except ValueError as error:
        raise ConfigError(f"{name} is not valid JSON: {error}") from None
    return check_graph(graph, name)


def check_graph(graph: Any, name: str = "the workflow") -> Graph:
    """`graph`, if it is a workflow in API format.

    Raises:
        ConfigError: it is not a workflow; the message says how to export one.
    """
    if isinstance(graph, dict) and isinstance(graph.get("prompt"), dict):
        graph = graph["prompt"]  # the body of a call, or what an image carries
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise ConfigError(f"{name} is a workflow as the page saves it; export it in API format (Export (API))")
    is_graph = isinstance(graph, dict) and bool(graph)
    if not is_graph or not all(
        isinstance(node, dict) and isinstance(node.get("inputs"), dict) and isinstance(node.get("class_type"), str)
        for node in graph.values()
    ):
        raise ConfigError(f"{name} is not a workflow of ComfyUI in API format (Export (API))")
    return {str(key): value for key, value in graph.items()}


def with_values(graph: Graph, bindings: Mapping[str, Iterable[Place]], values: Mapping[str, JsonValue]) -> Graph:
    """A copy of the workflow with each value at its places; a value that has none is left out."""
    filled = copy.deepcopy(graph)
    for name, value in values.items():
        for place in bindings.get(name, ()):
            filled[place.node]["inputs"][place.input] = value
    return filled


def read_values(graph: Graph, bindings: Mapping[str, list[Place]]) -> dict[str, JsonValue]:
    """What the workflow says at the first place of each name."""
    return {name: read_value(graph, places[0]) for name, places in bindings.items() if places}


def read_value(graph: Graph, place: Place) -> Any:
    """What the workflow says at a place."""
    return graph[place.node]["inputs"][place.input]


def parse_place(graph: Graph, text: str) -> Place:
    """The place written as `node.input`.

    Raises:
        ConfigError: there is no such node or input; the message names those there are.
    """
    node, _, name = text.partition(".")
    if node not in graph:
        raise ConfigError(f"the workflow has no node {node!r}; it has {_describe_nodes(graph)}")
    if name not in graph[node]["inputs"]:
        known = ", ".join(graph[node]["inputs"])
        raise ConfigError(f"node {node} ({graph[node]['class_type']}) has no input {name!r}; it has {known}")
    return Place(node, name)


def with_loras(graph: Graph, loras: Iterable[tuple[str, float]], loader: str | None) -> Graph:
    """A copy in which each LoRA stands between the node that loads the model and whatever used it.

    A node that loads a model without its text encoder gets LoRAs for the model only.

    Raises:
        ConfigError: the workflow loads no model that LoRAs could be put on.
    """
    filled = copy.deepcopy(graph)
    if loader is None:
        raise ConfigError("the prompt calls LoRAs, and the workflow has no model loader to put them on")
    has_clip = "ckpt_name" in graph[loader]["inputs"]
    model, clip = [loader, 0], [loader, 1]
    users = [
        (node["inputs"], name, value[1])
        for node in filled.values()
        for name, value in node["inputs"].items()
        if value == model or (has_clip and value == clip)
    ]
    for number, (name, weight) in enumerate(loras):
        key = f"stablenew-lora-{number}"
        inputs: dict[str, Any] = {"lora_name": name, "strength_model": weight, "model": model}
        if has_clip:
            inputs |= {"strength_clip": weight, "clip": clip}
        filled[key] = {"class_type": "LoraLoader" if has_clip else "LoraLoaderModelOnly", "inputs": inputs}
        model, clip = [key, 0], [key, 1]
    for inputs, name, slot in users:
        inputs[name] = model if slot == 0 else clip
    return filled


def describe_node(graph: Graph, key: str) -> str:
    """A node as a person knows it: number, title and class."""
    node = graph.get(key, {})
    title = (node.get("_meta") or {}).get("title")
    kind = node.get("class_type", "unknown")
    return f"node {key} ({kind}{f', {title!r}' if title and title != kind else ''})"


def _describe_nodes(graph: Graph) -> str:
    return ", ".join(f"{key} ({node['class_type']})" for key, node in graph.items())


def is_link(value: Any) -> bool:
    """Whether an input's value is another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
