"""From a workflow as ComfyUI's page saves it to a graph in API format, as far as it says itself. Pure.

Muted nodes are left out, bypassed ones are stepped over, subgraphs are unfolded.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from stablenew.image_metadata.graphs.graph import Nodes
from stablenew.image_metadata.graphs.widgets import iter_widgets, widget_name, without_controls

_MUTED: Final = 2
_BYPASSED: Final = 4
_EVERYWHERE: Final = "Anything Everywhere"
_PROMPTS_EVERYWHERE: Final = "Prompts Everywhere"
_SETTER: Final = "SetNode"
_NAMED_LINKS: Final = {_SETTER, "GetNode"}
_MOST_NODES: Final = 5_000
_DEEPEST: Final = 8


def convert_workflow(workflow: Any) -> Nodes | None:
    """The graph of a workflow in API format, or None when it is not a workflow."""
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


class _Value(NamedTuple):
    """What an input gets that is not a link."""

    value: Any


class _Converter:
    """One conversion; `nodes` grows while it goes on."""

    def __init__(self, subgraphs: Mapping[str, Mapping[str, Any]]) -> None:
        self._subgraphs = subgraphs
        self.nodes: dict[str, dict[str, Any]] = {}

    def convert(self, graph: Mapping[str, Any], prefix: str, outside: Mapping[int, Any], depth: int = 0) -> list[Any]:
        """Add the nodes of a graph; `outside` is what its input slots are linked to, what it gives its outputs'."""
        nodes = {str(node["id"]): node for node in _dicts(graph.get("nodes")) if isinstance(node.get("id"), (int, str))}
        links = dict(_iter_links(graph.get("links")))
        scope = _Scope(nodes, links, prefix, outside, lambda key: self._unfold(nodes[key], scope, prefix, depth))
        for key, node in nodes.items():
            if len(self.nodes) >= _MOST_NODES:
                break
            kind = node.get("type")
            if not isinstance(kind, str) or node.get("mode") in (_MUTED, _BYPASSED):
                continue
            if kind in self._subgraphs and depth < _DEEPEST:
                scope.unfold(key)
            elif kind not in {"Note", "MarkdownNote", "Reroute", *_NAMED_LINKS}:
                self.nodes[prefix + key] = {"class_type": kind, "inputs": {}, "_meta": {"title": node.get("title")}}
                self.nodes[prefix + key]["outputs"] = [output.get("name") for output in _dicts(node.get("outputs"))]
        for key, node in nodes.items():
            if prefix + key in self.nodes:
                self.nodes[prefix + key]["inputs"] = _inputs_of(node, scope)
        return scope.outputs_of(graph)

    def _unfold(self, node: Mapping[str, Any], scope: "_Scope", prefix: str, depth: int) -> list[Any] | None:
        """What the outputs of a subgraph are, whose nodes are added; None where the node is not a subgraph."""
        graph = self._subgraphs.get(str(node.get("type")))
        if graph is None or depth >= _DEEPEST or node.get("mode") in (_MUTED, _BYPASSED):
            return None
        return self.convert(graph, f"{prefix}{node['id']}:", _given_to_subgraph(node, graph, scope), depth + 1)


class _Scope:
    """The nodes and links of one level."""

    def __init__(
        self,
        nodes: Mapping[str, Any],
        links: Mapping[Any, tuple[str, int]],
        prefix: str,
        outside: Mapping[int, Any],
        unfold: Callable[[str], list[Any] | None],
    ) -> None:
        self._nodes = nodes
        self._links = links
        self._prefix = prefix
        self._outside = outside
        self._unfold = unfold
        self._given: dict[str, list[Any] | None] = {}
        """What the outputs of each subgraph are, by its node; None for a node that is not a subgraph."""

    def unfold(self, key: str) -> list[Any] | None:
        """What the outputs of a node are if it is a subgraph, which is unfolded once: before whatever asks for it."""
        if key not in self._given:
            self._given[key] = []  # what leads back to itself
            self._given[key] = self._unfold(key)
        return self._given[key]

    def resolve(self, link: Any, depth: int = 0) -> Any:
        """The node and slot that a link really comes from, as API format has it; None when it leads nowhere."""
        if link not in self._links or depth > 64:
            return None
        origin, slot = self._links[link]
        if origin == "-10":  # the inputs of the subgraph itself
            return self._outside.get(slot)
        node = self._nodes.get(origin)
        if node is None or node.get("mode") == _MUTED:
            return None
        if (outputs := self.unfold(origin)) is not None:
            return outputs[slot] if 0 <= slot < len(outputs) else None
        if node.get("type") in _NAMED_LINKS:
            return self._follow_name(node, depth)
        if node.get("mode") == _BYPASSED or node.get("type") == "Reroute":
            return self._step_over(node, slot, depth)
        return [self._prefix + origin, slot]

    def broadcast_to(self, given: Mapping[str, Any]) -> Any:
        """What an input without a link gets from a node that gives to all of a type or a name (cg-use-everywhere)."""
        link = self._broadcasts.get(str(given.get("name")), self._broadcasts.get(given.get("type")))
        return self.resolve(link) if link is not None else None

    @cached_property
    def _broadcasts(self) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for node in self._nodes.values():
            linked = [given["link"] for given in _dicts(node.get("inputs")) if _is_key(given.get("link"))]
            if node.get("type") == _PROMPTS_EVERYWHERE:
                found |= dict(zip(("positive", "negative"), linked, strict=False))
            elif str(node.get("type")).startswith(_EVERYWHERE):
                found |= {kind: link for link in linked if (kind := self._type_of(link))}
        return found

    def _type_of(self, link: Any) -> str | None:
        origin, slot = self._links.get(link, ("", -1))
        outputs = _dicts(self._nodes.get(origin, {}).get("outputs"))
        kind = outputs[slot].get("type") if 0 <= slot < len(outputs) else None
        return kind if isinstance(kind, str) and kind != "*" else None

    def _follow_name(self, node: Mapping[str, Any], depth: int) -> Any:
        """What a pair of nodes that share a name passes on in place of a link (KJNodes)."""
        name = _first_value(node)
        setter = next(
            (other for other in self._nodes.values() if other.get("type") == _SETTER and _first_value(other) == name),
            None,
        )
        given = _dicts(setter.get("inputs"))[:1] if setter else []
        return self.resolve(given[0].get("link"), depth + 1) if given else None

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
    inputs = dict(iter_widgets(node))
    for given in _dicts(node.get("inputs")):
        name, link = given.get("name"), given.get("link")
        if isinstance(name, str) and _is_key(link) and (origin := scope.resolve(link)):
            inputs[name] = origin.value if isinstance(origin, _Value) else origin
        elif isinstance(name, str) and link is None and name not in inputs and not widget_name(given):
            found = scope.broadcast_to(given)
            inputs |= {name: found} if isinstance(found, list) else {}
    return inputs


def _given_to_subgraph(node: Mapping[str, Any], graph: Mapping[str, Any], scope: _Scope) -> dict[int, Any]:
    """What each input slot of a subgraph gets: a link from outside, or the value of the widget it became."""
    slots = _dicts(graph.get("inputs"))
    at = {slot.get("name"): number for number, slot in enumerate(slots)}
    values = node.get("widgets_values")
    kept = without_controls(values) if isinstance(values, list) else []
    widgets = [number for number, slot in enumerate(slots) if _is_widget(slot, graph)]
    found: dict[int, Any] = {}
    if len(widgets) == len(kept):
        found |= {number: _Value(value) for number, value in zip(widgets, kept, strict=True)}
    for number, given in enumerate(_dicts(node.get("inputs"))):
        if _is_key(given.get("link")) and (origin := scope.resolve(given["link"])):
            found[at.get(given.get("name"), number)] = origin
    return found


def _is_widget(slot: Mapping[str, Any], graph: Mapping[str, Any]) -> bool:
    """Whether what a subgraph's input leads to is a widget inside."""
    ids = slot.get("linkIds")
    inner = (given for node in _dicts(graph.get("nodes")) for given in _dicts(node.get("inputs")))
    links = ids if isinstance(ids, list) else []
    return any(given.get("link") in links and widget_name(given) for given in inner if given.get("link") is not None)


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


def _first_value(node: Mapping[str, Any]) -> Any:
    values = node.get("widgets_values")
    return values[0] if isinstance(values, list) and values else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_key(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)
