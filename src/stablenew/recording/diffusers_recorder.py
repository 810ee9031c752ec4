"""record_pipeline: a pipeline of diffusers that somebody has already, with every call recorded.

::

    record_pipeline(pipe, "runs")
    image = pipe("a quiet harbour", num_inference_steps=30).images[0]
"""

import contextlib
import functools
import inspect
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from stablenew.diffusers_facts import describe_pipeline, library_versions, seeds_of
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import SideChannel, describe
from stablenew.store.run_store import RunStore

Pipeline = TypeVar("Pipeline")

_STANDARD_NAMES: Final = {
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "strength": "denoising_strength",
    "width": "width",
    "height": "height",
    "num_images_per_prompt": "batch_size",
}
_NOT_SETTINGS: Final = {"self", "prompt", "negative_prompt", "generator", "image", "mask_image", "return_dict"}
_REMEMBERED: Final = 4096
_recorders: Final = "_stablenew_recorder"


def record_pipeline(
    pipe: Pipeline,
    runs: RunRecorder | RunStore | Path | str = "runs",
    *,
    learning_tags: Sequence[str] = (),
    name: str = "diffusers",
) -> Pipeline:
    """Record every call of `pipe` from now on; it stays the object it is, and is returned.

    Each call is a run of its own under `runs`, with a variant for each prompt; given a RunRecorder, calls are variants
    of its run. What a call returns or raises is what it would be without this: a failing record is logged, once.

    A seed is recorded for each image that has a fresh generator of its own: `generator=[torch.Generator(…), …]`.

    Raises:
        ConfigError: it is no object whose calls can be recorded; use RunRecorder.
    """
    recorder = _PipelineRecorder(runs, tuple(learning_tags), name)
    own: Any = type(pipe)
    base = getattr(own, "_stablenew_base", own)
    try:
        pipe.__class__ = _recording_class(base)
        vars(pipe)[_recorders] = recorder
    except TypeError as error:
        raise ConfigError(f"calls of a {own.__name__} cannot be recorded ({error}); use RunRecorder") from None
    return pipe


@functools.cache
def _recording_class(base: type) -> Any:
    """The class of a recorded pipeline: the same in name and in everything but the call."""
    call = base.__call__

    @functools.wraps(call)
    def recorded_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder: _PipelineRecorder = vars(self)[_recorders]
        return recorder.call(self, functools.partial(call, self), args, kwargs)

    fields = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (base,), {**fields, "__call__": recorded_call, "_stablenew_base": base})


_made: OrderedDict[str, str] = OrderedDict()
"""Digests of the latest outputs by the digest of their pixels: whoever gives one to another pipeline is its child."""


class _PipelineRecorder:
    """Records the calls of one pipeline."""

    def __init__(self, runs: RunRecorder | RunStore | Path | str, learning_tags: tuple[str, ...], name: str) -> None:
        self._run = runs if isinstance(runs, RunRecorder) else None
        self._store = runs if not isinstance(runs, RunRecorder) else None
        self._options: dict[str, Any] = {"name": name, "learning_tags": learning_tags}
        self._channel = SideChannel("recording a pipeline")

    def call(self, pipe: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What the pipeline makes of a call, and a record of it."""
        request = self._channel.call(_Request, pipe, function, args, kwargs)
        own = None if self._run is not None else self._channel.call(self._new_run, request)
        with own or contextlib.nullcontext(self._run) as run:
            started_at, started = SYSTEM_CLOCK.timestamp(), time.monotonic()
            try:
                made = function(*args, **kwargs)
            except BaseException as error:
                self._channel.call(_record_failure, run, request, error, started_at, started)
                raise
            self._channel.call(_record_result, run, request, made, started_at, started)
        return made

    def _new_run(self, request: "_Request | None") -> RunRecorder:
        version = library_versions(("diffusers",)).get("diffusers")
        return RunRecorder(
            self._store or "runs",
            config=request.settings if request else {},
            engine="diffusers",
            engine_version=str(version) if version else None,
            **self._options,
        )


class _Request:
    """What a pipeline is asked, under the standard names; read before the call, which uses the generators up."""

    def __init__(
        self, pipe: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        bound = inspect.signature(function).bind(*args, **kwargs)
        given = {**bound.arguments, **bound.arguments.get("kwargs", {})}
        given.pop("kwargs", None)
        bound.apply_defaults()
        arguments = {**bound.arguments, **given}
        self.pipe = pipe
        self.prompts = _texts(arguments.get("prompt"))
        self.negatives = _texts(arguments.get("negative_prompt"))
        self.images_per_prompt = int(arguments.get("num_images_per_prompt") or 1)
        self.seeds = seeds_of(arguments.get("generator"), len(self.prompts) * self.images_per_prompt)
        self.settings = _settings_of(arguments, given)
        self.stage = _stage_of(pipe, arguments)
        self.parents = [_parent_of(image) for image in _as_list(arguments.get("image"))]

    def fields(self, number: int) -> dict[str, Any]:
        """What is recorded of the prompt with that number, whatever comes of it."""
        negative = self.negatives[number] if number < len(self.negatives) else self.negatives[0]
        seeds = self._seeds_at(number)
        settings = {**self.settings, "seed": seeds[0] if seeds else -1}
        return {"prompt": self.prompts[number], "negative_prompt": negative, "settings": settings, "stage": self.stage}

    def made(self, number: int, images: Sequence[Any]) -> dict[str, Any]:
        """What is recorded of its images."""
        seeds = self._seeds_at(number)
        parents = self.parents if len(self.parents) == len(images) else self.parents * len(images)
        return {
            "images": images,
            "seeds": seeds if seeds and len(seeds) == len(images) else None,
            "parents": parents if len(parents) == len(images) else None,
        }

    def _seeds_at(self, number: int) -> list[int] | None:
        first = number * self.images_per_prompt
        return self.seeds[first : first + self.images_per_prompt] if self.seeds else None


def _record_result(
    run: RunRecorder | None, request: _Request | None, made: Any, started_at: str, started: float
) -> None:
    if run is None or request is None:
        return
    images = _images_of(made)
    facts = describe_pipeline(request.pipe)
    duration = time.monotonic() - started
    share = max(1, len(images) // len(request.prompts))
    for number in range(len(request.prompts)):
        ours = images[number * share : (number + 1) * share]
        fields = request.fields(number)
        actual = {**facts, **{key: value for key, value in fields["settings"].items() if value != -1}}
        if ours:
            actual |= {"width": ours[0].width, "height": ours[0].height}
        record = run.record_variant(
            **fields,
            **request.made(number, ours),
            actual=actual,
            started_at=started_at,
            duration_seconds=round(duration / len(request.prompts), 6),
        )
        for output in record.outputs if record else ():
            if output.pixel_digest:
                _made[output.pixel_digest] = output.digest
    while len(_made) > _REMEMBERED:
        _made.popitem(last=False)


def _record_failure(
    run: RunRecorder | None, request: _Request | None, error: BaseException, started_at: str, started: float
) -> None:
    if run is not None and request is not None:
        run.record_variant(
            **request.fields(0),
            images=[],
            started_at=started_at,
            duration_seconds=round(time.monotonic() - started, 6),
            error=describe(error),
        )


def _settings_of(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Standard settings, also those left at their default; of the others what was given and is no tensor."""
    settings: dict[str, JsonValue] = {
        name: arguments[key] for key, name in _STANDARD_NAMES.items() if arguments.get(key) is not None
    }
    if arguments.get("clip_skip") is not None:
        settings["clip_skip"] = arguments["clip_skip"] + 1  # theirs counts the layers that are left out
    known = {*_STANDARD_NAMES, *_NOT_SETTINGS, "clip_skip"}
    return settings | {key: value for key, value in given.items() if key not in known and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))


def _stage_of(pipe: Any, arguments: Mapping[str, Any]) -> str:
    if arguments.get("mask_image") is not None:
        return "inpaint"
    if arguments.get("image") is None:
        return "txt2img"
    return "upscale" if "Upscale" in type(pipe).__name__ else "img2img"


def _texts(prompt: Any) -> list[str]:
    return [str(one) for one in prompt] if isinstance(prompt, (list, tuple)) and prompt else [str(prompt or "")]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _parent_of(image: Any) -> str | None:
    """The output that these pixels are of, if one of the latest is."""
    if not hasattr(image, "tobytes") or not hasattr(image, "convert"):
        return None
    return _made.get(digest_bytes(image.convert("RGB").tobytes()))


def _images_of(made: Any) -> list[Any]:
    """The images of a result, as Pillow images; nothing where they are latents."""
    images = getattr(made, "images", None)
    if images is None and isinstance(made, (tuple, list)) and made:
        images = made[0]
    if images is None:
        return []
    return [image for image in map(_to_pillow, images) if image is not None]


def _to_pillow(image: Any) -> Any:
    from PIL import Image  # noqa: PLC0415

    if hasattr(image, "save"):
        return image
    if hasattr(image, "detach"):  # a tensor: channels first
        image = image.detach().float().cpu().numpy().transpose(1, 2, 0) if image.ndim == 3 else None
    if image is None or getattr(image, "ndim", 0) != 3 or image.shape[2] != 3:
        return None
    return Image.fromarray((image * 255).round().clip(0, 255).astype("uint8"))
