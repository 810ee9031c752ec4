"""The `diffusers` engine: pipelines of Hugging Face's diffusers in this very process."""

import contextlib
import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.diffusers_facts import describe_pipeline, from_arguments, library_versions, to_arguments
from stablenew.engines.dependencies import Dependencies
from stablenew.engines.diffusers.dependencies import find_dependencies
from stablenew.engines.diffusers.detectors import Detector, load_detector, to_box
from stablenew.engines.diffusers.models import (
    LoadedModel,
    choose_device,
    import_libraries,
    use_loras,
)
from stablenew.engines.diffusers.region_detailing import Box, detail_regions
from stablenew.engines.engine import EngineCheck, EngineImage, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.engine_http import is_out_of_memory, whole_text
from stablenew.engines.image_by_image import part_of, run_each, seeds_of
from stablenew.errors import EngineError
from stablenew.formats.common_names import SAMPLERS, UPSCALER_FILES, checkpoint_stem
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.stage_event import STAGES
from stablenew.formats.prompt_text import split_loras
from stablenew.formats.strict_json import JsonValue

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)
_COMPRESSION: Final = 4
_DETAIL_SIDE: Final = 512
_RESAMPLING: Final = ("nearest", "bilinear", "bicubic", "lanczos")


class DiffusersEngine:
    """Runs pipelines of diffusers, from a folder or a single file, in this process.

    The setting `model` names the folder or file. `extra` may say `device`, `dtype`, `lora_dir`, `regions` (of
    adetailer: boxes of left, top, right, bottom in pixels), and for a single file `pipeline` and `config`. `detector`
    finds regions; without one, `adetailer.model` is a YOLO file, for which the package ultralytics has to be there.
    """

    def __init__(self, model: str = "", *, device: str = "", detector: Detector | None = None) -> None:
        self._model = model
        self._device = device
        self._detector = detector
        self._loaded: tuple[tuple[str, ...], LoadedModel] | None = None
        """The last model: one at a time, as they fill the memory."""
        self._used: dict[str, None] = {}
        """Every model that was loaded."""
        self._used_loras: dict[Path, None] = {}
        self._main: Mapping[str, Any] = {}
        """Settings of the first stage, which later ones go on with."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and abilities. Equal requests give equal bytes on a CPU, and usually on a GPU."""
        _, diffusers = import_libraries()
        return EngineInfo(
            name="diffusers",
            version=str(diffusers.__version__),
            description="pipelines of diffusers from a folder or a single file, in this process",
            stages=STAGES,
            is_deterministic=choose_device(self._device) == "cpu",
        )

    def check(self) -> EngineCheck:
        """Versions, device, and what of the stages needs more.

        Raises:
            EngineError: the libraries are not installed.
        """
        info = self.info
        facts = {
            "device": choose_device(self._device),
            **{key: str(version) for key, version in library_versions().items()},
        }
        samplers = [sampler.name for sampler in SAMPLERS if sampler.diffusers]
        return EngineCheck(info.name, info.version, facts, {"samplers": samplers})

    def find_dependencies(self) -> Dependencies:
        """The files that were loaded, the versions of the libraries, device, number type and ways to compute.

        Raises:
            EngineError: the libraries are not installed.
        """
        key, model = self._loaded or (None, None)
        pipe = model.from_text if model else None
        return find_dependencies(tuple(self._used), tuple(self._used_loras), pipe, key[1] if key else None)

    def run_stage(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        """Make the images of one stage.

        Raises:
            Cancelled: it was asked to stop, between two steps.
            EngineError: it could not; the message tells a person what to do.
        """
        request.check("diffusers", STAGES)
        monitor.cancel.raise_if_cancelled()
        if request.stage == "txt2img":
            self._main = request.settings
            return self._run_txt2img(request, monitor)
        make = {"img2img": self._rework, "adetailer": self._detail, "upscale": self._upscale}[request.stage]
        seeds = seeds_of(request)
        return run_each(len(seeds), lambda number, part: make(request, number, seeds[number], part), monitor)

    def _run_txt2img(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        settings = request.settings
        _refuse_what_is_missing(settings)
        size = int(settings.get("batch_size") or 1)
        seeds = seeds_of(request)
        wanted = {"num_images_per_prompt": size, "width": settings.get("width"), "height": settings.get("height")}

        def make(number: int, part: StageMonitor) -> StageResult:
            return self._call(request, seeds[number * size : (number + 1) * size], part, **wanted)

        return run_each(len(seeds) // size, make, monitor)

    def _rework(self, request: StageRequest, number: int, seed: int, monitor: StageMonitor) -> StageResult:
        return self._repaint(request, _open(request.inputs[number]), seed, number, monitor)

    def _repaint(
        self, request: StageRequest, image: "Image", seed: int, parent: int, monitor: StageMonitor
    ) -> StageResult:
        """An image painted over; with little strength enough steps for at least one."""
        strength = float(request.settings.get("denoising_strength", 0.3))
        if strength <= 0:
            return StageResult((_encode(image, seed, parent),), {"denoising_strength": 0.0})
        steps = max(int(request.settings.get("steps") or 20), math.ceil(1 / strength))
        options = {"image": image, "strength": strength, "width": image.width, "height": image.height}
        result = self._call(request, [seed], monitor, parent=parent, num_inference_steps=steps, **options)
        return StageResult(result.images, {**result.actual, "denoising_strength": strength})

    def _detail(self, request: StageRequest, number: int, seed: int, monitor: StageMonitor) -> StageResult:
        image = _open(request.inputs[number])
        boxes = self._find_regions(request, image)
        strength = request.settings.get("denoise", 0.4)
        settings = {**request.settings, "model": self._main.get("model"), "denoising_strength": strength}
        inner = StageRequest("img2img", settings, request.prompt, request.negative_prompt)
        ran: list[Mapping[str, JsonValue]] = [{"denoising_strength": strength}]

        def repaint(region: "Image", place: int) -> "Image":
            result = self._repaint(inner, region, seed, number, part_of(monitor, place, len(boxes)))
            ran.append(result.actual)
            return _open(result.images[0])

        feather = int(request.settings.get("mask_feather", 4))
        detailed = detail_regions(image, boxes, repaint, side=_DETAIL_SIDE, feather=feather)
        about = {"regions": [list(box) for box in boxes], "width": image.width, "height": image.height}
        return StageResult((_encode(detailed, seed, number),), {**ran[-1], **about})

    def _find_regions(self, request: StageRequest, image: "Image") -> Sequence[Box]:
        given = _extra(request).get("regions")
        if given is not None:
            return [to_box(region, image.size) for region in given]
        confidence = float(request.settings.get("confidence", 0.3))
        detector = self._detector or load_detector(str(request.settings.get("model")))
        return [to_box(box, image.size) for box in detector(image, confidence)]

    def _upscale(self, request: StageRequest, number: int, seed: int, monitor: StageMonitor) -> StageResult:
        from PIL import Image  # noqa: PLC0415

        image = _open(request.inputs[number])
        asked = str(request.settings.get("upscaler") or "Lanczos")
        if asked.casefold() not in _RESAMPLING and asked not in UPSCALER_FILES:
            raise EngineError(f"diffusers has no upscaler {asked!r}; there are {', '.join(_RESAMPLING)}")
        name = asked.casefold() if asked.casefold() in _RESAMPLING else "lanczos"
        if name != asked.casefold():
            _log.info("diffusers has no %s; Lanczos resamples instead", asked)
        factor = float(request.settings.get("factor", 2.0))
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        larger = image.resize(size, Image.Resampling[name.upper()])
        about: dict[str, JsonValue] = {"upscaler": name.capitalize(), "width": size[0], "height": size[1]}
        if request.settings.get("mode", "single") == "single":
            return StageResult((_encode(larger, seed, number),), about)
        result = self._repaint(request, larger, seed, number, monitor)
        return StageResult(result.images, {**result.actual, **about})

    def _call(self, request: StageRequest, seeds: list[int], monitor: StageMonitor, **options: Any) -> StageResult:
        """One call of a pipeline, with what of the settings it takes."""
        import inspect  # noqa: PLC0415

        torch, _ = import_libraries()
        parent = options.pop("parent", None)
        settings = {**self._main, **{key: value for key, value in request.settings.items() if value is not None}}
        pipe, model = self._prepare(settings, request, takes_image="image" in options)
        prompt, _ = split_loras(request.prompt)
        wanted = {
            "prompt": whole_text(prompt),
            "negative_prompt": whole_text(request.negative_prompt),
            **to_arguments(settings),
            "generator": [torch.Generator("cpu").manual_seed(_signed(seed)) for seed in seeds],
            **options,
        }
        known = inspect.signature(pipe.__call__).parameters
        taken = {key: value for key, value in wanted.items() if key in known}
        arguments = {key: value for key, value in taken.items() if value is not None}
        if "callback_on_step_end" in known:
            arguments["callback_on_step_end"] = _step_callback(monitor, int(arguments.get("num_inference_steps", 20)))
        with _explaining_failures(pipe):
            made = pipe(**arguments)
        images = tuple(_encode(image, seed, parent) for image, seed in zip(made.images, seeds, strict=True))
        return StageResult(images, _actual(pipe, model, made, from_arguments(taken), images))

    def _prepare(self, settings: Mapping[str, Any], request: StageRequest, *, takes_image: bool) -> tuple[Any, str]:
        """The pipeline of the wanted kind, with sampler and LoRAs as asked, and its model."""
        extra = {**(self._main.get("extra") or {}), **_extra(request)}
        model = str(settings.get("model") or self._model)
        if not model:
            raise EngineError("say which model: txt2img.model=FOLDER, or a single .safetensors file")
        device = choose_device(str(extra.get("device") or self._device) or None)
        key = (model, device, *(str(extra.get(name)) for name in ("dtype", "pipeline", "config")))
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            self._loaded = key, LoadedModel(model, extra, device)
        self._used[model] = None
        loaded = self._loaded[1]
        pipe = loaded.pipeline(settings, takes_image=takes_image)
        used = use_loras(pipe, split_loras(request.prompt)[1], extra.get("lora_dir"))
        self._used_loras |= dict.fromkeys(used)
        return pipe, model


def _refuse_what_is_missing(settings: Mapping[str, Any]) -> None:
    if settings.get("enable_hr"):
        raise EngineError("diffusers has no hires fix; add the stage upscale with upscale.mode=img2img instead")
    if settings.get("refiner_checkpoint"):
        raise EngineError("the engine diffusers has no refiner; leave txt2img.refiner_checkpoint out")


def _step_callback(monitor: StageMonitor, steps: int) -> Callable[..., dict[str, Any]]:
    def after_step(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        monitor.on_progress(min(0.99, (step + 1) / steps))
        monitor.cancel.raise_if_cancelled()
        return tensors

    return after_step


@contextlib.contextmanager
def _explaining_failures(pipe: Any) -> Iterator[None]:
    """Failures of a pipeline in words that say what to do; what it held on to is given back."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        if hasattr(pipe, "maybe_free_model_hooks"):
            pipe.maybe_free_model_hooks()
        if isinstance(error, EngineError):  # our own: somebody wants to stop
            raise
        said = f"{type(error).__name__}: {error}"
        if is_out_of_memory(said):
            raise EngineError(f"out of memory; try a smaller size or batch, or dtype float16 ({said})") from None
        raise EngineError(f"{type(pipe).__name__} could not: {said}") from error


def _actual(
    pipe: Any, model: str, made: Any, settings: Mapping[str, Any], images: Sequence[EngineImage]
) -> dict[str, JsonValue]:
    """What ran, as the pipeline says, and the `settings` it was called with."""
    actual = describe_pipeline(pipe)
    actual |= {"model": checkpoint_stem(Path(model).name), "model_path": model}  # a single file does not say its name
    actual |= settings
    actual |= {"seed": images[0].seed, "width": images[0].width, "height": images[0].height, "generator_device": "cpu"}
    flags = getattr(made, "nsfw_content_detected", None)
    if flags and any(flags):
        actual["nsfw_content_detected"] = [bool(flag) for flag in flags]
    return actual


def _extra(request: StageRequest) -> dict[str, Any]:
    return dict(request.settings.get("extra") or {})


def _signed(seed: int) -> int:
    """A seed as torch takes it: of 64 bits, the upper half as negative numbers."""
    return seed if seed < 2**63 else seed - 2**64


def _open(image: EngineImage) -> "Image":
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(image.data)) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise EngineError(f"an input is not an image that can be decoded: {error}") from None


def _encode(image: "Image", seed: int, parent: int | None) -> EngineImage:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_COMPRESSION)
    pixels = digest_bytes(image.convert("RGB").tobytes())
    return EngineImage(buffer.getvalue(), "image/png", image.width, image.height, seed, pixels, parent)
