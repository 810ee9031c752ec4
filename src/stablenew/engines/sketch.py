"""`sketch`, the built-in engine: a procedural landscape from prompt, seed and settings.

No model, no GPU, no download, and it does not pretend otherwise: every picture carries the word "sketch" and says so in
its metadata. Equal requests give equal bytes on one machine; every setting it reports as actual changes the picture.
"""

import hashlib
import io
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, PngImagePlugin

from stablenew.engines.dependencies import Dependencies, installed_versions
from stablenew.engines.engine import EngineImage, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.image_by_image import run_each
from stablenew.errors import EngineError
from stablenew.formats.digest import digest_bytes
from stablenew.formats.settings import SAMPLER, SCHEDULE
from stablenew.formats.strict_json import JsonValue, json_safe

VERSION: Final = "1"
MODEL: Final = f"sketch-{VERSION}"
_LIBRARIES: Final = {"stablenew", "python", "numpy", "pillow"}
_MAX_PIXELS: Final = 40_000_000
_COMPRESSION: Final = 3
_SEED_BITS: Final = 32
_PREVIEW_SCALE: Final = 8

_MOODS: Final = {
    "dawn": 0.03, "sunrise": 0.03, "sunset": 0.98, "autumn": 0.07, "desert": 0.10, "meadow": 0.27, "spring": 0.30,
    "forest": 0.36, "jungle": 0.39, "lagoon": 0.47, "noon": 0.52, "sea": 0.55, "harbour": 0.56, "calm": 0.57,
    "winter": 0.58, "lake": 0.59, "stormy": 0.62, "night": 0.68, "dusk": 0.78, "lavender": 0.75,
}  # fmt: skip
"""Words that pull the colours somewhere: hue from 0 to 1."""

Pixels = np.ndarray[Any, np.dtype[np.float32]]


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
            EngineError: an unknown stage, no input where one is needed, or an input that is no image.
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


def _random_for(*parts: object) -> np.random.Generator:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _draw_scene(request: StageRequest, seed: int, size: tuple[int, int]) -> Pixels:
    """The picture as float32 RGB from 0 to 255, shape (height, width, 3)."""
    if size[0] * size[1] > _MAX_PIXELS:
        raise EngineError(f"{size[0]}x{size[1]} is more than the sketch engine draws; lower width and height")
    settings = request.settings
    steps = max(1, _integer(settings, "steps", 20))
    layout = _random_for("layout", request.prompt, seed)
    hue = _hue_of(request.prompt, layout)
    pixels = _sky(size, hue, layout)
    _add_sun(pixels, hue, layout)
    _add_hills(pixels, hue, layout, octaves=2 + steps.bit_length())
    _add_strokes(pixels, str(settings.get(SAMPLER) or ""), str(settings.get(SCHEDULE) or ""))
    _add_grain(pixels, _random_for("grain", request.negative_prompt, seed, steps), 60.0 / steps)
    return _with_contrast(pixels, _real(settings, "cfg_scale", 7.0))


def _hue_of(prompt: str, layout: np.random.Generator) -> float:
    """The mood of the prompt: of the words that have a colour the one that stands last, or a hue of its own."""
    own = float(layout.random())
    text = prompt.lower()
    last = max(_MOODS, key=text.rfind)
    return (_MOODS[last] + (own - 0.5) * 0.06) % 1.0 if last in text else own


def _colour(hue: float, saturation: float, value: float) -> Pixels:
    """HSV to RGB from 0 to 255, after Smith, "Color gamut transform pairs" (1978)."""
    sector = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    share = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return np.asarray(255 * value * (1 - saturation * share), dtype=np.float32)


def _sky(size: tuple[int, int], hue: float, layout: np.random.Generator) -> Pixels:
    width, height = size
    top = _colour((hue + layout.uniform(-0.06, 0.06)) % 1, 0.55, layout.uniform(0.55, 0.85))
    low = _colour((hue + layout.uniform(0.04, 0.12)) % 1, 0.25, 0.98)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.broadcast_to(top * (1 - ramp) + low * ramp, (height, width, 3)).copy()


def _add_sun(pixels: Pixels, hue: float, layout: np.random.Generator) -> None:
    height, width, _ = pixels.shape
    x, y = layout.uniform(0.15, 0.85) * width, layout.uniform(0.12, 0.5) * height
    radius = layout.uniform(0.05, 0.11) * min(width, height) + 1
    rows, columns = np.ogrid[:height, :width]
    distance = np.sqrt((columns - x) ** 2 + (rows - y) ** 2).astype(np.float32) / radius
    glow = np.clip(np.exp(-np.maximum(distance - 1, 0) * 0.9), 0, 1)[..., None]
    pixels += (_colour((hue + 0.12) % 1, 0.18, 1.0) - pixels) * glow


def _add_hills(pixels: Pixels, hue: float, layout: np.random.Generator, *, octaves: int) -> None:
    height, width, _ = pixels.shape
    x = np.linspace(0, 2 * np.pi, width, dtype=np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    layers = int(layout.integers(3, 6))
    for layer in range(layers):
        depth = (layer + 1) / layers
        ridge = _ridge(x, layout, octaves) * height * (0.05 + 0.06 * depth) + height * (0.45 + 0.42 * depth)
        colour = _colour((hue + 0.05 * layer) % 1, 0.25 + 0.5 * depth, 0.8 - 0.6 * depth)
        mask = np.clip(rows - ridge[None, :], 0, 1)[..., None]
        shade = 1 - 0.35 * np.clip((rows - ridge[None, :]) / height, 0, 1)[..., None]
        pixels += (colour * shade - pixels) * mask


def _ridge(x: Pixels, layout: np.random.Generator, octaves: int) -> Pixels:
    """A line of hills: sines of rising frequency and falling height; more octaves, more detail."""
    line = np.zeros_like(x)
    for octave in range(octaves):
        frequency, phase = layout.uniform(0.7, 1.4) * 1.9**octave, layout.uniform(0, 2 * np.pi)
        line += np.sin(x * frequency + phase) / 1.7**octave
    return line


def _add_strokes(pixels: Pixels, sampler: str, schedule: str) -> None:
    """The hand of the sampler: brush strokes whose direction and width follow from its name."""
    style = _random_for("strokes", sampler, schedule)
    angle, spacing, strength = style.uniform(0, np.pi), style.uniform(5, 22), style.uniform(4, 11)
    height, width, _ = pixels.shape
    rows, columns = np.ogrid[:height, :width]
    along = columns * np.float32(np.cos(angle)) + rows * np.float32(np.sin(angle))
    across = columns * np.float32(-np.sin(angle)) + rows * np.float32(np.cos(angle))
    wave = np.sin(along * np.float32(2 * np.pi / spacing) + np.sin(across * np.float32(0.05)) * 2)
    pixels += (wave * strength).astype(np.float32)[..., None]


def _add_grain(pixels: Pixels, noise: np.random.Generator, amount: float) -> None:
    """Few steps leave noise behind, as in diffusion."""
    if amount >= 0.5:
        grain = noise.standard_normal(pixels.shape[:2], dtype=np.float32)
        pixels += (grain * np.float32(min(amount, 60)))[..., None]


def _with_contrast(pixels: Pixels, cfg_scale: float) -> Pixels:
    """More guidance, more contrast and colour; too much burns, as in diffusion."""
    strength = np.float32(0.55 + cfg_scale / 15)
    grey = pixels.mean(axis=2, keepdims=True)
    vivid = grey + (pixels - grey) * strength
    return np.asarray((vivid - 128) * strength + 128, dtype=np.float32)


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
        raise EngineError(f"an input is no image that can be decoded: {error}") from error


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
