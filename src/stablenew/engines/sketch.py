"""`sketch`, the built-in engine: a procedural landscape from prompt, seed and settings.

No model, no GPU, no download, and it does not pretend otherwise: every picture carries the word "sketch" and says so in
its metadata. Equal requests give equal bytes on one machine; every setting it reports as actual changes the picture.
"""

import io
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, PngImagePlugin

from stablenew.engines.dependencies import Dependencies, installed_versions
from stablenew.engines.engine import EngineImage, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.image_by_image import run_each
from stablenew.engines.sketch_scene import Pixels, draw_scene
from stablenew.errors import EngineError
from stablenew.formats.digest import digest_bytes
from stablenew.formats.json_safe import json_safe
from stablenew.formats.settings import SAMPLER, SCHEDULE
from stablenew.formats.strict_json import JsonValue

VERSION: Final = "1"
MODEL: Final = f"sketch-{VERSION}"
_LIBRARIES: Final = {"stablenew", "python", "numpy", "pillow"}
_MAX_PIXELS: Final = 40_000_000
_COMPRESSION: Final = 3
_SEED_BITS: Final = 32
_PREVIEW_SCALE: Final = 8


class SketchEngine:
    """Draws hills, a sky and a sun."""

    info = EngineInfo(
        name="sketch",
        version=VERSION,
        description="procedural pictures for demos, tests and offline use; no diffusion model",
        stages=("txt2img", "img2img", "adetailer", "upscale"),
        is_deterministic=True,
    )

    def __init__(self, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        self._random_bits = random_bits

    def find_dependencies(self) -> Dependencies:
        """The libraries that it draws and encodes with."""
        versions = {name: version for name, version in installed_versions().items() if name in _LIBRARIES}
        return Dependencies(versions=versions, device="cpu")

    def run_stage(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        """Draw or rework the images of one stage.

        Raises:
            Cancelled: on request, between images.
            EngineError: an unknown stage, no input where one is needed, or an input that is not an image.
        """
        stages = {
            "txt2img": self._txt2img,
            "img2img": self._img2img,
            "adetailer": self._adetailer,
            "upscale": self._upscale,
        }
        request.check("sketch", stages)
        monitor.cancel.raise_if_cancelled()
        return stages[request.stage](request, monitor)

    def _txt2img(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        settings = request.settings
        seed = self._choose_seed(settings)
        count = _integer(settings, "batch_size", 1) * _integer(settings, "n_iter", 1)
        size = (_integer(settings, "width", 512), _integer(settings, "height", 512))
        actual = _actual(settings, seed=seed, width=size[0], height=size[1])

        def make(index: int, part: StageMonitor) -> StageResult:
            if part.wants_previews:
                small = (-(-size[0] // _PREVIEW_SCALE), -(-size[1] // _PREVIEW_SCALE))
                part.on_progress(0.0, _encode(_draw_scene(request, seed + index, small), request, seed + index))
            image = _encode(_draw_scene(request, seed + index, size), request, seed + index)
            return StageResult((image,), actual)

        return run_each(count, make, monitor)

    def _img2img(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        seed = self._choose_seed(request.settings)
        strength = _real(request.settings, "denoising_strength", 0.3)

        def repaint(image: Image.Image, index: int) -> Pixels:
            fresh = _draw_scene(request, seed + index, image.size)
            return _pixels_of(image) * (1 - strength) + fresh * strength

        actual = _actual(request.settings, seed=seed, denoising_strength=strength)
        return _rework(request, monitor, repaint, actual, seed=seed)

    def _adetailer(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        strength = _real(request.settings, "denoise", 0.4)
        steps = _integer(request.settings, "steps", 28)

        def detail(image: Image.Image, _index: int) -> Pixels:
            sharp = image.filter(ImageFilter.UnsharpMask(radius=3, percent=100 + 8 * steps, threshold=1))
            mask = _busiest_region(image) * strength
            return _pixels_of(image) * (1 - mask) + _pixels_of(sharp) * mask

        return _rework(request, monitor, detail, {"model": MODEL, "denoise": strength, "steps": steps})

    def _upscale(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        factor = _real(request.settings, "factor", 2.0)

        def enlarge(image: Image.Image, _index: int) -> Pixels:
            size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
            if size[0] * size[1] > _MAX_PIXELS:
                raise EngineError(f"{size[0]}x{size[1]} is more than the sketch engine draws; lower upscale.factor")
            larger = image.resize(size, Image.Resampling.LANCZOS)
            return _pixels_of(larger.filter(ImageFilter.UnsharpMask(radius=1.5, percent=60, threshold=2)))

        return _rework(request, monitor, enlarge, {"upscaler": "Lanczos", "factor": factor, "mode": "single"})

    def _choose_seed(self, settings: Mapping[str, JsonValue]) -> int:
        seed = _integer(settings, "seed", -1)
        return seed if seed >= 0 else self._random_bits(_SEED_BITS)


def _rework(
    request: StageRequest,
    monitor: StageMonitor,
    change: Callable[[Image.Image, int], Pixels],
    actual: Mapping[str, JsonValue],
    *,
    seed: int | None = None,
) -> StageResult:
    """Every input, changed; each output knows its input and its seed."""

    def make(index: int, _part: StageMonitor) -> StageResult:
        source = request.inputs[index]
        pixels = change(_decode(source), index)
        own_seed = source.seed if seed is None else seed + index
        return StageResult((_encode(pixels, request, own_seed, parent=index),), actual)

    return run_each(len(request.inputs), make, monitor)


def _actual(settings: Mapping[str, JsonValue], **known: JsonValue) -> dict[str, JsonValue]:
    """What really ran: settings this engine does not have (a checkpoint, clip skip) are not in it."""
    used = {key: settings[key] for key in (SAMPLER, SCHEDULE, "steps", "cfg_scale") if settings.get(key) is not None}
    return {"model": MODEL, **used, **known}


def _integer(settings: Mapping[str, JsonValue], key: str, default: int) -> int:
    value = settings.get(key)
    return default if value is None else int(value)


def _real(settings: Mapping[str, JsonValue], key: str, default: float) -> float:
    value = settings.get(key)
    return default if value is None else float(value)


def _draw_scene(request: StageRequest, seed: int, size: tuple[int, int]) -> Pixels:
    if size[0] * size[1] > _MAX_PIXELS:
        raise EngineError(f"{size[0]}x{size[1]} is more than the sketch engine draws; lower width and height")
    settings = request.settings
    return draw_scene(
        size,
        seed,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        steps=max(1, _integer(settings, "steps", 20)),
        sampler=str(settings.get(SAMPLER) or ""),
        schedule=str(settings.get(SCHEDULE) or ""),
        cfg_scale=_real(settings, "cfg_scale", 7.0),
    )


def _busiest_region(image: Image.Image) -> Pixels:
    """A soft ellipse, from 0 to 1, over the part of the image where most is going on."""
    cells = 8
    grey = np.asarray(image.convert("L").resize((cells * 8, cells * 8), Image.Resampling.BOX), dtype=np.float32)
    spread = grey.reshape(cells, 8, cells, 8).std(axis=(1, 3))
    row, column = np.unravel_index(int(spread.argmax()), spread.shape)
    rows = (np.arange(image.height, dtype=np.float32) / image.height - (row + 0.5) / cells)[:, None]
    columns = (np.arange(image.width, dtype=np.float32) / image.width - (column + 0.5) / cells)[None, :]
    distance = np.sqrt(rows**2 + columns**2) / 0.28
    return np.asarray(np.clip(1.4 - distance, 0, 1), dtype=np.float32)[..., None]


def _pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.float32)


def _decode(source: EngineImage) -> Image.Image:
    try:
        with Image.open(io.BytesIO(source.data), formats=("PNG", "JPEG", "WEBP")) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise EngineError(f"an input is not an image that can be decoded: {error}") from error


def _encode(pixels: Pixels, request: StageRequest, seed: int | None, parent: int | None = None) -> EngineImage:
    image = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
    _sign(image)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("parameters", _parameters(request, seed))
    text.add_text("Software", f"StableNew {MODEL} (procedural; no diffusion model)")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=text, compress_level=_COMPRESSION)
    return EngineImage(
        data=buffer.getvalue(),
        media_type="image/png",
        width=image.width,
        height=image.height,
        seed=seed,
        pixel_digest=digest_bytes(image.tobytes()),
        parent=parent,
    )


def _sign(image: Image.Image) -> None:
    """The word "sketch" in the corner, so that nobody takes the picture for a model's."""
    draw = ImageDraw.Draw(image)
    draw.text((8, image.height - 18), "sketch", fill=(255, 255, 255), font=ImageFont.load_default_imagefont())


def _parameters(request: StageRequest, seed: int | None) -> str:
    """The settings in the form that A1111 writes into PNG files, which many tools read."""
    names = {"steps": "Steps", SAMPLER: "Sampler", SCHEDULE: "Schedule type", "cfg_scale": "CFG scale"}
    pairs = [f"{names[key]}: {request.settings[key]}" for key in names if request.settings.get(key) is not None]
    details = ", ".join([*pairs, f"Seed: {seed}", f"Model: {MODEL}", f"Stage: {request.stage}"])
    negative = f"\nNegative prompt: {request.negative_prompt}" if request.negative_prompt else ""
    return str(json_safe(f"{request.prompt}{negative}\n{details}"))
