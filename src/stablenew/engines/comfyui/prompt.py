"""From a stage's request to the workflow that ComfyUI is given, and to what it says ran."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from stablenew.engines.comfyui.bindings import WorkflowBindings, find_bindings, scaled_handovers
from stablenew.engines.comfyui.graph import (
    Graph,
    check_graph,
    describe_node,
    parse_place,
    read_graph,
    read_value,
    read_values,
    with_loras,
    with_values,
)
from stablenew.engines.comfyui.output_facts import read_facts
from stablenew.engines.comfyui.workflows import PIXEL_METHODS, build_workflow, with_vae
from stablenew.engines.engine import EngineImage, StageRequest
from stablenew.engines.engine_http import whole_text
from stablenew.errors import EngineError
from stablenew.formats.common_names import UPSCALER_FILES, checkpoint_stem, split_schedule
from stablenew.formats.digest import digest_bytes
from stablenew.formats.prompt_text import EMBEDDING_TAG, split_loras
from stablenew.formats.settings import CHOSEN, SAMPLER, SCHEDULE
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.graphs.graph import Place
from stablenew.image_metadata.graphs.node_inputs import TEXT_ENCODER_INPUTS, to_node_value
from stablenew.image_metadata.graphs.outputs import read_output, read_outputs

Choices = Callable[[str, str], list[str]]
"""The values that an input of a class of nodes can take on this server."""

_PLAIN: Final = ("steps", "cfg_scale")
_OF_STAGE: Final = {
    "txt2img": ("width", "height"),
    "img2img": ("denoising_strength",),
    "adetailer": ("denoising_strength", "confidence", "mask_feather"),
    "upscale": ("denoising_strength", "factor"),
}
_FROM_LIST: Final = (*CHOSEN, "upscaler", "detector")
"""What the server has lists of."""
_CALLED: Final = {"model": "checkpoint", "vae": "VAE"}
_BIND: Final = "bind."
_NO_IMAGES: Final = {
    "SaveImageWebsocket", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "PreviewAudio", "SaveGLB", "Preview3D",
    "SaveLatent", "PreviewAny",
}  # fmt: skip
"""Core nodes that end a workflow and save neither images nor videos."""
_SHOWN: Final = 40
_PLACES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class ComfyUIPrompt:
    """One image: the workflow as it is submitted."""

    graph: Graph
    seed: int | None
    parent: int | None = None
    about: dict[str, JsonValue] = field(default_factory=dict)
    """What to record of the workflow itself."""
    notices: tuple[str, ...] = ()
    """What a person should know of it."""
    is_prompt_given: bool = True
    """The workflow's prompt is the one that was asked for, and not its own."""

    def actual(self, node: str) -> dict[str, JsonValue]:
        """What ran for the images of an output node: the workflow says so itself."""
        output = read_output(self.graph, node)
        facts = read_facts(output) if output else {}
        if output and not self.is_prompt_given and output.prompt is not None:
            facts["prompt"] = output.prompt
        asked = self.about.get("loras")
        if isinstance(asked, list) and isinstance(facts.get("loras"), list):
            names = {lora["name"] for lora in asked if isinstance(lora, dict)}
            own = [lora for lora in facts["loras"] if checkpoint_stem(str(lora["name"])) not in names]
            facts["loras"] = [*own, *asked]
        return self.about | facts


class PromptBuilder:
    """Makes the prompts of one stage. `choices` says what the server has, `upload` hands it an input image."""

    def __init__(
        self,
        request: StageRequest,
        main: Mapping[str, JsonValue],
        choices: Choices,
        upload: Callable[[EngineImage], str],
    ) -> None:
        self._request = request
        self._settings: dict[str, Any] = {**main, **{k: v for k, v in request.settings.items() if v is not None}}
        if request.stage == "adetailer":
            self._settings |= {"detector": request.settings.get("model"), "model": main.get("model")}
            self._settings["denoising_strength"] = request.settings.get("denoise", 0.4)
        self._choices = choices
        self._upload = upload
        self._extra: dict[str, Any] = dict(request.settings.get("extra") or {})
        self._own = self._read_own()

    def build(self, number: int, seed: int) -> ComfyUIPrompt:
        """The prompt for the image with that number.

        Raises:
            EngineError: the server has not what is asked for.
            ConfigError: the workflow or a binding is not valid.
        """
        image = self._request.inputs[number] if self._request.inputs else None
        graph = self._own or build_workflow(
            self._request.stage, self._translated(), (image.width, image.height) if image else (0, 0)
        )
        prompt, loras = split_loras(self._request.prompt)
        if self._own is None and self._settings.get("vae") not in (None, "", "Automatic"):
            graph = with_vae(graph)
        bindings = self._bind(graph)
        values = self._values(graph, bindings.places, prompt, seed)
        if image is not None:
            values["image"] = self._upload(image)
        self._check_outputs(graph)
        self._check_places(graph, bindings, values)
        handovers = scaled_handovers(graph, bindings, values.get("steps"))
        graph = with_values(graph, bindings.places, values)
        for place, step in handovers.items():
            graph[place.node]["inputs"][place.input] = step
        for place, value in self._raw_values(graph):
            graph[place.node]["inputs"][place.input] = value
        if loras:
            loader = bindings.places["model"][0].node if "model" in bindings.places else None
            found = [(self._pick("LoRA", "LoraLoader", "lora_name", name), weight) for name, weight in loras]
            graph = with_loras(graph, found, loader)
        ran = read_values(graph, bindings.places)
        seed_that_ran = ran.get("seed", image.seed if image else None)
        return ComfyUIPrompt(
            graph,
            seed=seed_that_ran if isinstance(seed_that_ran, int) else None,
            parent=number if image else None,
            about=self._about(loras, {} if "negative_prompt" in values else ran),
            notices=self._notices(bindings, values),
            is_prompt_given="prompt" in values,
        )

    def _check_places(self, graph: Graph, bindings: WorkflowBindings, values: Mapping[str, Any]) -> None:
        """Refuse a workflow that has no place, or several, for what it is to be given."""
        for name, places in bindings.undecided.items():
            if name in values and values[name] != "":
                known = _describe_places(graph, places)
                raise EngineError(f"the workflow has several places for {name}: {known}; {self._way_out(name)}")
        if self._own is None or not values.get("prompt") or "prompt" in bindings.places:
            return
        raise EngineError(f"the workflow has no place for the prompt that could be found; {self._way_out('prompt')}")

    def _check_outputs(self, graph: Graph) -> None:
        """Refuse a workflow whose outputs are all such that no file of an image or video can be fetched of them."""
        outputs = read_outputs(graph)
        if outputs and all(output.class_type in _NO_IMAGES for output in outputs):
            kinds = ", ".join(sorted({output.class_type for output in outputs}))
            raise EngineError(f"the workflow ends in {kinds}, which saves no image; add a SaveImage or PreviewImage")

    def _way_out(self, name: str) -> str:
        option = f"--set {self._request.stage}.extra.{_BIND}{name}"
        return (
            f"say which with {option}=NODE.INPUT, or by the title of its node, {name.replace('_', ' ')!r}; "
            f"{option}=null runs the workflow with its own"
        )

    def _notices(self, bindings: WorkflowBindings, values: Mapping[str, Any]) -> tuple[str, ...]:
        if self._own is None:
            is_unasked = "model" in values and not self._settings.get("model")
            said = f"no model was asked for: ComfyUI's first one was used, {values.get('model')}"
            return (said,) if is_unasked else ()
        asked = [name for name in values if name not in bindings.places and values[name] not in ("", None)]
        return (f"the workflow has no place for {', '.join(asked)}",) if asked else ()

    def _read_own(self) -> Graph | None:
        """The workflow that the user gave: a file, its text, or as it is."""
        given = self._extra.get("workflow")
        if given is None:
            return None
        if not isinstance(given, str):
            return check_graph(given)
        if given.lstrip().startswith("{"):
            return read_graph(given)
        try:
            return read_graph(Path(given).expanduser().read_bytes(), given)
        except OSError as error:
            raise EngineError(f"the workflow {given} cannot be read: {error.strerror or error}") from None

    def _about(self, loras: list[tuple[str, float]], left: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """What to record of the workflow; of what was `left` as it stands, its negative prompt."""
        about: dict[str, JsonValue] = {name: left[name] for name in ("negative_prompt",) if left.get(name)}
        if self._own is not None:
            about["workflow_digest"] = digest_bytes(json.dumps(self._own, sort_keys=True).encode())
        if loras:
            about["loras"] = [{"name": name, "weight": weight} for name, weight in loras]
        return about

    def _bind(self, graph: Graph) -> WorkflowBindings:
        """Where settings stand: found, or as the user says; what is said to be `null` is left as it is."""
        asked = {key.removeprefix(_BIND): value for key, value in self._extra.items() if key.startswith(_BIND)}
        given = {
            name: [parse_place(graph, place) for place in str(value).split()]
            for name, value in asked.items()
            if value is not None
        }
        found = find_bindings(graph)
        undecided = {name: places for name, places in found.undecided.items() if name not in asked}
        return replace(found, places=found.places | given, undecided=undecided)

    def _left_alone(self) -> set[str]:
        """Settings that the user leaves to the workflow."""
        return {
            key.removeprefix(_BIND) for key, value in self._extra.items() if key.startswith(_BIND) and value is None
        }

    def _raw_values(self, graph: Graph) -> list[tuple[Any, Any]]:
        """Inputs of nodes that the user sets by `extra.NODE.INPUT`."""
        own = {key: value for key, value in self._extra.items() if key != "workflow" and not key.startswith(_BIND)}
        return [(parse_place(graph, key), value) for key, value in own.items()]

    def _translated(self) -> dict[str, Any]:
        """The settings with values as ComfyUI's nodes take them."""
        sampler, schedule = split_schedule(str(self._settings.get(SAMPLER) or ""))
        both = {SAMPLER: sampler, SCHEDULE: self._settings.get(SCHEDULE) or schedule} if schedule else {}
        return {name: to_node_value(name, value) for name, value in (self._settings | both).items()}

    def _values(self, graph: Graph, bindings: Mapping[str, list[Place]], prompt: str, seed: int) -> dict[str, Any]:
        settings = self._translated()
        names = (*_PLAIN, *_OF_STAGE.get(self._request.stage, ()))
        values = {name: settings[name] for name in names if settings.get(name) is not None}
        values["prompt"] = _own_words(prompt)
        if self._own is None or self._request.negative_prompt:  # a workflow of one's own keeps its negative prompt
            values["negative_prompt"] = _own_words(self._request.negative_prompt)
        values["seed"] = seed
        values |= {name: settings[name] for name in TEXT_ENCODER_INPUTS if settings.get(name)}
        upscaler = str(settings.pop("upscaler", None) or "lanczos")
        if upscaler.casefold() not in PIXEL_METHODS:
            settings["upscaler"] = UPSCALER_FILES.get(upscaler, upscaler)
        left = self._left_alone()
        for name in _FROM_LIST:
            if name in bindings.keys() - left:
                node, place = bindings[name][0]
                picked = self._pick(_CALLED.get(name, name), graph[node]["class_type"], place, settings.get(name))
                if picked:
                    values[name] = picked
        return {name: value for name, value in values.items() if name not in left}

    def _pick(self, what: str, kind: str, name: str, wanted: Any) -> str:
        """The server's own name for what is wanted; the first it has where nothing is wanted and nothing is there."""
        known = self._choices(kind, name)
        if not wanted:
            is_needed = self._own is None and what == "checkpoint"
            if is_needed and not known:
                raise EngineError("the server has no checkpoint: put one into models/checkpoints")
            return known[0] if is_needed else ""
        stem = checkpoint_stem(str(wanted)).casefold()
        found = [choice for choice in known if choice == wanted] or [
            choice for choice in known if checkpoint_stem(choice).casefold() == stem
        ]
        if not found and (known or what == "upscaler"):
            shown = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
            hint = "; Lanczos needs no model" if what == "upscaler" else ""
            raise EngineError(f"the server knows no {what} {wanted!r}; it has {shown or 'none'}{hint}")
        return found[0] if found else str(wanted)


def _describe_places(graph: Graph, places: Iterable[Place]) -> str:
    shown = [
        f"{place} ({str(read_value(graph, place))[:30]!r}, {describe_node(graph, place.node)})" for place in places
    ]
    return "; ".join(shown[:_PLACES_SHOWN]) + ("; and others" if len(shown) > _PLACES_SHOWN else "")


def _own_words(text: str) -> str:
    """A prompt as ComfyUI reads it: it calls embeddings without brackets."""
    return whole_text(EMBEDDING_TAG.sub(r"embedding:\1", text))
