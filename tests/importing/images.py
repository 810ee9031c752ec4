"""Images as tools write them, made here."""

import io

from PIL import Image, PngImagePlugin

INFOTEXT = "a quiet harbour at dawn\nNegative prompt: fog\nSteps: {steps}, Sampler: Euler a, Schedule type: Karras, "
INFOTEXT += "CFG scale: 7, Seed: {seed}, Size: 64x48, Model hash: 879db523c3, Model: dreamshaper_8, Version: v1.10.1"


def make_png(seed=1, *, steps=20, text=None, extra=None):
    """A PNG of A1111 with its own colour; with `text` "" one that says nothing."""
    picture = Image.new("RGB", (64, 48), (seed * 37 % 256, seed * 91 % 256, seed * 13 % 256))
    info = PngImagePlugin.PngInfo()
    text = INFOTEXT.format(seed=seed, steps=steps) if text is None else text
    if text:
        info.add_text("parameters", text)
    for key, value in (extra or {}).items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def make_pictured_png(seed=1, *, extra=None):
    """A PNG of A1111 with pixels that differ."""
    noise = bytes((seed * 89 + place * place * 37) % 256 for place in range(20))
    picture = Image.frombytes("L", (5, 4), noise).resize((64, 48), Image.Resampling.BICUBIC).convert("RGB")
    info = PngImagePlugin.PngInfo()
    for key, value in ({"parameters": INFOTEXT.format(seed=seed, steps=20)} | (extra or {})).items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def fill(folder, count, *, first=0):
    """So many images of A1111 in a folder; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(first, first + count):
        paths.append(folder / f"{number:05d}-{number}.png")
        paths[-1].write_bytes(make_png(number))
    return paths
