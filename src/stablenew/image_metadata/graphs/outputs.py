"""What each output node of a graph shows: how its image was made, and where each fact stands. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stablenew.image_metadata.graphs.conditioning import ROLES, Conditionings, join_texts
from stablenew.image_metadata.graphs.graph import Graph, Nodes, Place
from stablenew.image_metadata.graphs.models import Models
from stablenew.image_metadata.graphs.node_inputs import CHECKPOINT_INPUTS, SIZE_INPUTS
from stablenew.image_metadata.graphs.sampling import Samplers
from stablenew.image_metadata.graphs.values import Found, Values
from stablenew.image_metadata.metadata import InputImage, Lora, Scalar
from stablenew.image_metadata.settings import convert, read_size, sort_settings

_IMAGES: Final = {"images", "image", "video", "frames", "pixels", "filenames", "image_pass", "images_opt", "image_1"}
_SHOWS: Final = ("preview", "compare", "show", "display")
_MOST_OUTPUTS: Final = 32
_PROMPTS: Final = ("prompt", "text_prompt", "positive_prompt", "prompt_text", "main_prompt")
_NEGATIVES: Final = ("negative_prompt", "negative_main_prompt")
_LOADS: Final = ("loadimage", "load image", "imageload", "image load", "load_image")
_PLAIN: Final = ("save", "preview", "loadimage", "load image", "imagescale", "reroute", "mask")


@dataclass(frozen=True, slots=True)
class SamplingPass:
    """One sampler on the way to an image."""

    node: str
    settings: Mapping[str, Scalar]
    places: Mapping[str, Place]
    prompt: str | None = None
    negative_prompt: str | None = None
    loras: tuple[Lora, ...] = ()
    prompt_places: tuple[Place, ...] = ()
    """Every input that holds a text of the prompt, also parts of one that nodes put together."""
    negative_places: tuple[Place, ...] = ()
    is_draft: bool = False
    """A program rewrote the prompt; this is what it was given."""


@dataclass(frozen=True, slots=True)
class GraphOutput:
    """How the image of one output node was made."""

    node: str
    class_type: str
    title: str | None
    is_preview: bool
    """The node shows and does not save."""
    filename_prefix: str | None
    passes: tuple[SamplingPass, ...]
    """Base first; empty for an image that no sampler made."""
    settings: Mapping[str, Scalar]
    """Of the base pass, under the standard names; `denoising_strength` is that of the last pass when there are several,
    as the WebUIs write it."""
    places: Mapping[str, Place]
    """Where each setting, `prompt` and `negative_prompt` stand, unless they are put together from several."""
    prompt: str | None = None
    negative_prompt: str | None = None
    loras: tuple[Lora, ...] = ()
    input_images: tuple[InputImage, ...] = ()
    image_path: tuple[str, ...] = ()
    """The nodes that the image itself went through."""
    is_complete: bool = True
    """Whether the graph was small enough to be read whole."""
    is_passed_on: bool = False
    """The image was loaded, and nothing that could change it stands between."""

    @property
    def is_generated(self) -> bool:
        """Whether the graph says how the image was made."""
        return bool(self.passes or self.prompt)


@dataclass(slots=True)
class _Facts:
    """Values and their places, as they are found."""

    settings: dict[str, Scalar] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def add(self, name: str, found: Found | None) -> None:
        """Take in a value; one that says nothing, such as a seed of -1 or no name, still has its place."""
        if found is None or name in self.settings:
            return
        if found.place:
            self.places[name] = found.place
        value = convert(name, found.value)
        if value is not None:
            self.settings[name] = value


def read_outputs(nodes: Nodes) -> tuple[GraphOutput, ...]:
    """Every output of a graph, those that save before those that show; at most 32."""
    graph = Graph(nodes)
    reader = _OutputReader(graph)
    found = [reader.read(key) for key in _find_outputs(graph)[:_MOST_OUTPUTS]]
    kept = [output for output in found if output.is_generated] or found
    return tuple(sorted(kept, key=lambda output: output.is_preview))


def read_output(nodes: Nodes, node: str) -> GraphOutput | None:
    """What one node of a graph shows, whatever it is; None where there is no such node."""
    return _OutputReader(Graph(nodes)).read(node) if node in nodes else None


def _find_outputs(graph: Graph) -> list[str]:
    """Nodes that nobody goes on from and nodes that save, those that take images where there are such."""
    used = {link.node for key in graph.nodes for link in graph.links(key)}
    ends = [key for key in graph.nodes if key not in used or "saveimage" in graph.kind(key).replace(" ", "")]
    with_images = [key for key in ends if any(link.name in _IMAGES for link in graph.links(key))]
    return with_images or [key for key in ends if graph.links(key)] or ends


class _OutputReader:
    """A reader of the outputs of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values = Values(graph)
        self._samplers = Samplers(graph, self._values)
        self._models = Models(graph, self._values)
        self._conditionings = Conditionings(graph, self._values)

    def read(self, key: str) -> GraphOutput:
        """What one output node shows."""
        samplers = self._samplers.passes_to(key)
        passes = tuple(self._read_pass(sampler) for sampler in samplers)
        path = self._samplers.image_path(key)
        if passes:
            return self._build(key, passes, *self._sampled(samplers, passes, path), path)
        return self._build(key, (), *self._made_elsewhere(path), path)

    def _build(
        self,
        key: str,
        passes: tuple[SamplingPass, ...],
        facts: _Facts,
        prompts: tuple[str | None, str | None],
        path: list[str],
    ) -> GraphOutput:
        kind = self._graph.kind(key)
        prefix = self._values.text(key, "filename_prefix", "filename")
        images = self._input_images(key, set(path))
        return GraphOutput(
            node=key,
            class_type=self._graph.class_type(key),
            title=self._graph.title(key),
            is_preview=any(word in kind for word in _SHOWS) and "save" not in kind,
            filename_prefix=str(prefix.value) if prefix else None,
            passes=passes,
            settings=sort_settings(facts.settings),
            places=facts.places,
            prompt=prompts[0],
            negative_prompt=prompts[1],
            loras=_all_loras(passes),
            input_images=images,
            image_path=tuple(path),
            is_complete=not self._graph.is_exhausted,
            is_passed_on=bool(images) and not passes and all(self._is_plain(node) for node in path),
        )

    def _sampled(
        self, samplers: list[str], passes: tuple[SamplingPass, ...], path: list[str]
    ) -> tuple[_Facts, tuple[str | None, str | None]]:
        base = passes[0]
        facts = _Facts(dict(base.settings), dict(base.places))
        last = passes[-1].settings.get("denoising_strength")
        if len(passes) > 1 and isinstance(last, float) and last < 1:
            facts.settings["denoising_strength"] = last
            facts.places.pop("denoising_strength", None)
        self._read_size(samplers[0], facts)
        facts.add("vae", self._models.vae_of(path))
        for encoder in self._conditionings.encoders_of(samplers[0])[:1]:
            for name, found in self._models.text_encoder_settings(encoder).items():
                facts.add(name, found)
        return facts, (base.prompt, base.negative_prompt)

    def _read_pass(self, sampler: str) -> SamplingPass:
        facts = _Facts()
        for name, found in self._samplers.settings_of(sampler).items():
            facts.add(name, found)
        chain = self._models.behind(sampler)
        facts.add("model", chain.model)
        positive = self._conditionings.texts_of(sampler, "positive")
        # what is made from the positive text, or is the very same text, is not a negative prompt
        negative = [text for text in self._conditionings.texts_of(sampler, "negative") if text not in positive]
        for name, texts in (("prompt", positive), ("negative_prompt", negative)):
            if len(texts) == 1 and texts[0].place:
                facts.places[name] = texts[0].place
        guidance = self._guidance(sampler)
        facts.add("distilled_cfg_scale", guidance)
        return SamplingPass(
            sampler,
            sort_settings(facts.settings),
            facts.places,
            join_texts(positive),
            join_texts(negative),
            chain.loras,
            *self._text_places(sampler),
            is_draft=any(text.is_draft for text in positive),
        )

    def _text_places(self, sampler: str) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
        found = [
            dict.fromkeys(place for text in self._conditionings.all_texts_of(sampler, role) for place in text.sources)
            for role in ROLES
        ]
        return tuple(found[0]), tuple(place for place in found[1] if place not in found[0])

    def _guidance(self, sampler: str) -> Found | None:
        starts = [link.node for link in self._graph.links(sampler) if link.name in {"positive", "guider"}]
        for key in self._graph.walk(starts, lambda link: link.name in {"positive", "conditioning", "guider"}):
            if "guidance" in self._graph.inputs(key):
                return self._values.scalar(key, "guidance")
        return None

    def _read_size(self, sampler: str, facts: _Facts) -> None:
        for key in self._samplers.image_path(sampler):
            inputs = self._graph.inputs(key)
            names = next((names for names in SIZE_INPUTS if inputs.keys() >= set(names)), None)
            is_begun = "vae" in inputs or not any(name in inputs for name in ("image", "images", "samples"))
            if names and is_begun:  # not scaled: what encodes an image begins a latent image of its own
                for setting, name in zip(("width", "height", "batch_size"), (*names, "batch_size"), strict=True):
                    facts.add(setting, self._values.scalar(key, name))
                return
            if isinstance(inputs.get("dimensions"), str):
                facts.settings |= read_size(inputs["dimensions"].partition("(")[0])
                return

    def _made_elsewhere(self, path: list[str]) -> tuple[_Facts, tuple[str | None, str | None]]:
        """An image that a service made, or nodes that give all they know on as one: the one with a prompt says how."""
        facts = _Facts()
        for key in path:
            found = self._values.text(key, *_PROMPTS)
            if found is None:
                continue
            for holder in [key, *self._holders(path)]:
                for name, setting in self._samplers.settings_of(holder).items():
                    facts.add(name, setting)
                for name in ("width", "height"):
                    facts.add(name, self._values.scalar(holder, name))
            facts.add("model", self._model_of(key, path))
            negative = self._values.text(key, *_NEGATIVES)
            if found.place:
                facts.places["prompt"] = found.place
            return facts, (str(found.value), str(negative.value) if negative else None)
        return facts, (None, None)

    def _holders(self, path: list[str]) -> list[str]:
        return [key for key in path if {"seed", "steps"} <= self._graph.inputs(key).keys()][:1]

    def _model_of(self, key: str, path: list[str]) -> Found:
        """The model that a node names, else a checkpoint on the way to it, else the node: a service has one model."""
        named = self._values.scalar(key, "model", "model_name")
        loaded = (self._values.scalar(node, *CHECKPOINT_INPUTS) for node in path)
        return named or next(filter(None, loaded), None) or Found(self._graph.class_type(key), None)

    def _input_images(self, output: str, path: set[str]) -> tuple[InputImage, ...]:
        found = {}
        for key in self._graph.walk([output], lambda _: True):
            name = self._graph.inputs(key).get("image")
            if isinstance(name, str) and any(word in self._graph.kind(key) for word in _LOADS):
                found[key] = InputImage(name, "init" if key in path else "reference", self._hash_of(key))
        return tuple(found.values())

    def _hash_of(self, key: str) -> str | None:
        """ComfyUI writes the SHA-256 of a loaded image beside its name (`IS_CHANGED` of LoadImage)."""
        changed = self._graph.nodes[key].get("is_changed")
        digest = changed[0] if isinstance(changed, list) and changed else None
        return digest if isinstance(digest, str) and len(digest) == 64 else None

    def _is_plain(self, key: str) -> bool:
        return any(word in self._graph.kind(key) for word in _PLAIN)


def _all_loras(passes: Iterable[SamplingPass]) -> tuple[Lora, ...]:
    found: dict[str, Lora] = {}
    for sampling in passes:
        for lora in sampling.loras:
            found.setdefault(lora.name, lora)
    return tuple(found.values())
