"""What a WebUI answers: the images as they were sent, and what really ran. Pure.

A reply's `images` may begin with a grid (`index_of_first_image` says so) and end with maps of ControlNet, which have no
seed. What ran stands in `info`, a JSON text in the JSON: a server keeps another checkpoint than asked without a word.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stablenew.engines.engine import EngineImage
from stablenew.engines.engine_http import read_image
from stablenew.errors import EngineError
from stablenew.formats.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class WebUIReply:
    """A reply to txt2img or img2img, understood."""

    images: tuple[EngineImage, ...]
    actual: Mapping[str, JsonValue]
    left_out: int = 0
    """Grids and ControlNet maps, which are no outputs."""
    info: Mapping[str, Any] = field(default_factory=dict)


def read_reply(reply: Any, *, parent: int | None = None) -> WebUIReply:
    """The images of a batch, each with its own seed, and the settings that ran.

    Raises:
        EngineError: it is no such reply, or an image in it is cut off.
    """
    if not isinstance(reply, dict) or not isinstance(reply.get("images"), list):
        raise EngineError("the server answered without images; is this the address of a WebUI?")
    info = _read_info(reply.get("info"))
    seeds = [seed for seed in info.get("all_seeds", []) if isinstance(seed, int)]
    first = info.get("index_of_first_image")
    first = first if isinstance(first, int) and not isinstance(first, bool) else 0
    wanted = reply["images"][first:]
    wanted = wanted[: len(seeds)] if seeds else wanted
    if not wanted:
        raise EngineError("the server made no image; its window says why")
    images = tuple(
        decode_image(text, seed=seeds[number] if number < len(seeds) else None, parent=parent)
        for number, text in enumerate(wanted)
    )
    return WebUIReply(images, _actual(info), len(reply["images"]) - len(wanted), info)


def decode_image(text: Any, *, seed: int | None = None, parent: int | None = None) -> EngineImage:
    """One image of a reply: base64, with or without the head of a data URI.

    Raises:
        EngineError: it is none, or cut off.
    """
    try:
        data = base64.b64decode(str(text).rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise EngineError("the server sent an image that is no base64") from None
    return read_image(data, seed=seed, parent=parent)


def _read_info(text: Any) -> dict[str, Any]:
    try:
        info = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        info = None
    return info if isinstance(info, dict) else {}


_NAMES = {
    "sd_model_name": "model",
    "sd_model_hash": "model_hash",
    "sd_vae_name": "vae",
    "sampler_name": "sampler",
    "steps": "steps",
    "cfg_scale": "cfg_scale",
    "width": "width",
    "height": "height",
    "denoising_strength": "denoising_strength",
    "clip_skip": "clip_skip",
    "subseed_strength": "subseed_strength",
}


def _actual(info: Mapping[str, Any]) -> dict[str, JsonValue]:
    found = {name: info[field] for field, name in _NAMES.items() if info.get(field) is not None}
    params = info.get("extra_generation_params")
    params = params if isinstance(params, dict) else {}
    if params.get("Schedule type"):
        found["scheduler"] = params["Schedule type"]
    seeds = info.get("all_seeds") or [info.get("seed")]
    if isinstance(seeds[0], int):
        found["seed"] = seeds[0]
    if params:
        found["generation_params"] = {key: str(value) for key, value in params.items()}
    return found
