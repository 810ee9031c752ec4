"""Where in a workflow the settings stand, so that it can be used as a template. Pure.

The graph reader of `image_metadata` tells which input of which node is the prompt, the seed, the steps. Where a graph
has several passes, each place that means the same gets the same value: the prompt goes to every pass that has that
text, the steps to every pass of the same schedule; a second pass with numbers of its own keeps them. Where places
disagree, the titles that a person gave to nodes decide, and where these do not, nothing does: the setting is undecided.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from stablenew.engines.comfyui.graph import Bindings, Graph, is_link, read_value
from stablenew.formats.settings import INHERITED
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.graphs.graph import Graph as GraphReader
from stablenew.image_metadata.graphs.graph import Place, find_nodes
from stablenew.image_metadata.graphs.node_inputs import SAMPLER_INPUTS, TEXT_ENCODER_INPUTS
from stablenew.image_metadata.graphs.outputs import GraphOutput, SamplingPass, read_outputs
from stablenew.image_metadata.graphs.values import Values

_ENCODER_TEXTS: Final = {
    "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "bert", "mt5xl", "qwen25_7b", "populated_text",
    "wildcard_text",
}  # fmt: skip
"""Inputs of one node that are meant to have the same text."""
_OF_SAMPLER: Final = (*(name for name in SAMPLER_INPUTS if name != "seed"), "model")
_OF_OUTPUT: Final = ("width", "height", "batch_size", "vae", *TEXT_ENCODER_INPUTS)
_ALONG: Final = tuple(name for name in SAMPLER_INPUTS if name in INHERITED)
"""Settings that later passes share with the first one, as long as they have the same value."""
_ANYWHERE: Final = {
    **TEXT_ENCODER_INPUTS,
    "factor": ("scale_by", "upscale_by"),
    "confidence": ("bbox_threshold",),
    "mask_feather": ("feather",),
}
_BY_CLASS: Final = {"upscaler": ("model_name", "upscalemodel"), "detector": ("model_name", "detector")}
_CHECKPOINTS: Final = ("ckpt_name", "unet_name")
_STEP_INPUTS: Final = ("start_at_step", "end_at_step", "step")
_TITLES: Final = {
    "prompt": r"positive|prompt",
    "negative_prompt": r"negative",
    "cfg_scale": r"cfg",
    "image": r"input|init|image",
}
_DEFAULT_TITLES: Final = {"CLIP Text Encode (Prompt)", "Load Image"}
_Groups: TypeAlias = list[list[Place]]


@dataclass(frozen=True, slots=True)
class WorkflowBindings:
    """Where settings stand in a workflow."""

    places: Bindings
    undecided: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    """Settings for which several places fit, and which nothing decides."""
    handovers: tuple[Place, ...] = ()
    """Steps at which one pass of a schedule ends and the next begins; they move with the number of steps."""


def find_bindings(graph: Graph) -> WorkflowBindings:
    """Where the settings stand, found by walking back from the nodes that give images."""
    nodes = find_nodes(graph)
    return _BindingSearch(graph, read_outputs(nodes)).find() if nodes else WorkflowBindings({})


class _BindingSearch:
    """One search in one workflow."""

    def __init__(self, graph: Graph, outputs: tuple[GraphOutput, ...]) -> None:
        self._graph = graph
        self._reader = GraphReader(graph)
        self._values = Values(self._reader)
        self._outputs = [output for output in outputs if not output.is_preview] or list(outputs)
        self._passes = list({found.node: found for output in self._outputs for found in output.passes}.values())
        self._bases = list(
            {output.passes[0].node: output.passes[0] for output in self._outputs if output.passes}.values()
        )
        self._reachable = list(self._reader.walk([output.node for output in self._outputs], lambda _: True))

    def find(self) -> WorkflowBindings:
        """Every setting that has a place."""
        groups = {name: found for name, found in self._groups() if any(found)}
        places = {name: chosen for name, found in groups.items() if (chosen := self._choose(name, found))}
        undecided = {
            name: tuple(place for group in found for place in group)
            for name, found in groups.items()
            if name not in places
        }
        for name in _ALONG:
            places[name] = [*places.get(name, ()), *self._same_in_later_passes(name, places.get(name))]
        shared = self._shared_schedule(places.get("steps", []))
        places["steps"] = [*places.get("steps", ()), *shared]
        places["height"] = _apart(places.get("height", []), places.get("width", []))
        kept = {name: list(dict.fromkeys(found)) for name, found in places.items() if found}
        return WorkflowBindings(kept, undecided, self._handovers(kept.get("steps", [])))

    def _groups(self) -> Iterator[tuple[str, _Groups]]:
        """Each setting with the places that it may go to; those of a group get the same value."""
        yield "prompt", self._text_groups([found.prompt_places for found in self._passes] or self._elsewhere("prompt"))
        yield "negative_prompt", self._text_groups([found.negative_places for found in self._passes])
        yield "seed", [self._seeds()]
        for name in _OF_SAMPLER:
            yield name, self._by_value(found.places[name] for found in self._bases if name in found.places)
        for name in _OF_OUTPUT:
            yield name, self._by_value(found.places[name] for found in self._outputs if name in found.places)
        if not self._passes:
            yield "model", self._first(self._reachable, _CHECKPOINTS)
        for name, fields in _ANYWHERE.items():
            if not any(name in output.places for output in self._outputs):
                yield name, self._first(self._reachable, fields)
        for name, (field_name, word) in _BY_CLASS.items():
            yield name, self._first((key for key in self._reachable if word in self._reader.kind(key)), (field_name,))
        yield "image", self._images()

    def _elsewhere(self, name: str) -> list[tuple[Place, ...]]:
        return [(output.places[name],) for output in self._outputs if name in output.places]

    def _seeds(self) -> list[Place]:
        if not self._passes:
            return [output.places["seed"] for output in self._outputs if "seed" in output.places]
        return [found.places["seed"] for found in self._passes if "seed" in found.places]

    def _text_groups(self, passes: Iterable[tuple[Place, ...]]) -> _Groups:
        """Texts of one node or with the same words belong together; a blank one counts only where there is no other."""
        groups: dict[Any, list[Place]] = {}
        for place in dict.fromkeys(place for places in passes for place in places):
            words = str(read_value(self._graph, place)).strip()
            key: Any = place.node if place.input in _ENCODER_TEXTS else words
            groups.setdefault(key, []).append(place)
        return self._merged([group for group in groups.values() if self._words(group)] or list(groups.values())[:1])

    def _merged(self, groups: _Groups) -> _Groups:
        found: dict[frozenset[str], list[Place]] = {}
        for group in groups:
            found.setdefault(self._words(group), []).extend(group)
        return list(found.values())

    def _words(self, group: Iterable[Place]) -> frozenset[str]:
        return frozenset(words for place in group if (words := str(read_value(self._graph, place)).strip()))

    def _by_value(self, places: Iterable[Place]) -> _Groups:
        found: dict[Any, list[Place]] = {}
        for place in dict.fromkeys(places):
            found.setdefault(read_value(self._graph, place), []).append(place)
        return list(found.values())

    def _first(self, keys: Iterable[str], fields: Iterable[str]) -> _Groups:
        names = tuple(fields)
        for key in keys:
            for name in names:
                value = self._reader.inputs(key).get(name)
                if value is not None and not is_link(value):
                    return [[Place(key, name)]]
        return []

    def _images(self) -> _Groups:
        """The images that are painted on; where there are none, those that guide."""
        loaders = [
            key for key in self._reachable if "loadimage" in (kind := self._reader.kind(key)) and "mask" not in kind
        ]
        painted = {key for output in self._outputs for key in output.image_path}
        chosen = [key for key in loaders if key in painted] or loaders
        return [group for key in chosen for group in self._first([key], ("image",))]

    def _choose(self, name: str, groups: _Groups) -> list[Place]:
        """The only group; or the only one with a node that a person named so."""
        if len(groups) == 1:
            return groups[0]
        words = _TITLES.get(name, name.replace("_", "[ _]"))
        exact = re.compile(rf"(the )?({words})( prompt| text)?", re.IGNORECASE)
        within = re.compile(words, re.IGNORECASE)
        for matches in (exact.fullmatch, within.search):
            named = [group for group in groups if any(matches(title) for title in self._titles(name, group))]
            if len(named) == 1:
                return named[0]
        return []

    def _titles(self, name: str, group: Iterable[Place]) -> Iterator[str]:
        for place in group:
            title = self._reader.title(place.node)
            is_default = title in _DEFAULT_TITLES or title == self._reader.class_type(place.node)
            if title and not is_default and not (name == "prompt" and "negative" in title.casefold()):
                yield title.strip()

    def _same_in_later_passes(self, name: str, first: list[Place] | None) -> list[Place]:
        if not first:
            return []
        value = read_value(self._graph, first[0])
        places = (found.places[name] for found in self._passes if name in found.places)
        return [place for place in places if read_value(self._graph, place) == value]

    def _shared_schedule(self, first: list[Place]) -> list[Place]:
        """The steps of passes that go on where the one before stopped (base and refiner), or begin as it began."""
        found = list(first)
        for output in self._outputs:
            for before, after in zip(output.passes, output.passes[1:], strict=False):
                if before.places.get("steps") in found and self._goes_on(before, after):
                    found.append(after.places["steps"])
        return found[len(first) :]

    def _goes_on(self, before: SamplingPass, after: SamplingPass) -> bool:
        if "steps" not in after.places or before.settings.get("steps") != after.settings.get("steps"):
            return False
        end = self._values.scalar(before.node, "end_at_step")
        start = self._values.scalar(after.node, "start_at_step")
        is_from_noise = all(found.settings.get("denoising_strength") == 1 for found in (before, after))
        return end.value == start.value if end and start else is_from_noise

    def _handovers(self, steps: list[Place]) -> tuple[Place, ...]:
        found = []
        for sampling in self._passes:
            if sampling.places.get("steps") not in steps:
                continue
            for key in self._reader.walk([sampling.node], lambda link: link.name == "sigmas"):
                found += [at.place for name in _STEP_INPUTS if (at := self._values.scalar(key, name)) and at.place]
        return tuple(dict.fromkeys(found))


def describe_bindings(graph: Graph, found: WorkflowBindings) -> dict[str, JsonValue]:
    """Each setting with its places and what stands in the first of them now; and those that are undecided."""
    return {
        "bindings": {
            name: {"places": [str(place) for place in places], "value": read_value(graph, places[0])}
            for name, places in found.places.items()
        },
        "undecided": {
            name: {str(place): read_value(graph, place) for place in places} for name, places in found.undecided.items()
        },
    }


def _apart(places: list[Place], others: list[Place]) -> list[Place]:
    """Places without those of another setting, unless that leaves none: one place may hold width and height."""
    return [place for place in places if place not in others] or places


def scaled_handovers(graph: Graph, bindings: WorkflowBindings, steps: Any) -> dict[Place, int]:
    """Where passes hand over when the schedule has `steps` steps: at the same part of it as in the workflow."""
    places = bindings.places.get("steps")
    before = read_value(graph, places[0]) if places else None
    if not isinstance(before, int) or not isinstance(steps, int) or before < 2 or steps in {before, 0, 1}:
        return {}
    inner = {place: read_value(graph, place) for place in bindings.handovers}
    return {
        place: min(max(round(step * steps / before), 1), steps - 1)
        for place, step in inner.items()
        if isinstance(step, int) and 0 < step < before
    }
