"""ComfyUI's workflows in API format, and where in one a setting stands. Pure.

A workflow is `{node id: {"class_type": …, "inputs": {name: value or [node id, slot]}}}`. Whoever exports one has tuned
it; to use it as a template we need to know which input of which node is the prompt, the seed, the steps. Walking back
from the nodes that give images, along the links, tells that for most: the sampler is what has conditioning and steps,
its `positive` leads to the prompt, its `latent_image` to the size, its `model` to the checkpoint.
"""

import copy
import json
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from stablenew.errors import ConfigError
from stablenew.formats.strict_json import JsonValue

Graph: TypeAlias = dict[str, dict[str, Any]]


class Place(NamedTuple):
    """One input of one node."""

    node: str
    input: str

    def __str__(self) -> str:
        return f"{self.node}.{self.input}"


Bindings: TypeAlias = dict[str, list[Place]]
"""Name of a setting, and every place where its value goes; the first one is where it is read."""

_TEXTS: Final = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "value", "string", "wildcard_text")
_NUMBERS: Final = ("value", "int", "float", "number", "seed")
_CARRIERS: Final = ("noise", "guider", "sigmas", "sampler")
"""Inputs of a sampler that hold its settings in nodes of their own."""
_OF_SAMPLER: Final = {
    "seed": ("seed", "noise_seed"),
    "steps": ("steps",),
    "cfg_scale": ("cfg",),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "denoising_strength": ("denoise",),
}
_CHECKPOINTS: Final = ("ckpt_name", "unet_name")


def read_graph(text: str | bytes, name: str = "the workflow") -> Graph:
    """A workflow from its JSON.

    Raises:
        ConfigError: it is none in API format; the message says how to export one.
    """
    try:
        graph = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} is no JSON: {error}") from None
    return check_graph(graph, name)


def check_graph(graph: Any, name: str = "the workflow") -> Graph:
    """`graph`, if it is a workflow in API format.

    Raises:
        ConfigError: it is none; the message says how to export one.
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
        raise ConfigError(f"{name} is no workflow of ComfyUI in API format (Export (API))")
    return {str(key): value for key, value in graph.items()}


def find_bindings(graph: Graph) -> Bindings:
    """Where the settings stand, found by walking back from the nodes that give images."""
    return _BindingSearch(graph).find()


def with_values(graph: Graph, bindings: Mapping[str, Iterable[Place]], values: Mapping[str, JsonValue]) -> Graph:
    """A copy of the workflow with each value at its places; a value that has none is left out."""
    filled = copy.deepcopy(graph)
    for name, value in values.items():
        for place in bindings.get(name, ()):
            filled[place.node]["inputs"][place.input] = value
    return filled


def read_values(graph: Graph, bindings: Mapping[str, list[Place]]) -> dict[str, JsonValue]:
    """What the workflow says at the first place of each name."""
    return {name: graph[places[0].node]["inputs"][places[0].input] for name, places in bindings.items() if places}


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


def with_loras(graph: Graph, loras: Iterable[tuple[str, float]]) -> Graph:
    """A copy in which each LoRA stands between the checkpoint and whatever used it.

    Raises:
        ConfigError: the workflow loads no checkpoint that LoRAs could be put on.
    """
    filled = copy.deepcopy(graph)
    loaders = [key for key, node in graph.items() if "ckpt_name" in node["inputs"]]
    if not loaders:
        raise ConfigError("the prompt calls LoRAs, and the workflow has no checkpoint loader to put them on")
    model, clip = [loaders[0], 0], [loaders[0], 1]
    users = [
        (node["inputs"], name, value[1])
        for node in filled.values()
        for name, value in node["inputs"].items()
        if value in (model, clip)
    ]
    for number, (name, weight) in enumerate(loras):
        key = f"stablenew-lora-{number}"
        filled[key] = {
            "class_type": "LoraLoader",
            "inputs": {
                "lora_name": name,
                "strength_model": weight,
                "strength_clip": weight,
                "model": model,
                "clip": clip,
            },
        }
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


class _BindingSearch:
    """One walk through one workflow."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def find(self) -> Bindings:
        reachable = list(self._behind(self._outputs()))
        samplers = [key for key in reachable if self._is_sampler(key)]
        bindings: Bindings = {}
        if samplers:
            base = self._base_of(samplers)
            bindings |= self._settings_of(base)
            bindings["seed"] = [
                place for key in (base, *samplers) for place in self._at_sampler(key, _OF_SAMPLER["seed"])
            ]
            bindings["model"] = self._first(self._walk(base, ("model", "guider")), _CHECKPOINTS)
        for name, fields in {
            "model": _CHECKPOINTS,
            "vae": ("vae_name",),
            "clip_skip": ("stop_at_clip_layer",),
            "factor": ("scale_by", "upscale_by"),
            "confidence": ("bbox_threshold",),
            "mask_feather": ("feather",),
        }.items():
            bindings[name] = bindings.get(name) or self._first(reachable, fields)
        for name, field, word in (
            ("image", "image", "LoadImage"),
            ("upscaler", "model_name", "UpscaleModel"),
            ("detector", "model_name", "Detector"),
        ):
            bindings[name] = self._first((key for key in reachable if word in self._kind(key)), (field,))
        return {name: list(dict.fromkeys(places)) for name, places in bindings.items() if places}

    def _kind(self, key: str) -> str:
        return str(self._graph[key]["class_type"])

    def _inputs(self, key: str) -> dict[str, Any]:
        inputs: dict[str, Any] = self._graph[key]["inputs"]
        return inputs

    def _links(self, key: str) -> Iterator[tuple[str, str]]:
        """Name and node of every input that is another node's output."""
        for name, value in self._inputs(key).items():
            if is_link(value) and value[0] in self._graph:
                yield name, value[0]

    def _outputs(self) -> list[str]:
        """Nodes that nobody goes on from; those that take images where there are such."""
        used = {node for key in self._graph for _, node in self._links(key)}
        ends = [key for key in self._graph if key not in used]
        return [key for key in ends if {"images", "image"} & self._inputs(key).keys()] or ends

    def _behind(self, starts: Iterable[str], through: Container[str] | None = None) -> Iterator[str]:
        """Every node that leads there, by any link or `through` those, the nearest first."""
        todo = deque(starts)
        seen = set(todo)
        while todo:
            key = todo.popleft()
            yield key
            for name, node in self._links(key):
                if node not in seen and (through is None or name in through):
                    seen.add(node)
                    todo.append(node)

    def _walk(self, start: str, names: Iterable[str]) -> Iterator[str]:
        """The nodes behind some inputs of a node."""
        wanted = set(names)
        return self._behind([node for name, node in self._links(start) if name in wanted])

    def _is_sampler(self, key: str) -> bool:
        inputs = self._inputs(key)
        return bool({"positive", "guider"} & inputs.keys()) and bool({"steps", "sigmas"} & inputs.keys())

    def _base_of(self, samplers: list[str]) -> str:
        """The sampler that no other one stands behind: the first pass."""
        for key in reversed(samplers):
            if not any(other in samplers for other in self._walk(key, self._inputs(key))):
                return key
        return samplers[-1]

    def _settings_of(self, sampler: str) -> Bindings:
        found = {name: self._at_sampler(sampler, fields) for name, fields in _OF_SAMPLER.items()}
        found["prompt"] = self._texts(sampler, "positive")
        negative = self._texts(sampler, "negative")  # made from the positive one by ConditioningZeroOut, it is no text
        found["negative_prompt"] = [place for place in negative if place not in found["prompt"]]
        for key in self._walk(sampler, ("latent_image", "latent")):
            inputs = self._inputs(key)
            if {"width", "height"} <= inputs.keys():
                for name in ("width", "height", "batch_size"):
                    found[name] = self._resolve(key, name, _NUMBERS)
                break
        return found

    def _at_sampler(self, sampler: str, fields: Iterable[str]) -> list[Place]:
        """Places of a setting at the sampler itself, or at the nodes that carry it."""
        for key in (sampler, *self._walk_carriers(sampler)):
            for field in fields:
                if places := self._resolve(key, field, _NUMBERS):
                    return places
        return []

    def _walk_carriers(self, sampler: str) -> Iterator[str]:
        """The nodes that hold a sampler's settings, also behind others of their kind."""
        starts = [node for name, node in self._links(sampler) if name in _CARRIERS]
        yield from self._behind(starts, through=_CARRIERS)

    def _texts(self, sampler: str, kind: str) -> list[Place]:
        """The text that a conditioning comes from, through whatever changes it on the way."""
        starts = [
            node
            for key in (sampler, *self._walk_carriers(sampler))
            for name, node in self._links(key)
            if name == kind or (name == "conditioning" and kind == "positive")
        ]
        seen = set()
        while starts:
            key = starts.pop(0)
            if key in seen:
                continue
            seen.add(key)
            places = [place for field in _TEXTS for place in self._resolve(key, field, _TEXTS)]
            if places:
                return places
            links = list(self._links(key))
            onward = [node for name, node in links if name == kind]
            starts += onward or [node for name, node in links if name.startswith("conditioning")]
        return []

    def _resolve(self, key: str, field: str, fields_behind: Iterable[str]) -> list[Place]:
        """The place of an input's value: here, or in the one node that a link leads to."""
        value = self._inputs(key).get(field)
        if value is None:
            return []
        if not is_link(value):
            return [Place(key, field)]
        if value[0] not in self._graph:
            return []
        behind = self._inputs(value[0])
        found = next((name for name in fields_behind if name in behind and not is_link(behind[name])), None)
        return [Place(value[0], found)] if found else []

    def _first(self, keys: Iterable[str], fields: Iterable[str]) -> list[Place]:
        wanted = tuple(fields)
        for key in keys:
            for field in wanted:
                if field in self._inputs(key) and not is_link(self._inputs(key)[field]):
                    return [Place(key, field)]
        return []
