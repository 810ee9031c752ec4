"""Graphs of InvokeAI: one of our own for a model, or the user's, with settings in their places. Pure.

A graph is `{"id", "nodes": {id: node}, "edges": [{"source": {"node_id", "field"}, "destination": {…}}]}`; the `type` of
a node is its class.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from stablenew.errors import ConfigError, EngineError
from stablenew.formats.common_names import find_sampler, split_schedule
from stablenew.formats.settings import BY_NAME, SAMPLER, SCHEDULE
from stablenew.formats.strict_json import JsonValue, parse_loose_json

Graph: TypeAlias = dict[str, Any]
Places: TypeAlias = dict[str, list[tuple[str, str]]]
"""Where each setting stands: node and field."""

_SCHEDULERS: Final = {
    "Euler": "euler", "Euler a": "euler_a", "Heun": "heun", "LMS": "lms", "DPM2": "kdpm_2", "DPM2 a": "kdpm_2_a",
    "DPM++ 2M": "dpmpp_2m", "DPM++ SDE": "dpmpp_sde", "DPM++ 2M SDE": "dpmpp_2m_sde", "DPM++ 3M SDE": "dpmpp_3m",
    "DDIM": "ddim", "DDPM": "ddpm", "UniPC": "unipc", "LCM": "lcm", "PLMS": "pndm", "DEIS": "deis",
}  # fmt: skip
SAMPLING_NAMES: Final = {"samplers": list(_SCHEDULERS), "schedulers": ["Normal", "Karras"]}
"""What can be asked for; InvokeAI's API lists it nowhere but in its OpenAPI."""
_KARRAS: Final = "_k"
_WITHOUT_KARRAS: Final = {"euler_a", "ddim", "ddpm", "lcm", "pndm", "tcd"}
_LOADERS: Final = {
    "sd-1": ("main_model_loader", "compel"),
    "sd-2": ("main_model_loader", "compel"),
    "sdxl": ("sdxl_model_loader", "sdxl_compel_prompt"),
}
"""Loader and text node, by the base of a model."""
_TEXT_FIELDS: Final = ("prompt", "style")
_PLACE: Final = BY_NAME[SAMPLER].diffusers_part
"""InvokeAI's word for a sampler; with Karras's noise schedule it ends in `_k`."""
_DENOISE: Final = {name: name for name in ("steps", "cfg_scale", _PLACE)}


def build_graph(model: Mapping[str, Any]) -> Graph:
    """From text to an image with this model; every setting is left to InvokeAI.

    Raises:
        EngineError: no graph is known for models of this base.
    """
    base = str(model.get("base"))
    if base not in _LOADERS:
        raise EngineError(
            f"no graph is built in for models of the base {base!r}, only for {', '.join(_LOADERS)}; give one of "
            "your own: txt2img.extra.graph=FILE"
        )
    loader, text = _LOADERS[base]
    identity = {name: model.get(name) for name in ("key", "hash", "name", "base", "type")}
    kinds = {
        "model": loader, "positive": text, "negative": text, "noise": "noise", "denoise": "denoise_latents",
        "image": "l2i",
    }  # fmt: skip
    nodes = {name: {"id": name, "type": kind} for name, kind in kinds.items()}
    nodes["model"]["model"] = identity  # type: ignore[assignment]
    clips = ("clip", "clip2") if base == "sdxl" else ("clip",)
    edges = [_edge("model", clip, name, clip) for name in ("positive", "negative") for clip in clips]
    edges += [_edge(name, "conditioning", "denoise", f"{name}_conditioning") for name in ("positive", "negative")]
    edges += [
        _edge("model", "unet", "denoise", "unet"),
        _edge("noise", "noise", "denoise", "noise"),
        _edge("denoise", "latents", "image", "latents"),
        _edge("model", "vae", "image", "vae"),
    ]
    return {"id": "stablenew", "nodes": nodes, "edges": edges}


def _edge(source: str, out: str, destination: str, into: str) -> Graph:
    return {
        "source": {"node_id": source, "field": out},
        "destination": {"node_id": destination, "field": into},
    }


def read_graph(text: str | bytes, place: str) -> Graph:
    """A graph of the user's own.

    Raises:
        ConfigError: it is not a graph.
    """
    try:
        graph = parse_loose_json(text)
    except ValueError as error:
        raise ConfigError(f"{place}: expected a graph of InvokeAI as JSON: {error}") from None
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(nodes, dict) or not all(isinstance(node, dict) and "type" in node for node in nodes.values()):
        raise ConfigError(f"{place}: expected a graph of InvokeAI: an object with `nodes`, each with a `type`")
    return {**graph, "edges": graph.get("edges") or []}


def find_places(graph: Graph) -> Places:
    """Where settings stand. An input that an edge feeds is not a place: what stands there does not count."""
    found: Places = {}
    for node_id, name, field in _candidates(graph):
        if field in graph["nodes"][node_id] or _is_known(graph, node_id):
            fed = any(edge["destination"] == {"node_id": node_id, "field": field} for edge in graph["edges"])
            if not fed:
                found.setdefault(name, []).append((node_id, field))
    return found


def _is_known(graph: Graph, node_id: str) -> bool:
    """Whether the node's class has the fields below, also where the graph leaves them at their defaults."""
    return graph["nodes"][node_id]["type"] in {"denoise_latents", "noise", "compel", "sdxl_compel_prompt"}


def _candidates(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Node, setting and field, wherever a class has such a field."""
    for node_id, node in graph["nodes"].items():
        if "denoise" in node["type"]:
            yield from ((node_id, name, field) for name, field in _DENOISE.items())
            yield from _texts(graph, node_id)
        elif node["type"] == "noise" or "seed" in node:
            yield node_id, "seed", "seed"
        if node["type"] in ("noise", "blank_image"):
            yield from ((node_id, name, name) for name in ("width", "height"))


def _texts(graph: Graph, denoise: str) -> Iterator[tuple[str, str, str]]:
    for sign, name in (("positive", "prompt"), ("negative", "negative_prompt")):
        for edge in graph["edges"]:
            into = edge["destination"]
            if into["node_id"] == denoise and into["field"].startswith(sign):
                source = edge["source"]["node_id"]
                fields = _TEXT_FIELDS if graph["nodes"][source]["type"] == "sdxl_compel_prompt" else _TEXT_FIELDS[:1]
                yield from ((source, name, field) for field in fields)


def with_values(graph: Graph, places: Places, values: Mapping[str, Any]) -> Graph:
    """The graph with these values in their places; what has no place is left out."""
    changed = copy.deepcopy(graph)
    for name, value in values.items():
        for node_id, field in places.get(name, ()):
            changed["nodes"][node_id][field] = value
    return changed


def read_value(graph: Graph, places: Places, name: str) -> JsonValue:
    """What stands in the first place of a setting, None where it has none or is left at its default."""
    return next((graph["nodes"][node_id].get(field) for node_id, field in places.get(name, ())), None)


def _own_name(sampler: str, schedule: str | None) -> str:
    """InvokeAI's word for a sampler and a noise schedule.

    Raises:
        EngineError: it has none.
    """
    plain, named = split_schedule(sampler)
    found = find_sampler(plain)
    name = _SCHEDULERS.get(found.name if found else plain, plain if plain in _SCHEDULERS.values() else "")
    if not name:
        raise EngineError(f"InvokeAI has no sampler {sampler!r}; it has {', '.join(_SCHEDULERS)}")
    is_karras = (schedule or named or "").casefold() == "karras" and name not in _WITHOUT_KARRAS
    return f"{name}{_KARRAS}" if is_karras else name


def read_sampling(graph: Graph, places: Places) -> dict[str, JsonValue]:
    """Sampler and noise schedule of a graph by their common names."""
    name = read_value(graph, places, _PLACE)
    return _common_names(str(name)) if name else {}


def sampling_values(settings: Mapping[str, Any]) -> dict[str, str]:
    """The value for the place of the sampler, where one is asked for.

    Raises:
        EngineError: InvokeAI has no such sampler.
    """
    sampler = settings.get(SAMPLER)
    return {_PLACE: _own_name(str(sampler), settings.get(SCHEDULE))} if sampler else {}


def _common_names(name: str) -> dict[str, JsonValue]:
    is_karras = name.endswith(_KARRAS)
    plain = name.removesuffix(_KARRAS)
    sampler = next((common for common, theirs in _SCHEDULERS.items() if theirs == plain), plain)
    return {SAMPLER: sampler, SCHEDULE: "Karras" if is_karras else "Normal"}
