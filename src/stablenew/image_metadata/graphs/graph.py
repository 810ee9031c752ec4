"""A ComfyUI graph in API format, and walks over its links that end on any graph. Pure.

`{node id: {"class_type": …, "inputs": {name: value or [node id, slot]}}}`.
"""

import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

Nodes: TypeAlias = Mapping[str, Mapping[str, Any]]

GUESSED_TEXT: Final = "longest_text"
"""The input under which a node of unknown class has its longest text: it may be a prompt, and nothing else."""
PIPES: Final = (
    "pipe", "basic_pipe", "base_basic_pipe", "detailer_pipe", "context", "sdxl_pipe", "sdxl_tuple", "text_embeds",
)  # fmt: skip
CARRIERS: Final = (*PIPES, "guider", "ctx_01", "base_ctx")
"""Inputs that bring many values at once, each under the name that it has at the node it comes from."""
_MOST_NODES: Final = 5_000
_MOST_SWITCHES: Final = 64
_SWITCH: Final = re.compile(r"switch|branch|if ?else")
_SELECTORS: Final = ("switch", "boolean", "select", "index", "Input", "cond")
_SIDES: Final = {True: ("on_true", "true", "tt_value"), False: ("on_false", "false", "ff_value")}
_FLAGS: Final = ("value", "boolean", "bool", "int", "number", "Number")
_CHANGES_FLAG: Final = re.compile(r"not\b|logic|invert|compare")
_FIRST_OF: Final = re.compile(r"(?:ctx|any)_\d\d")
"""Inputs of switches that pass on the first that is connected (rgthree)."""
_MOST_STEPS: Final = 200_000


class Place(NamedTuple):
    """One input of one node."""

    node: str
    input: str

    def __str__(self) -> str:
        return f"{self.node}.{self.input}"


class Link(NamedTuple):
    """An input whose value is another node's output."""

    name: str
    node: str
    slot: int


def find_nodes(value: Any) -> Nodes | None:
    """The nodes of a graph in API format, without what programs put beside them; None when it is not a graph."""
    if not isinstance(value, dict):
        return None
    nodes = {
        str(key): node
        for key, node in value.items()
        if isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
    }
    return nodes if 0 < len(nodes) <= _MOST_NODES else None


class Graph:
    """A graph to ask and to walk over; all walks together are bounded."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._steps = _MOST_STEPS
        self._links: dict[str, tuple[Link, ...]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    def kind(self, key: str) -> str:
        """The class of a node, in small letters."""
        return str(self.nodes[key]["class_type"]).casefold()

    def class_type(self, key: str) -> str:
        """The class of a node as it stands."""
        return str(self.nodes[key]["class_type"])

    def output_name(self, key: str, slot: int) -> str:
        """What an output of a node is called, in small letters; empty where only the page would know."""
        names = self.nodes[key].get("outputs")
        name = names[slot] if isinstance(names, list) and 0 <= slot < len(names) else None
        return name.casefold() if isinstance(name, str) else ""

    def title(self, key: str) -> str | None:
        """What a person called a node."""
        meta = self.nodes[key].get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        return title if isinstance(title, str) else None

    def inputs(self, key: str) -> Mapping[str, Any]:
        """The inputs of a node by name."""
        inputs: Mapping[str, Any] = self.nodes[key]["inputs"]
        return inputs

    def link(self, value: Any, name: str = "") -> Link | None:
        """The link that a value is, if it leads to a node of this graph; what a switch passes on stands for it."""
        found = self._direct_link(value, name)
        for _ in range(_MOST_SWITCHES):
            chosen = self.chosen_input(found.node) if found else None
            onward = self._direct_link(self.inputs(found.node)[chosen], name) if found and chosen else None
            if onward is None:
                break
            # a context of several values keeps its slot, whichever context it is
            found = onward if found is None or onward.slot or not found.slot else onward._replace(slot=found.slot)
        return found

    def _direct_link(self, value: Any, name: str = "") -> Link | None:
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], (str, int)):
            return None
        node, slot = str(value[0]), value[1]
        return Link(name, node, slot) if isinstance(slot, int) and node in self.nodes else None

    def chosen_input(self, key: str) -> str | None:
        """The input that a switch passes on; None for other nodes, and where only a run would decide."""
        if not _SWITCH.search(self.kind(key)):
            return None
        inputs = self.inputs(key)
        chosen = next((flag for name in _SELECTORS if (flag := self._flag(inputs.get(name))) is not None), None)
        if chosen is None:
            return next((name for name in sorted(inputs) if _FIRST_OF.fullmatch(name)), None)
        if isinstance(chosen, bool):
            return next((name for name in _SIDES[chosen] if name in inputs), None)
        return next((name for name in inputs if re.fullmatch(rf"\D+0?{chosen}", name)), None)

    def unchosen_inputs(self, value: Any) -> tuple[Place, ...]:
        """The sides that the switch behind a link does not pass on."""
        link = self._direct_link(value)
        chosen = self.chosen_input(link.node) if link else None
        if link is None or chosen is None:
            return ()
        sides = (name for names in _SIDES.values() for name in names)
        return tuple(Place(link.node, name) for name in sides if name != chosen and name in self.inputs(link.node))

    def _flag(self, value: Any, depth: int = 0) -> bool | int | None:
        """A truth value or a number that stands in a node behind a link, or here."""
        if isinstance(value, int):
            return value
        link = self._direct_link(value)
        if link is None or depth > _MOST_SWITCHES or _CHANGES_FLAG.search(self.kind(link.node)):
            return None
        inputs = self.inputs(link.node)
        name = next((name for name in _FLAGS if name in inputs), None)
        return self._flag(inputs[name], depth + 1) if name else None

    def links(self, key: str) -> tuple[Link, ...]:
        """Every input of a node that is another node's output; none once the graph proved too large."""
        if key not in self._links:
            inputs = self.inputs(key)
            if not self.spend(len(inputs)):
                return ()
            found = (self.link(value, name) for name, value in inputs.items())
            self._links[key] = tuple(link for link in found if link)
        return self._links[key]

    def walk(
        self,
        starts: Iterable[str],
        follow: Callable[[Link], bool],
        stop: Container[str] | Callable[[str], bool] = (),
    ) -> Iterator[str]:
        """Nodes behind some others along the links that `follow` accepts, the nearest first.

        A node at which `stop` holds is given, and nothing behind it.
        """
        is_stop = stop if callable(stop) else stop.__contains__
        todo = deque(dict.fromkeys(starts))
        seen = set(todo)
        while todo and self._steps > 0:
            key = todo.popleft()
            self._steps -= 1
            yield key
            if is_stop(key):
                continue
            for link in self.links(key):
                self._steps -= 1
                if link.node not in seen and follow(link):
                    seen.add(link.node)
                    todo.append(link.node)

    def spend(self, steps: int = 1) -> bool:
        """Count steps of another kind of walk; False when there are none left."""
        self._steps -= steps
        return self._steps > 0

    @property
    def is_exhausted(self) -> bool:
        """Whether a walk ended because the graph is too large."""
        return self._steps <= 0
