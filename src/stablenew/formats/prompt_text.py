"""Text around prompts: the tags of LoRAs and embeddings in a prompt, and the infotext that WebUIs write into images."""

import json
import re
from dataclasses import dataclass, field
from typing import Final

from stablenew.formats.strict_json import JsonValue

LORA_TAG: Final = re.compile(r"<lora:([^:<>]+)(?::([-+]?[0-9]*\.?[0-9]+))?[^<>]*>")
EMBEDDING_TAG: Final = re.compile(r"<embedding:([^:<>]+)>")


def split_loras(text: str) -> tuple[str, list[tuple[str, float]]]:
    """A prompt without the LoRAs it calls, and these with their weights: for programs that have no words for them."""
    loras = [(name, 1.0 if weight is None else weight) for name, weight in find_loras(text)]
    return (LORA_TAG.sub("", text).strip() if loras else text), loras


def find_loras(text: str) -> list[tuple[str, float | None]]:
    """Name and weight of every LoRA that `text` calls."""
    return [(match[1].strip(), float(match[2]) if match[2] else None) for match in LORA_TAG.finditer(text)]


_PARAMETER: Final = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_NEGATIVE: Final = "Negative prompt:"
_LEAST_PARAMETERS: Final = 3
_WHOLE: Final = {"Steps": "steps", "Seed": "seed", "Clip skip": "clip_skip"}
_REAL: Final = {"CFG scale": "cfg_scale", "Denoising strength": "denoising_strength"}
_TEXT: Final = {
    "Sampler": "sampler",
    "Schedule type": "scheduler",
    "Model": "model",
    "Model hash": "model_hash",
    "VAE": "vae",
}


@dataclass(frozen=True, slots=True)
class Infotext:
    """What such a text says."""

    prompt: str
    negative_prompt: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, JsonValue]:
        """The parameters under the standard names; all of them stand under `generation_params` too."""
        found: dict[str, JsonValue] = {}
        for names, convert in ((_WHOLE, int), (_REAL, float), (_TEXT, str)):
            for name, ours in names.items():
                try:
                    found[ours] = convert(self.parameters[name])
                except (KeyError, ValueError):
                    continue
        width, cross, height = self.parameters.get("Size", "").partition("x")
        if cross and width.isdecimal() and height.isdecimal():
            found |= {"width": int(width), "height": int(height)}
        return found | ({"generation_params": dict(self.parameters)} if self.parameters else {})


def parse_infotext(text: str) -> Infotext:
    """What the text says. One that is none is a prompt and nothing else."""
    *lines, last = text.strip().split("\n")
    found = _PARAMETER.findall(last)
    if len(found) < _LEAST_PARAMETERS:
        lines, found = [*lines, last], []
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in lines:
        if line.strip().startswith(_NEGATIVE):
            target = negative
            target.append(line.strip().removeprefix(_NEGATIVE).strip())
        else:
            target.append(line)
    parameters = {name.strip(): _unquote(value.strip()) for name, value in found}
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), parameters)


def _unquote(value: str) -> str:
    if not (value.startswith('"') and value.endswith('"')):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
