"""Draw Things: JSON with short names in the comment, and a text like that of the WebUIs as the description."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.infotext import parse_infotext
from stablenew.image_metadata.metadata import Generation, Lora, Tool
from stablenew.image_metadata.settings import build_settings, first_text
from stablenew.image_metadata.tools.a1111 import read_settings

_NAMES: Final = {"scale": "cfg_scale"}
_NOT_SETTINGS: Final = {"c", "uc"}


def read_draw_things(evidence: Evidence) -> Generation | None:
    """What an image of Draw Things says."""
    for value in evidence.iter_main_objects():
        if isinstance(value.get("c"), str) and {"uc", "model", "sampler", "scale", "v2"} & value.keys():
            return _read(value)
    if "draw things" not in (evidence.text("Software", "CreatorTool") or "").casefold():
        return None
    return _read_description(evidence)


def _read(said: Mapping[str, Any]) -> Generation:
    negative = said.get("uc")
    return Generation(
        tool=Tool.DRAW_THINGS,
        prompt=said["c"],
        negative_prompt=negative if isinstance(negative, str) else None,
        settings=build_settings({name: value for name, value in said.items() if name not in _NOT_SETTINGS}, _NAMES),
        loras=tuple(_iter_loras(said.get("lora"))),
    )


def _read_description(evidence: Evidence) -> Generation | None:
    for text in evidence.iter_texts(["ImageDescription", "Description"]):
        found = parse_infotext(text)
        prompt, dash, negative = found.prompt.rpartition("\n-")  # the negative prompt is a line that begins so
        is_dashed = bool(dash) and not found.has_negative
        return Generation(
            tool=Tool.DRAW_THINGS,
            prompt=prompt.strip() if is_dashed else found.prompt,
            negative_prompt=negative.strip() if is_dashed else found.negative_prompt if found.has_negative else None,
            settings=read_settings(found.parameters),
        )
    return None


def _iter_loras(loras: Any) -> Iterator[Lora]:
    for item in loras[:200] if isinstance(loras, list) else []:
        name = first_text([item.get("model"), item.get("file")]) if isinstance(item, dict) else None
        if name:
            weight = item.get("weight")
            yield Lora(name, float(weight) if isinstance(weight, (int, float)) else None)
