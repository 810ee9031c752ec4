"""From a stage's request to the workflow that ComfyUI is given, and to what it says ran."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.engines.comfyui.graph import (
    Bindings,
    Graph,
    check_graph,
    find_bindings,
    parse_place,
    read_graph,
    read_values,
    with_loras,
    with_values,
)
from stablenew.engines.comfyui.workflows import PIXEL_METHODS, build_workflow, with_vae
from stablenew.engines.engine import EngineImage, StageRequest
from stablenew.engines.engine_http import whole_text
from stablenew.errors import EngineError
from stablenew.formats.common_names import (
    UPSCALER_FILES,
    checkpoint_stem,
    comfyui_sampler,
    comfyui_scheduler,
    common_sampler,
    common_scheduler,
)
from stablenew.formats.digest import digest_bytes
from stablenew.formats.prompt_text import EMBEDDING_TAG, split_loras
from stablenew.formats.strict_json import JsonValue

Choices = Callable[[str, str], list[str]]
"""The values that an input of a class of nodes can take on this server."""

_PLAIN: Final = ("steps", "cfg_scale")
_OF_STAGE: Final = {
    "txt2img": ("width", "height"),
    "img2img": ("denoising_strength",),
    "adetailer": ("denoising_strength", "confidence", "mask_feather"),
    "upscale": ("denoising_strength", "factor"),
}
_FROM_LIST: Final = {
    "model": "checkpoint",
    "vae": "VAE",
    "sampler": "sampler",
    "scheduler": "scheduler",
    "upscaler": "upscaler",
    "detector": "detector",
}
_BIND: Final = "bind."
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class ComfyUIPrompt:
    """One image: the workflow as it is submitted, and where its settings stand."""

    graph: Graph
    bindings: Bindings
    seed: int | None
    parent: int | None = None
    about: dict[str, JsonValue] = field(default_factory=dict)
    """What to record of the workflow itself."""
    notices: tuple[str, ...] = ()
    """What a person should know of it."""

    def actual(self, stage: str) -> dict[str, JsonValue]:
        """What ran: the workflow says so itself."""
        values = read_values(self.graph, self.bindings)
        found: dict[str, JsonValue] = {name: values[name] for name in ("seed", *_PLAIN) if name in values}
        if stage != "txt2img" and "denoising_strength" in values:
            found["denoising_strength"] = values["denoising_strength"]
        if "model" in values:
            found |= {"model": checkpoint_stem(str(values["model"])), "model_file": values["model"]}
        if "vae" in values:
            found["vae"] = checkpoint_stem(str(values["vae"]))
        if "sampler" in values:
            found["sampler"] = common_sampler(str(values["sampler"]))
        if "scheduler" in values:
            found["scheduler"] = common_scheduler(str(values["scheduler"]))
        if isinstance(values.get("clip_skip"), int):
            found["clip_skip"] = -int(str(values["clip_skip"]))
        return found | self.about


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
            ConfigError: the workflow or a binding is none.
        """
        image = self._request.inputs[number] if self._request.inputs else None
        graph = self._own or build_workflow(
            self._request.stage, self._translated(), (image.width, image.height) if image else (0, 0)
        )
        prompt, loras = split_loras(self._request.prompt)
        if self._own is None and self._settings.get("vae") not in (None, "", "Automatic"):
            graph = with_vae(graph)
        bindings = self._bind(graph)
        self._check_prompt_place(bindings, prompt)
        values = self._values(graph, bindings, prompt, seed)
        if image is not None:
            values["image"] = self._upload(image)
        graph = with_values(graph, bindings, values)
        for place, value in self._raw_values(graph):
            graph[place.node]["inputs"][place.input] = value
        if loras:
            graph = with_loras(graph, [(self._pick("LoRA", "LoraLoader", "lora_name", name), w) for name, w in loras])
        ran = read_values(graph, bindings).get("seed", image.seed if image else None)
        return ComfyUIPrompt(
            graph,
            bindings,
            seed=ran if isinstance(ran, int) else None,
            parent=number if image else None,
            about=self._about(loras),
            notices=self._notices(values),
        )

    def _check_prompt_place(self, bindings: Bindings, prompt: str) -> None:
        if self._own is None or not prompt or bindings.get("prompt") or _BIND + "prompt" in self._extra:
            return
        stage = self._request.stage
        raise EngineError(
            "the workflow has no place for the prompt that could be found; say where it goes with "
            f"--set {stage}.extra.bind.prompt=NODE.INPUT, or run the workflow with its own text: "
            f"--set {stage}.extra.bind.prompt=null"
        )

    def _notices(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        if self._own is None and "model" in values and not self._settings.get("model"):
            return (f"no model was asked for: ComfyUI's first one was used, {values['model']}",)
        return ()

    def _read_own(self) -> Graph | None:
        """The workflow that the user gave, as a file or as it is."""
        given = self._extra.get("workflow")
        if given is None:
            return None
        if not isinstance(given, str):
            return check_graph(given)
        try:
            return read_graph(Path(given).expanduser().read_bytes(), given)
        except OSError as error:
            raise EngineError(f"the workflow {given} cannot be read: {error.strerror or error}") from None

    def _about(self, loras: list[tuple[str, float]]) -> dict[str, JsonValue]:
        about: dict[str, JsonValue] = {}
        if self._own is not None:
            about["workflow_digest"] = digest_bytes(json.dumps(self._own, sort_keys=True).encode())
        if loras:
            about["loras"] = [{"name": name, "weight": weight} for name, weight in loras]
        return about

    def _bind(self, graph: Graph) -> Bindings:
        """Where settings stand: found, or as the user says; what is said to be `null` is read and left as it is."""
        given = {key.removeprefix(_BIND): value for key, value in self._extra.items() if key.startswith(_BIND)}
        return find_bindings(graph) | {
            name: [parse_place(graph, place) for place in str(value).split()]
            for name, value in given.items()
            if value is not None
        }

    def _raw_values(self, graph: Graph) -> list[tuple[Any, Any]]:
        """Inputs of nodes that the user sets by `extra.NODE.INPUT`."""
        own = {key: value for key, value in self._extra.items() if key != "workflow" and not key.startswith(_BIND)}
        return [(parse_place(graph, key), value) for key, value in own.items()]

    def _translated(self) -> dict[str, Any]:
        """The settings under ComfyUI's names of samplers and schedules."""
        settings = dict(self._settings)
        if settings.get("sampler"):
            settings["sampler"] = comfyui_sampler(str(settings["sampler"]))
        if settings.get("scheduler"):
            settings["scheduler"] = comfyui_scheduler(str(settings["scheduler"]))
        return settings

    def _values(self, graph: Graph, bindings: Bindings, prompt: str, seed: int) -> dict[str, Any]:
        settings = self._translated()
        names = (*_PLAIN, *_OF_STAGE.get(self._request.stage, ()))
        values = {name: settings[name] for name in names if settings.get(name) is not None}
        values |= {"prompt": _own_words(prompt), "negative_prompt": _own_words(self._request.negative_prompt)}
        values["seed"] = seed
        if settings.get("clip_skip"):
            values["clip_skip"] = -abs(int(settings["clip_skip"]))
        upscaler = str(settings.pop("upscaler", None) or "lanczos")
        if upscaler.casefold() not in PIXEL_METHODS:
            settings["upscaler"] = UPSCALER_FILES.get(upscaler, upscaler)
        left = {name for name in bindings if self._extra.get(_BIND + name, "") is None}
        for name, what in _FROM_LIST.items():
            if name in bindings.keys() - left:
                node, place = bindings[name][0]
                picked = self._pick(what, graph[node]["class_type"], place, settings.get(name))
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


def _own_words(text: str) -> str:
    """A prompt as ComfyUI reads it: it calls embeddings without brackets."""
    return whole_text(EMBEDDING_TAG.sub(r"embedding:\1", text))
