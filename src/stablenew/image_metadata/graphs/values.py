"""The value of an input of a node: a literal, or a literal somewhere behind its link. Pure.

Text that nodes put together (concatenate, replace, trim, switch) is put together here too. What a node makes in a way
that only it knows (a language model, a tagger, a random choice) is unknown, and not one of its inputs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from stablenew.image_metadata.graphs.graph import CARRIERS, GUESSED_TEXT, Graph, Link, Place
from stablenew.image_metadata.infotext import parse_parameters
from stablenew.image_metadata.metadata import Scalar
from stablenew.image_metadata.settings import as_number

_TEXTS: Final = (
    "populated_text", "text", "string", "value", "prompt", "Text", "STRING", "String", "Prompt", "text_0",
    "wildcard_text", "text_positive", "positive", "input", "any", "anything", "source", "input_string", "text_input",
    "result", GUESSED_TEXT,
)  # fmt: skip
_WORDS: Final = ("string", "text", "Text", "STRING", "String")
_NUMBERS: Final = ("value", "int", "float", "number", "Number", "Value", "INT", "FLOAT", "seed", "input", "any", "a")
_ALIASES: Final = {
    "noise_seed": ("noise_seed", "seed"),
    "seed": ("seed", "noise_seed"),
    "cfg": ("cfg", "cfg_scale"),
    "steps": ("steps", "steps_total"),
}
_MAKERS: Final = re.compile(
    r"regex|extract|random|llm|gpt|ollama|caption|interrogat|tagger|florence|joytag|describe|translat|gemini|openai"
    r"|claude|vlm|chat|qwenvl|replace|substring|split|slice|preset|text ?generat|generate ?text|prompt ?generat"
)
_JOINERS: Final = re.compile(r"concat|join|append|combine|merge")
_DELIMITERS: Final = ("delimiter", "separator", "deliminator", "delim")
_LINE_BREAKS: Final = "linebreak_addition"
_LINE_BREAK: Final = {"true": "\n", "false": ""}
"""Nodes that have a switch for a new line join with nothing otherwise."""
_FLAGS: Final = {*_DELIMITERS, _LINE_BREAKS, "clean_whitespace", "mode", "trim", "font", "operation"}
_SHOWN: Final = "showtext"
_PROMPT_READER: Final = "sdpromptreader"
_READ_NAMES: Final = {
    "seed": "Seed",
    "noise_seed": "Seed",
    "steps": "Steps",
    "cfg": "CFG scale",
    "ckpt_name": "Model",
    "model_name": "Model",
}
_DEEPEST: Final = 24
_LONGEST_TEXT: Final = 1024 * 1024
"""Nodes that join their own output would double it again and again."""
_MOST_PARTS: Final = 100


class Found(NamedTuple):
    """A value, and where it stands if it stands somewhere as it is."""

    value: Scalar
    place: Place | None
    parts: tuple[Place, ...] = ()
    """Where the texts stand that it was put together from."""
    is_draft: bool = False
    """A program rewrote the text in a way that the graph does not say; this is what it was given."""

    @property
    def sources(self) -> tuple[Place, ...]:
        """Every place that one would write to for another value."""
        return (self.place,) if self.place else self.parts


class Values:
    """Values of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._made: dict[tuple[str, int], Found | None] = {}
        self._tried: set[tuple[str, tuple[str, ...]]] = set()
        """Nodes and names that a search has been at: nodes that lead back to each other would double it each time."""

    def scalar(self, key: str, *names: str) -> Found | None:
        """The first of some inputs of a node whose value is a number or a word."""
        for name in names:
            self._tried.clear()
            if name in self._graph.inputs(key) and (found := self._scalar(key, name, 0)):
                return found
        return None

    def _is_first_try(self, key: str, *names: str) -> bool:
        tried = len(self._tried)
        self._tried.add((key, names))
        return len(self._tried) > tried and self._graph.spend()

    def _scalar(self, key: str, name: str, depth: int) -> Found | None:
        value = self._graph.inputs(key).get(name)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return Found(value, Place(key, name))
        link = self._graph.link(value)
        if link is None or depth > _DEEPEST or not self._is_first_try(link.node, name):
            return None
        inputs = self._graph.inputs(link.node)
        if self._graph.kind(link.node) == _PROMPT_READER:
            return self._from_image(link.node, name)
        if chosen := self._graph.chosen_input(link.node):
            return self._scalar(link.node, chosen, depth + 1)
        aliases = _ALIASES.get(name, (name,))
        for wanted in (*aliases, *_NUMBERS, *_WORDS):
            if wanted in inputs and (found := self._scalar(link.node, wanted, depth + 1)):
                return found
        carriers = [carrier for carrier in self._graph.links(link.node) if carrier.name in CARRIERS]
        return next((found for carrier in carriers if (found := self._carried(carrier, aliases, depth + 1))), None)

    def _carried(self, carrier: Link, names: tuple[str, ...], depth: int) -> Found | None:
        """A value that a node passes on with many others, as it got them from the node before."""
        if depth > _DEEPEST or not self._is_first_try(carrier.node, *names, "carried"):
            return None
        inputs = self._graph.inputs(carrier.node)
        for name in names:
            if name in inputs:
                return self._scalar(carrier.node, name, depth + 1)
        onward = [link for link in self._graph.links(carrier.node) if link.name in CARRIERS]
        return next((found for link in onward if (found := self._carried(link, names, depth + 1))), None)

    def _from_image(self, key: str, name: str) -> Found | None:
        """What a node that reads the parameters of an image gives on: it keeps them as the text that it shows."""
        shown = self._graph.inputs(key).get("setting")
        value = parse_parameters(shown).get(_READ_NAMES.get(name, "")) if isinstance(shown, str) else None
        return Found(value if _READ_NAMES[name] == "Model" else as_number(value), None) if value else None

    def text(self, key: str, *names: str) -> Found | None:
        """The first of some inputs of a node whose value is a text."""
        for name in names:
            found = self._text(self._graph.inputs(key).get(name), Place(key, name), 0)
            if found:
                return found
        return None

    def _text(self, value: Any, place: Place, depth: int) -> Found | None:
        if isinstance(value, str):
            return Found(value, place)
        link = self._graph.link(value)
        if link is None or depth > _DEEPEST or not self._graph.spend():
            return None
        return self._made_text(link.node, link.slot, depth + 1) or self._draft(value, depth + 1)

    def _draft(self, value: Any, depth: int) -> Found | None:
        """The text that a switch would have passed on had it not chosen what a program makes of it."""
        for place in self._graph.unchosen_inputs(value):
            if found := self._text(self._graph.inputs(place.node)[place.input], place, depth):
                return found._replace(is_draft=True)
        return None

    def _made_text(self, key: str, slot: int, depth: int) -> Found | None:
        """The text that a node gives, worked out once."""
        if (key, slot) not in self._made:
            self._made[key, slot] = None  # what leads back to itself
            shown = self._shown.get((key, slot))
            self._made[key, slot] = Found(shown, None) if shown else self._make_text(key, slot, depth)
        return self._made[key, slot]

    @cached_property
    def _shown(self) -> dict[tuple[str, int], str]:
        """The texts that nodes of the page showed when the image was made, by the output that they came from."""
        found: dict[tuple[str, int], str] = {}
        for key in self._graph.nodes:
            text = self._graph.inputs(key).get(GUESSED_TEXT)
            if isinstance(text, str) and self._graph.kind(key).startswith(_SHOWN):
                found |= {(link.node, link.slot): text for link in self._graph.links(key)}
        return found

    def _make_text(self, key: str, slot: int, depth: int) -> Found | None:
        kind = self._graph.kind(key)
        inputs = self._graph.inputs(key)
        if "populated_text" in inputs:
            return self._text(inputs["populated_text"], Place(key, "populated_text"), depth)
        if kind in _EXACT:
            return self._exact(key, kind, depth)
        if name := self._graph.chosen_input(key):
            return self._text(inputs[name], Place(key, name), depth)
        if _MAKERS.search(kind):
            return None
        if _JOINERS.search(kind):
            return self._joined(key, depth)
        if {"positive", "negative"} <= inputs.keys():
            said = self._graph.output_name(key, slot)
            name = said if said in ("positive", "negative") else ("negative" if slot == 1 else "positive")
            return self._text(inputs[name], Place(key, name), depth)
        return self._stored(key, depth)

    def _stored(self, key: str, depth: int) -> Found | None:
        """The text that a node keeps or passes on."""
        inputs = self._graph.inputs(key)
        names = [name for name in _TEXTS if name in inputs]
        if (
            not names
            and (guess := next((value for value in inputs.values() if isinstance(value, str)), None)) is not None
        ):
            return Found(guess, None)  # perhaps the text, and nothing to write to
        links = [name for name in names if not isinstance(inputs[name], str)]
        for name in (*links, *(name for name in names if name not in links)):
            if found := self._text(inputs[name], Place(key, name), depth):
                return found
        onward = list(self._graph.links(key))
        if len(onward) == 1 and onward[0].name not in names:  # a reroute, whatever it is called
            return self._made_text(onward[0].node, onward[0].slot, depth + 1) if depth <= _DEEPEST else None
        return None

    def _joined(self, key: str, depth: int) -> Found | None:
        inputs = self._graph.inputs(key)
        delimiter, flags = self._delimiter(inputs)
        parts = [
            found
            for name, value in inputs.items()
            if name not in flags and (found := self._text(value, Place(key, name), depth))
        ]
        kept = [text for part in parts if (text := str(part.value)).strip()]
        if not parts or sum(map(len, kept)) > _LONGEST_TEXT:
            return None
        sources = dict.fromkeys(source for part in parts for source in part.sources)
        return Found(delimiter.replace("\\n", "\n").join(kept), None, tuple(sources)[:_MOST_PARTS])

    def _delimiter(self, inputs: Mapping[str, Any]) -> tuple[str, set[str]]:
        """What a joining node puts between its texts, and its inputs that are none of these."""
        given = next((inputs[name] for name in _DELIMITERS if isinstance(inputs.get(name), str)), None)
        if given is not None:
            return given, _FLAGS
        widget = inputs.get(GUESSED_TEXT)  # of a node of unknown class the one text is a switch or a delimiter
        switch = str(inputs.get(_LINE_BREAKS, widget)).casefold()
        if switch in _LINE_BREAK:
            return _LINE_BREAK[switch], _FLAGS | {GUESSED_TEXT}
        if isinstance(widget, str) and not any(letter.isalnum() for letter in widget):
            return widget, _FLAGS | {GUESSED_TEXT}
        return ", ", _FLAGS

    def _exact(self, key: str, kind: str, depth: int) -> Found | None:
        """What the core nodes that change a text make of it."""
        inputs = self._graph.inputs(key)
        text, *others = (self._text(inputs.get(name), Place(key, name), depth) for name in _EXACT[kind])
        if text is None or any(other is None for other in others):
            return None
        arguments = [str(other.value) for other in others if other]
        return Found(_CHANGES[kind](str(text.value), *arguments), None, text.sources)


def _replace(text: str, find: str, replace: str) -> str:
    is_affordable = len(text) + text.count(find) * len(replace) <= _LONGEST_TEXT if find else False
    return text.replace(find, replace) if is_affordable else text


_EXACT: Final = {
    "stringreplace": ("string", "find", "replace"),
    "stringtrim": ("string",),
    "caseconverter": ("string", "mode"),
}
_CASES: Final = {"UPPERCASE": str.upper, "lowercase": str.lower, "Capitalize": str.capitalize, "Title Case": str.title}
_CHANGES: Final[dict[str, Callable[..., str]]] = {
    "stringreplace": _replace,
    "stringtrim": lambda text: text.strip(),
    "caseconverter": lambda text, mode: _CASES.get(mode, str)(text),
}


def iter_distinct(found: Iterable[Found]) -> Iterator[Found]:
    """Each text once, blank ones left out."""
    seen: set[str] = set()
    for text in found:
        bare = str(text.value).strip()
        if bare and bare not in seen:
            seen.add(bare)
            yield text
