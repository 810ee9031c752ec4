"""What a WebUI answers: the images as they were sent, and what really ran. Pure.

A reply's `images` may begin with a grid (`index_of_first_image` says so) and end with maps of ControlNet, which have
neither a seed nor an infotext. What ran stands in `info`, a JSON text in the JSON, and in the infotext of each image:
AUTOMATIC1111 leaves the schedule out of `info` where it chose it, SD.Next leaves out the model.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stablenew.engines.engine import EngineImage
from stablenew.engines.image_reading import read_image
from stablenew.errors import EngineError
from stablenew.formats.settings import BY_NAME, standard_name
from stablenew.formats.strict_json import JsonValue, parse_loose_json
from stablenew.image_metadata.infotext import Infotext, parse_infotext
from stablenew.image_metadata.tools.a1111 import read_standard_settings


@dataclass(frozen=True, slots=True)
class WebUIReply:
    """A reply to txt2img or img2img, understood."""

    images: tuple[EngineImage, ...]
    actual: Mapping[str, JsonValue]
    left_out: int = 0
    """Grids and ControlNet maps, which are not outputs."""
    missing: int = 0
    """Images that have a seed and were not sent: somebody stopped the server before it came to them."""
    info: Mapping[str, Any] = field(default_factory=dict)


def read_reply(reply: Any, *, parent: int | None = None) -> WebUIReply:
    """The images of a batch, each with its own seed, and the settings that ran.

    Raises:
        EngineError: it is no such reply, or an image in it is cut off.
    """
    if not isinstance(reply, dict) or not isinstance(reply.get("images"), list):
        raise EngineError("the server answered without images; is this the address of a WebUI?")
    info = _read_info(reply.get("info"))
    first = info.get("index_of_first_image")
    first = first if isinstance(first, int) and not isinstance(first, bool) else 0
    seeds = [seed for seed in _read_list(info, "all_seeds") if isinstance(seed, int)]
    texts = [parse_infotext(str(text)) for text in _read_list(info, "infotexts")][first:]
    sent = reply["images"][first:]
    wanted = sent[: max(len(seeds), len(texts))] if seeds else sent
    if not wanted:
        raise EngineError("the server made no image; its window says why")
    images = tuple(
        decode_image(data, seed=_seed_of(number, seeds, texts), parent=parent) for number, data in enumerate(wanted)
    )
    return WebUIReply(
        images,
        _actual(info, texts[0] if texts else Infotext("")),
        left_out=len(reply["images"]) - len(wanted),
        missing=max(0, len(seeds) - len(wanted)),
        info=info,
    )


def _seed_of(number: int, seeds: list[int], texts: list[Infotext]) -> int | None:
    """Scripts such as loopback make more images than `all_seeds` has; each image's infotext knows its own."""
    if number < len(seeds):
        return seeds[number]
    seed = read_standard_settings(texts[number]).get("seed") if number < len(texts) else None
    return seed if isinstance(seed, int) else None


def decode_image(text: Any, *, seed: int | None = None, parent: int | None = None) -> EngineImage:
    """One image of a reply: base64, with or without the head of a data URI.

    Raises:
        EngineError: it is not base64, not an image, or cut off.
    """
    try:
        data = base64.b64decode(str(text).rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise EngineError("the server sent an image that is not base64") from None
    return read_image(data, seed=seed, parent=parent)


def _read_info(text: Any) -> dict[str, Any]:
    try:
        info = parse_loose_json(text) if isinstance(text, str) else text
    except ValueError:
        info = None
    return info if isinstance(info, dict) else {}


def _read_list(info: Mapping[str, Any], name: str) -> list[Any]:
    """A list of `info`; empty where it is null or something else."""
    found = info.get(name)
    return found if isinstance(found, list) else []


_BESIDE: Final = ("subseed_strength",)
"""What is recorded of `info` beside the settings of the table."""
_IN_PARAMS: Final = ("Schedule type",)
"""Settings that stand in `extra_generation_params` only."""


def _actual(info: Mapping[str, Any], text: Infotext) -> dict[str, JsonValue]:
    """What ran: what `info` says, and from the infotext what it does not say."""
    named = {standard_name(name): value for name, value in info.items() if value is not None}
    found: dict[str, JsonValue] = {name: named[name] for name in (*BY_NAME, *_BESIDE) if name in named}
    from_text = read_standard_settings(text)
    from_text.pop("generation_params", None)
    if from_text and "denoising_strength" not in from_text:
        found.pop("denoising_strength", None)  # SD.Next names it where it was not used, too
    found = from_text | found
    if "sd_vae_name" in info and "vae" not in found:
        found["vae"] = "None"  # its own word for the one in the checkpoint
    params = info.get("extra_generation_params")
    params = {key: str(value) for key, value in params.items() if value is not None} if isinstance(params, dict) else {}
    found |= {standard_name(name): params[name] for name in _IN_PARAMS if params.get(name)}
    seeds = _read_list(info, "all_seeds") or [info.get("seed")]
    if isinstance(seeds[0], int):
        found["seed"] = seeds[0]
    return found | ({"generation_params": params} if params else {})
