"""The texts behind a conditioning, through whatever changes it on the way. Pure."""

from typing import Any, Final, Literal

from stablenew.image_metadata.graphs.graph import CARRIERS, Graph, Link, Place
from stablenew.image_metadata.graphs.node_inputs import CHECKPOINT_INPUTS
from stablenew.image_metadata.graphs.values import Found, Values, iter_distinct

Role = Literal["positive", "negative"]
ROLES: Final[tuple[Role, ...]] = ("positive", "negative")

_ENCODED: Final = (
    "populated_text", "text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "prompt", "wildcard_text",
    "longest_text", "user_prompt", "bert", "mt5xl", "qwen25_7b", "caption", "instruction", "tags",
    "lyrics", "styled_text",
)  # fmt: skip
_CHOSEN: Final = "populated_text"
_OF_ROLE: Final = {
    "positive": ("positive", "positive_prompt", "text_positive", "prompt_positive", "positive_text", "prompt"),
    "negative": ("negative", "negative_prompt", "text_negative", "prompt_negative", "negative_text"),
}
_NO_TEXT: Final = {
    "model", "clip", "vae", "control_net", "image", "images", "pixels", "latent", "samples", "mask", "style_model",
    "clip_vision", "clip_vision_output", "start_image", "end_image", "reference_image", "control_video",
}  # fmt: skip
_DEEPEST: Final = 200


class Conditionings:
    """Texts of one graph."""

    def __init__(self, graph: Graph, values: Values) -> None:
        self._graph = graph
        self._values = values

    def texts_of(self, sampler: str, role: Role) -> list[Found]:
        """The texts that a sampler was given in a role, each once; a blank one only where there is no other."""
        found = self.all_texts_of(sampler, role)
        return list(iter_distinct(found)) or found[:1]

    def all_texts_of(self, sampler: str, role: Role) -> list[Found]:
        """The same for every place that holds a text, also where several hold the same one."""
        self._seen: set[tuple[str, Role]] = set()
        return self._of_holder(sampler, role, 0)

    def encoders_of(self, sampler: str) -> list[str]:
        """The nodes that encode the positive texts of a sampler."""
        return list(dict.fromkeys(found.place.node for found in self.texts_of(sampler, "positive") if found.place))

    def _of_holder(self, key: str, role: Role, depth: int) -> list[Found]:
        """The texts of a node that has one conditioning for each role, or gets them from another such node."""
        if depth > _DEEPEST or not self._graph.spend():
            return []
        inputs = self._graph.inputs(key)
        names = [role, *(("conditioning", "cond1", "cond") if role == "positive" else ())]
        names += [*_OF_ROLE[role], *(name for name in inputs if name.endswith(f"_{role}"))]
        for name in (*(["cond2"] if self._is_negative_cond2(key, role) else []), *names):
            value = inputs.get(name)
            if isinstance(value, str):
                return [Found(value, Place(key, name))]
            if link := self._graph.link(value, name):
                return self._behind(link, role, depth + 1)
        carriers = [link for link in self._graph.links(key) if link.name in CARRIERS]
        return [found for link in carriers for found in self._of_holder(link.node, role, depth + 1)]

    def _is_negative_cond2(self, key: str, role: Role) -> bool:
        """Whether the second conditioning of DualCFGGuider is a negative one: its `negative` may be anything then."""
        link = self._graph.link(self._graph.inputs(key).get("cond2")) if role == "negative" else None
        return link is not None and link.slot == 1 and {"positive", "negative"} <= self._graph.inputs(link.node).keys()

    def _behind(self, link: Link, role: Role, depth: int) -> list[Found]:
        key = link.node
        if depth > _DEEPEST or (key, role) in self._seen or not self._graph.spend():
            return []
        self._seen.add((key, role))
        if "zeroout" in self._graph.kind(key):
            return []
        inputs = self._graph.inputs(key)
        changed = [found for found in self._graph.links(key) if found.name.startswith(("conditioning", "cond"))]
        if changed:  # what else stands there, such as the label of a box, is not the prompt
            return [text for found in changed for text in self._behind(found, role, depth + 1)]
        if {"positive", "negative"} <= inputs.keys():
            return self._of_holder(key, self._role_of(link, role), depth + 1)
        if any(name in inputs for name in _ENCODED):
            return self._encoded(key, role)
        return self._encoded(key, role) or self._elsewhere(key, role, depth)

    def _role_of(self, link: Link, role: Role) -> Role:
        """The role of one output of a node that has both."""
        key = link.node
        if link.name in CARRIERS:
            return role
        said = self._graph.output_name(key, link.slot)
        if said in ROLES:
            return "positive" if said == "positive" else "negative"
        if self._is_loader(key):
            return role
        at = link.slot - self._passes_model(key)
        return ROLES[at] if 0 <= at < len(ROLES) else role

    def _passes_model(self, key: str) -> bool:
        """Whether the first output of a node is the model that it got."""
        return self._graph.link(self._graph.inputs(key).get("model")) is not None

    def _is_loader(self, key: str) -> bool:
        """Whether a node loads a model and encodes its own texts: its first output is the model."""
        inputs = self._graph.inputs(key)
        return isinstance(inputs["positive"], str) or any(name in inputs for name in CHECKPOINT_INPUTS)

    def _encoded(self, key: str, role: Role) -> list[Found]:
        inputs = self._graph.inputs(key)
        # what a node chose among wildcards is what it encodes, and not the text that they stand in
        names = [_CHOSEN] if _CHOSEN in inputs else [name for name in _ENCODED if name in inputs]
        texts = [found for name in names if (found := self._values.text(key, name))]
        if not texts and any(name in self._graph.inputs(key) for name in _OF_ROLE[role]):
            texts = [found for found in [self._values.text(key, *_OF_ROLE[role])] if found]
        return texts

    def _elsewhere(self, key: str, role: Role, depth: int) -> list[Found]:
        """Behind a node that we know nothing of: whatever it got that may be a conditioning."""
        links = [link for link in self._graph.links(key) if link.name not in _NO_TEXT]
        named = [link for link in links if link.name == role]
        return [text for link in named or links for text in self._behind(link, role, depth + 1)]


def join_texts(found: list[Found]) -> Any:
    """Several texts of one role as one; None when there is none."""
    return "\n".join(str(text.value) for text in found) if found else None
