"""From a workflow as ComfyUI's page saves it to a graph in API format, as far as it says itself. Pure.

The page knows what each widget is called; a workflow of an older page does not say it, so the order of the widgets of
core nodes stands here. Muted nodes are left out, bypassed ones are stepped over, subgraphs are unfolded.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stablenew.image_metadata.graphs.graph import GUESSED_TEXT, Nodes

_MUTED: Final = 2
_BYPASSED: Final = 4
_MOST_NODES: Final = 5_000
_DEEPEST: Final = 8
_CONTROLS: Final = {"fixed", "increment", "decrement", "randomize"}
"""What stands behind a seed in the list, and is no input; the oldest pages had a truth value there."""
_WIDGETS: Final[dict[str, tuple[str, ...]]] = {
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSDXL": (
        "width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l",
    ),
    "CLIPTextEncodeSDXLRefiner": ("ascore", "width", "height", "text"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "EmptyHunyuanLatentVideo": ("width", "height", "length", "batch_size"),
    "FluxGuidance": ("guidance",),
    "CFGGuider": ("cfg",),
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step",
        "return_with_leftover_noise",
    ),
    "KSamplerSelect": ("sampler_name",),
    "LoadImage": ("image",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "PreviewImage": (),
    "PrimitiveNode": ("value",),
    "RandomNoise": ("noise_seed",),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "SaveImage": ("filename_prefix",),
    "SDParameterGenerator": (
        "ckpt_name", "vae_name", "model_version", "config_name", "seed", "steps", "refiner_start", "cfg",
        "sampler_name", "scheduler", "positive_ascore", "negative_ascore", "aspect_ratio", "width", "height",
        "batch_size",
    ),
    "SDPromptReader": ("image", "upload", "parameter_index", "positive", "negative", "setting"),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "VAELoader": ("vae_name",),
    "unCLIPCheckpointLoader": ("ckpt_name",),
    "ImageOnlyCheckpointLoader": ("ckpt_name",),
}  # fmt: skip


def convert_workflow(workflow: Any) -> Nodes | None:
    """The graph of a workflow in API format, or None when it is no workflow."""
    if not isinstance(workflow, dict) or not isinstance(workflow.get("nodes"), list):
        return None
    definitions = workflow.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    known = {
        graph["id"]: graph
        for graph in (subgraphs if isinstance(subgraphs, list) else [])
        if isinstance(graph, dict) and isinstance(graph.get("id"), str)
    }
    converter = _Converter(known)
    converter.convert(workflow, "", {})
    return converter.nodes or None


class _Converter:
    """One conversion; `nodes` grows while it goes on."""

    def __init__(self, subgraphs: Mapping[str, Mapping[str, Any]]) -> None:
        self._subgraphs = subgraphs
        self.nodes: dict[str, dict[str, Any]] = {}

    def convert(self, graph: Mapping[str, Any], prefix: str, outside: Mapping[int, Any], depth: int = 0) -> list[Any]:
        """Add the nodes of a graph; `outside` is what its input slots are linked to, what it gives its outputs'."""
        nodes = {str(node["id"]): node for node in _dicts(graph.get("nodes")) if isinstance(node.get("id"), (int, str))}
        links = dict(_iter_links(graph.get("links")))
        scope = _Scope(nodes, links, prefix, outside)
        for key, node in nodes.items():
            if len(self.nodes) >= _MOST_NODES:
                break
            kind = node.get("type")
            if not isinstance(kind, str) or node.get("mode") in {_MUTED, _BYPASSED}:
                continue
            if kind in self._subgraphs and depth < _DEEPEST:
                inner = {slot: scope.resolve(link) for slot, link in enumerate(_input_links(node))}
                scope.given[key] = self.convert(self._subgraphs[kind], f"{prefix}{key}:", inner, depth + 1)
            elif kind not in {"Note", "MarkdownNote", "Reroute"}:
                self.nodes[prefix + key] = {"class_type": kind, "inputs": {}, "_meta": {"title": node.get("title")}}
                self.nodes[prefix + key]["outputs"] = [output.get("name") for output in _dicts(node.get("outputs"))]
        for key, node in nodes.items():
            if prefix + key in self.nodes:
                self.nodes[prefix + key]["inputs"] = _inputs_of(node, scope)
        return scope.outputs_of(graph)


class _Scope:
    """The nodes and links of one level."""

    def __init__(
        self, nodes: Mapping[str, Any], links: Mapping[Any, tuple[str, int]], prefix: str, outside: Mapping[int, Any]
    ) -> None:
        self._nodes = nodes
        self._links = links
        self._prefix = prefix
        self._outside = outside
        self.given: dict[str, list[Any]] = {}
        """What the outputs of each subgraph are, by its node."""

    def resolve(self, link: Any, depth: int = 0) -> Any:
        """The node and slot that a link really comes from, as API format has it; None when it leads nowhere."""
        if link not in self._links or depth > 64:
            return None
        origin, slot = self._links[link]
        if origin == "-10":  # the inputs of the subgraph itself
            return self._outside.get(slot)
        if origin in self.given:
            outputs = self.given[origin]
            return outputs[slot] if 0 <= slot < len(outputs) else None
        node = self._nodes.get(origin)
        if node is None or node.get("mode") == _MUTED:
            return None
        if node.get("mode") == _BYPASSED or node.get("type") == "Reroute":
            return self._step_over(node, slot, depth)
        return [self._prefix + origin, slot]

    def _step_over(self, node: Mapping[str, Any], slot: int, depth: int) -> Any:
        """What a bypassed node passes on: its first input of the type of that output."""
        outputs = _dicts(node.get("outputs"))
        wanted = outputs[slot].get("type") if 0 <= slot < len(outputs) else None
        for given in _dicts(node.get("inputs")):
            if given.get("link") is not None and (node.get("type") == "Reroute" or given.get("type") == wanted):
                return self.resolve(given["link"], depth + 1)
        return None

    def outputs_of(self, graph: Mapping[str, Any]) -> list[Any]:
        """What each output slot of this level, as a subgraph, comes from."""
        found = []
        for output in _dicts(graph.get("outputs")):
            ids = output.get("linkIds")
            found.append(self.resolve(ids[0]) if isinstance(ids, list) and ids and _is_key(ids[0]) else None)
        return found


def _inputs_of(node: Mapping[str, Any], scope: _Scope) -> dict[str, Any]:
    inputs = dict(_iter_widgets(node))
    for given in _dicts(node.get("inputs")):
        name, link = given.get("name"), given.get("link")
        if isinstance(name, str) and _is_key(link) and (origin := scope.resolve(link)):
            inputs[name] = origin
    return inputs


def _iter_widgets(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    values = node.get("widgets_values")
    if isinstance(values, dict):
        yield from ((str(name), value) for name, value in values.items())
        return
    if not isinstance(values, list):
        return
    kind = str(node.get("type"))
    listed = [widget for given in _dicts(node.get("inputs")) if (widget := _widget_name(given))]
    names = _WIDGETS.get(kind) or (listed if kind != "PrimitiveNode" else ["value"])
    kept = [value for at, value in enumerate(values) if not (at and _is_control(value, values[at - 1]))]
    if names and (kind in _WIDGETS or len(names) == len(kept)):
        yield from zip(names, kept, strict=False)
    elif texts := [value for value in kept if isinstance(value, str) and len(value) > 1]:
        yield GUESSED_TEXT, max(texts, key=len)


def _is_control(value: Any, before: Any) -> bool:
    if not isinstance(before, int) or isinstance(before, bool):
        return False
    return isinstance(value, bool) or (isinstance(value, str) and value in _CONTROLS)


def _widget_name(given: Mapping[str, Any]) -> str | None:
    widget = given.get("widget")
    name = widget.get("name") if isinstance(widget, dict) else None
    return name if isinstance(name, str) else None


def _input_links(node: Mapping[str, Any]) -> list[Any]:
    links = [given.get("link") for given in _dicts(node.get("inputs"))]
    return [link if _is_key(link) else None for link in links]


def _iter_links(links: Any) -> Iterator[tuple[Any, tuple[str, int]]]:
    """Each link's id with the node and slot it comes from; workflows have lists, subgraphs objects."""
    for link in links if isinstance(links, list) else []:
        if isinstance(link, list) and len(link) >= 3:
            key, origin, slot = link[:3]
        elif isinstance(link, dict):
            key, origin, slot = link.get("id"), link.get("origin_id"), link.get("origin_slot")
        else:
            continue
        if _is_key(key) and _is_key(origin) and isinstance(slot, int):
            yield key, (str(origin), slot)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_key(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)
