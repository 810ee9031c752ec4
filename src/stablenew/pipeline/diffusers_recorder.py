"""record_pipeline: an existing pipeline of diffusers, with every call recorded.

::

    record_pipeline(pipe, "runs")
    image = pipe("a quiet harbour", num_inference_steps=30).images[0]
"""

import contextlib
import functools
import inspect
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from stablenew.diffusers_facts import describe_pipeline, from_arguments, library_versions, seeds_of
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.settings import find_setting, standard_names
from stablenew.formats.strict_json import JsonValue
from stablenew.pipeline.run_closure import build_closure
from stablenew.recording.image_content import read_size
from stablenew.recording.images.image_input import ImageInput, is_one_image, pixel_digest_of, read_images
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import SideChannel, attempt, describe
from stablenew.store.run_store import RunStore

Pipeline = TypeVar("Pipeline")

_NOT_SETTINGS: Final = frozenset(
    {"self", "prompt", "negative_prompt", "generator", "image", "mask_image", "return_dict", "num_images_per_prompt"}
)
_RESULTS: Final = ("images", "frames", "videos", "image", "prediction")
"""Where the pipelines of diffusers put what they made."""
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
        ConfigError: calls of such an object cannot be recorded; use RunRecorder.
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
"""Digests of the latest outputs by the digest of their pixels, to recognise one as the input of another pipeline."""


class _PipelineRecorder:
    """Records the calls of one pipeline."""

    def __init__(self, runs: RunRecorder | RunStore | Path | str, learning_tags: tuple[str, ...], name: str) -> None:
        self._run = runs if isinstance(runs, RunRecorder) else None
        self._store = runs if not isinstance(runs, RunRecorder) else None
        self._options: dict[str, Any] = {"name": name, "learning_tags": learning_tags}
        self._channel = SideChannel("recording a pipeline")

    def call(self, pipe: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Do the call, and record it."""
        request = self._channel.call(_Request, pipe, function, args, kwargs)
        own = None if self._run is not None else self._channel.call(self._new_run, request)
        with own or contextlib.nullcontext(self._run) as run:
            started_at, started = SYSTEM_CLOCK.timestamp(), time.monotonic()
            try:
                made = function(*args, **kwargs)
            except BaseException as error:
                self._channel.call(_record_failure, run, request, error, started_at, started)
                raise
            given = kwargs.get("prompt", args[0] if args else None)
            self._channel.call(_record_call, run, request, made, started_at, started, given)
            self._channel.call(_record_closure, run, pipe)
        return made

    def _new_run(self, request: "_Request | None") -> RunRecorder:
        version = library_versions(("diffusers",)).get("diffusers")
        return RunRecorder(
            self._store or "runs",
            config=standard_names(request.settings) if request else {},
            engine="diffusers",
            engine_version=str(version) if version else None,
            **self._options,
        )


class _Request:
    """The arguments of a call, read before it, because the call uses the generators up."""

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
        self._makes_latents = arguments.get("output_type") == "latent"
        self.seeds = seeds_of(arguments.get("generator"), len(self.prompts) * self.images_per_prompt)
        self.settings = _settings_of(arguments, given)
        self.stage = _stage_of(pipe, arguments)
        self.parents = [_parent_of(image) for image in _as_list(arguments.get("image"))]

    def images_of(self, made: Any) -> list[ImageInput]:
        """The images in what the pipeline returned; none where it was asked for latents, which are not images."""
        return [] if self._makes_latents else read_images(_held_by(made))

    def fields(self, number: int) -> dict[str, Any]:
        """The fields of the record of the prompt with that number, whatever the call makes of it."""
        negative = self.negatives[number] if number < len(self.negatives) else self.negatives[0]
        seeds = self._seeds_at(number)
        settings = {**self.settings, "seed": seeds[0] if seeds else -1}
        return {"prompt": self.prompts[number], "negative_prompt": negative, "settings": settings, "stage": self.stage}

    def made(self, number: int, images: Sequence[ImageInput]) -> dict[str, Any]:
        """The images of the prompt with that number, as they are recorded."""
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


def _record_call(
    run: RunRecorder | None, request: _Request | None, made: Any, started_at: str, started: float, given: Any
) -> None:
    """Record the result; where the arguments cannot be understood, with nothing but the prompt as it was given."""
    if run is None:
        return
    if request is not None:
        _, error = attempt(_record_result, run, request, made, started_at, started)
    else:
        images: Any = read_images(_held_by(made))
        seconds = round(time.monotonic() - started, 6)
        run.record_variant(prompt=given, images=images, started_at=started_at, duration_seconds=seconds)
        error = None
    if error is not None:
        run.note_unrecorded(describe(error))
        raise error


def _record_result(run: RunRecorder, request: _Request, made: Any, started_at: str, started: float) -> None:
    images = request.images_of(made)
    facts = describe_pipeline(request.pipe)
    seconds = round((time.monotonic() - started) / len(request.prompts), 6)
    for number, part in enumerate(_share(images, len(request.prompts))):
        fields = request.fields(number)
        chosen = {name: value for name, value in fields["settings"].items() if value != -1}
        record = run.record_variant(
            **fields,
            **request.made(number, part),
            actual=facts | chosen | _size_of(part),
            started_at=started_at,
            duration_seconds=seconds,
        )
        for output in record.outputs if record else ():
            if output.pixel_digest:
                _made[output.pixel_digest] = output.digest
    while len(_made) > _REMEMBERED:
        _made.popitem(last=False)


def _record_closure(run: RunRecorder | None, pipe: Any) -> None:
    """What a rerun depends on, for the run; calls that share a run share what the first of them found."""
    if run is None or run.closure is not None or not {"torch", "diffusers"} <= sys.modules.keys():
        return
    from stablenew.engines.diffusers.dependencies import find_dependencies  # noqa: PLC0415  # it loads torch

    name = str(getattr(pipe, "name_or_path", "") or getattr(pipe, "_name_or_path", "") or "")
    device = str(getattr(pipe, "device", "") or "") or None
    run.closure = build_closure(find_dependencies([name] if name else [], [], pipe, device), run.run_id)


def _share(images: list[ImageInput], count: int) -> list[list[ImageInput]]:
    """The images of each prompt: as many for each, and for the last also what is left over."""
    each = len(images) // count
    parts = [images[number * each : (number + 1) * each] for number in range(count)]
    parts[-1] += images[count * each :]
    return parts


def _size_of(images: Sequence[ImageInput]) -> dict[str, JsonValue]:
    width, height = read_size(images[0].data or b"") if images else (None, None)
    return {} if width is None else {"width": width, "height": height}


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
    """Settings by the names that diffusers gives them.

    Those with a standard name are in it also where they are left at their default, others where they were given.
    """
    known = {name: value for name, value in arguments.items() if find_setting(name) and value is not None}
    others = {name: value for name, value in given.items() if name not in _NOT_SETTINGS and _is_plain(value)}
    counted_otherwise = {name: value for name, value in from_arguments(known).items() if name in known}
    settings: dict[str, JsonValue] = known | others | counted_otherwise
    settings["batch_size"] = arguments.get("num_images_per_prompt") or 1
    return settings


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
    if hasattr(prompt, "tolist"):  # an array of texts
        prompt = prompt.tolist()
    return [str(text) for text in prompt] if isinstance(prompt, (list, tuple)) and prompt else [str(prompt or "")]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _parent_of(image: Any) -> str | None:
    """The digest of the output that has these pixels, if it is one of the latest."""
    pixels = pixel_digest_of(image)
    return _made.get(pixels) if pixels else None


def _held_by(made: Any) -> Any:
    """What a result holds as its images; the result itself, if it is the images."""
    for name in _RESULTS:
        held = made.get(name) if isinstance(made, Mapping) else attempt(getattr, made, name, None)[0]
        if held is not None:
            return held
    is_tuple = isinstance(made, tuple) and made and not is_one_image(made[0])
    return made[0] if is_tuple else made
