"""The model behind a sampler, and the LoRAs that are connected to it. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from stablenew.image_metadata.graphs.graph import Graph, Link
from stablenew.image_metadata.graphs.node_inputs import CHECKPOINT_INPUTS, TEXT_ENCODER_INPUTS
from stablenew.image_metadata.graphs.values import Found, Values
from stablenew.image_metadata.metadata import Lora
from stablenew.image_metadata.prompt_tags import find_loras, merge_loras

_MODEL_LINKS: Final = re.compile(
    r"model|unet|lora|pipe|tuple|context|guider|ckpt|^any|source|^input$|ctx|^$", re.IGNORECASE
)
_NOT_MODELS: Final = re.compile(r"upscale|clip_vision|style_model|control|detector|sam_model|vae|patch|audio")
_NUMBERED: Final = re.compile(r"lora_?(?:name)?_?(\d{1,4})(?:_name)?$")
_NONE: Final = {"none", ""}


class ModelChain(NamedTuple):
    """What a sampler's model is."""

    model: Found | None
    loras: tuple[Lora, ...]


class Models:
    """Models of one graph."""

    def __init__(self, graph: Graph, values: Values) -> None:
        self._graph = graph
        self._values = values

    def behind(self, sampler: str) -> ModelChain:
        """The nearest checkpoint that leads to a sampler, and every LoRA on the way to it."""
        model: Found | None = None
        loras: list[tuple[Lora, ...]] = []
        starts = [link.node for link in self._graph.links(sampler) if _leads_to_model(link)]
        for key in self._graph.walk(starts, _leads_to_model, self._is_loader):
            loras.append(tuple(self._loras_at(key)))
            model = model or self._values.scalar(key, *CHECKPOINT_INPUTS) or self._named_model(key)
        return ModelChain(model, merge_loras(*reversed(loras)))

    def text_encoder_settings(self, encoder: str) -> dict[str, Found]:
        """How the text encoder in front of a prompt's node is used, as the WebUIs count: 2 for -2."""
        starts = [encoder, *(link.node for link in self._graph.links(encoder) if "clip" in link.name)]
        settings: dict[str, Found] = {}
        for key in self._graph.walk(starts, lambda link: "clip" in link.name or "lora" in link.name):
            for name in TEXT_ENCODER_INPUTS.keys() - settings.keys():
                found = self._values.scalar(key, *TEXT_ENCODER_INPUTS[name])
                if found and isinstance(found.value, int) and found.value:
                    settings[name] = Found(abs(found.value), found.place)
            if len(settings) == len(TEXT_ENCODER_INPUTS):
                break
        return settings

    def vae_of(self, path: list[str]) -> Found | None:
        """The VAE of its own that decodes an image on its way, if there is one."""
        for key in path:
            link = self._graph.link(self._graph.inputs(key).get("vae"))
            if link:
                return self._values.scalar(link.node, "vae_name")
        return None

    def _is_loader(self, key: str) -> bool:
        return any(isinstance(self._graph.inputs(key).get(name), str) for name in CHECKPOINT_INPUTS)

    def _named_model(self, key: str) -> Found | None:
        """Loaders of other makers call it `model_name` or `model`; so do loaders of upscalers, which are not meant."""
        kind = self._graph.kind(key)
        if "load" not in kind or _NOT_MODELS.search(kind):
            return None
        return self._values.scalar(key, *(n for n in ("model_name", "model") if self._is_word(key, n)))

    def _is_word(self, key: str, name: str) -> bool:
        return isinstance(self._graph.inputs(key).get(name), str)

    def _loras_at(self, key: str) -> Iterator[Lora]:
        if "lora" not in self._graph.kind(key) and not any("lora" in name for name in self._graph.inputs(key)):
            return
        inputs = self._graph.inputs(key)
        if found := self._values.scalar(key, "lora_name", *(["lora"] if self._is_word(key, "lora") else [])):
            weight = self._values.scalar(key, "strength_model", "strength", "lora_strength", "weight")
            yield from _one_lora(found.value, weight.value if weight else None)
        for name, value in inputs.items():
            if isinstance(value, dict):
                yield from _lora_in(value)
            elif (match := _NUMBERED.fullmatch(name)) and isinstance(value, str) and _is_on(inputs, match[1]):
                yield from _one_lora(value, _numbered_weight(inputs, match[1]))
        yield from find_loras(value for value in inputs.values() if isinstance(value, str))


def _leads_to_model(link: Link) -> bool:
    return bool(_MODEL_LINKS.search(link.name)) and not _NOT_MODELS.search(link.name)


def _lora_in(value: Mapping[str, Any]) -> Iterator[Lora]:
    """One row of a loader that keeps its rows as objects (rgthree)."""
    name = value.get("lora")
    if isinstance(name, str) and value.get("on", True):
        yield from _one_lora(name, value.get("strength", value.get("strength_model")))


def _is_on(inputs: Mapping[str, Any], number: str) -> bool:
    count = inputs.get("lora_count")
    if isinstance(count, int) and int(number) > count:
        return False
    switch = inputs.get(f"switch_{number}", inputs.get(f"lora_{number}_enabled", True))
    return switch not in ("Off", "off", False)  # it may be a list, which no set can look for


def _numbered_weight(inputs: Mapping[str, Any], number: str) -> Any:
    names = ("model_weight", "strength", "lora_wt", "model_str", "lora_strength", "weight", "strength_model")
    found = (inputs.get(f"{name}_{number}") for name in names)
    other = inputs.get(f"lora_{number}_strength", inputs.get(f"lora_{number}_model_strength"))
    return next((value for value in found if value is not None), other)


def _one_lora(name: Any, weight: Any) -> Iterator[Lora]:
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if isinstance(name, str) and name.casefold() not in _NONE and not (is_number and weight == 0):
        yield Lora(name, float(weight) if is_number and abs(weight) < 1e6 else None)
