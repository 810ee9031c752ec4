"""The landscape that the sketch engine draws: sky, sun and hills, in the hand of a sampler."""

import hashlib
from typing import Any, Final

import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.float32]]
_MOODS: Final = {
    "dawn": 0.03, "sunrise": 0.03, "sunset": 0.98, "autumn": 0.07, "desert": 0.10, "meadow": 0.27, "spring": 0.30,
    "forest": 0.36, "jungle": 0.39, "lagoon": 0.47, "noon": 0.52, "sea": 0.55, "harbour": 0.56, "calm": 0.57,
    "winter": 0.58, "lake": 0.59, "stormy": 0.62, "night": 0.68, "dusk": 0.78, "lavender": 0.75,
}  # fmt: skip
"""Words that pull the colours somewhere: hue from 0 to 1."""


def draw_scene(
    size: tuple[int, int],
    seed: int,
    *,
    prompt: str,
    negative_prompt: str,
    steps: int,
    sampler: str,
    schedule: str,
    cfg_scale: float,
) -> Pixels:
    """The picture as float32 RGB from 0 to 255, shape (height, width, 3)."""
    layout = _random_for("layout", prompt, seed)
    hue = _hue_of(prompt, layout)
    pixels = _sky(size, hue, layout)
    _add_sun(pixels, hue, layout)
    _add_hills(pixels, hue, layout, octaves=2 + steps.bit_length())
    _add_strokes(pixels, sampler, schedule)
    _add_grain(pixels, _random_for("grain", negative_prompt, seed, steps), 60.0 / steps)
    return _with_contrast(pixels, cfg_scale)


def _random_for(*parts: object) -> np.random.Generator:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


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
