"""What the Content Credentials of an image say: how it came to be, and with `with_prompt` from which words. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from stablenew import __version__
from stablenew.exporting.maker import Maker

GENERATION: Final = "org.stablenew.generation"
_OUR_NAME: Final = "StableNew"


def build_manifest(image: Mapping[str, Any], maker: Maker, title: str, *, with_prompt: bool) -> dict[str, Any]:
    """The manifest of an image as `JobHistory.find_images` returns it, in the JSON of the C2PA libraries.

    Settings are text, because seeds are larger than the numbers of many readers. Stars, notes, names of people, hosts
    and folders are not in it.
    """
    agent = {"name": maker.name} | ({"version": maker.version} if maker.version else {})
    created = {
        "action": "c2pa.created",
        "when": image["created_at"],
        "softwareAgent": agent,
        "digitalSourceType": maker.digital_source_type,
    }
    generation: dict[str, Any] = {"digest": image["digest"]}
    generation["settings"] = {name: str(value) for name, value in image["settings"].items()}
    if with_prompt:
        generation |= {"prompt": image["prompt"] or "", "negative_prompt": image["negative"] or ""}
    return {
        "claim_generator_info": [{"name": _OUR_NAME, "version": __version__}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": GENERATION, "data": generation},
        ],
    }
