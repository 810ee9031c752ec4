"""InvokeAI, three generations: a command line (`Dream`), `sd-metadata`, and `invokeai_metadata` with its graph."""

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from stablenew.formats.settings import BY_NAME, SAMPLER, SCHEDULE
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation, InputImage, Lora, Scalar, Tool
from stablenew.image_metadata.prompt_tags import find_embeddings
from stablenew.image_metadata.settings import build_settings, first_text, sort_settings

_NAMES: Final = {
    BY_NAME[SAMPLER].diffusers_part: SAMPLER,
    "positive_prompt": "",
    "negative_prompt": "",
    "prompt": "",
    "positive_conditioning": "",
    "negative_conditioning": "",
    "app_version": "",
}
_SAMPLERS: Final = {
    "k_lms": "LMS", "lms": "LMS", "k_euler": "Euler", "euler": "Euler", "euler_a": "Euler a", "k_euler_a": "Euler a",
    "k_heun": "Heun", "heun": "Heun", "k_dpm_2": "DPM2", "k_dpm_2_a": "DPM2 a", "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2s": "DPM++ 2S a", "dpmpp_sde": "DPM++ SDE", "dpmpp_2m_sde": "DPM++ 2M SDE", "ddim": "DDIM",
    "plms": "PLMS", "pndm": "PLMS", "unipc": "UniPC", "lcm": "LCM", "ddpm": "DDPM",
}  # fmt: skip
"""The samplers under InvokeAI's names; an end `_k` is Karras."""
_OPTIONS: Final = {
    "-s": "steps", "-S": "seed", "-W": "width", "-H": "height", "-C": "cfg_scale", "-A": "sampler",
    "-f": "strength", "-n": "iterations", "-G": "gfpgan_strength", "-b": "batch",
}  # fmt: skip
_ATTACHED: Final = re.compile(rf"({'|'.join(_OPTIONS)})([^\s-].*)")
"""An option with its value, as in `-s50`."""
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\]")
_LONGEST_COMMAND: Final = 100_000


def read_invokeai(evidence: Evidence) -> Generation | None:
    """What an image of InvokeAI says, the newest way first."""
    new = evidence.object("invokeai_metadata")
    if new:
        return _read_new(new)
    middle = evidence.object("sd-metadata")
    if middle:
        return _read_middle(middle)
    command = evidence.text("Dream")
    if command is not None:
        return _read_command(command)
    early = evidence.object("invokeai")
    if "positive_conditioning" in early or "positive_prompt" in early:
        return _read_new(early)
    graph = evidence.object("invokeai_graph", "invokeai_workflow")
    return Generation(tool=Tool.INVOKEAI) if graph else None


def _read_new(data: Mapping[str, Any]) -> Generation:
    prompt = first_text([data.get("positive_prompt"), data.get("positive_conditioning")])
    negative = first_text([data.get("negative_prompt"), data.get("negative_conditioning")])
    model, vae = data.get("model"), data.get("vae")
    return Generation(
        tool=Tool.INVOKEAI,
        tool_version=first_text([data.get("app_version")]),
        prompt=prompt,
        negative_prompt=negative,
        settings=_settings(data, _model_facts(model) | ({"vae": _model_name(vae)} if _model_name(vae) else {})),
        loras=tuple(_iter_loras(data.get("loras"))),
        embeddings=find_embeddings([prompt, negative]),
        input_images=tuple(_iter_inputs(data)),
    )


def _settings(data: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Scalar]:
    settings = build_settings({**data, **model}, _NAMES)
    sampler = settings.get(SAMPLER)
    if isinstance(sampler, str):
        bare = sampler.removesuffix("_k")
        settings[SAMPLER] = _SAMPLERS.get(bare, bare)
        if bare != sampler:
            settings[SCHEDULE] = "Karras"
    return sort_settings(settings)


def _model_name(model: Any) -> str | None:
    if isinstance(model, str):
        return model
    if not isinstance(model, dict):
        return None
    inner = model.get("model")
    return first_text(
        [model.get("name"), model.get("model_name"), *([inner.get("name")] if isinstance(inner, dict) else [])]
    )


def _model_facts(model: Any) -> dict[str, Any]:
    facts = {"model": _model_name(model)}
    if isinstance(model, dict):
        facts["model_hash"] = first_text([model.get("hash")])
    return {name: value for name, value in facts.items() if value}


def _iter_loras(loras: Any) -> Iterator[Lora]:
    for item in loras[:200] if isinstance(loras, list) else []:
        if isinstance(item, dict):
            model = item.get("model") or item.get("lora")
            name, weight = _model_name(model), item.get("weight")
            if name:
                digest = first_text([model.get("hash")]) if isinstance(model, dict) else None
                yield Lora(name, float(weight) if isinstance(weight, (int, float)) else None, digest)


def _iter_inputs(data: Mapping[str, Any]) -> Iterator[InputImage]:
    image = data.get("init_image")
    if isinstance(image, str):
        yield InputImage(image, "init")


def _read_middle(data: Mapping[str, Any]) -> Generation:
    image = data.get("image") or data.get("images")
    image = image[0] if isinstance(image, list) and image else image
    image = image if isinstance(image, dict) else {}
    prompt, negative = _split_brackets(_prompt_of(image.get("prompt")))
    facts = {"model": data.get("model_weights") or data.get("model"), "model_hash": data.get("model_hash")}
    return Generation(
        tool=Tool.INVOKEAI,
        tool_version=first_text([data.get("app_version")]),
        prompt=prompt,
        negative_prompt=negative,
        settings=_settings(image, {name: value for name, value in facts.items() if isinstance(value, str)}),
        embeddings=find_embeddings([prompt, negative]),
    )


def _prompt_of(value: Any) -> str | None:
    """One text, or several with weights."""
    if isinstance(value, str):
        return value
    parts = [part.get("prompt") for part in value if isinstance(part, dict)] if isinstance(value, list) else []
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if texts else None


def _split_brackets(prompt: str | None) -> tuple[str | None, str | None]:
    """Prompt and negative prompt, which this generation writes in square brackets."""
    if prompt is None:
        return None, None
    negative = ", ".join(part.strip() for part in _BRACKETED.findall(prompt))
    return _BRACKETED.sub("", prompt).strip(), negative or None


def _read_command(command: str) -> Generation:
    quoted, words = _split_command(command[:_LONGEST_COMMAND])
    prompt, negative = _split_brackets(quoted)
    options = dict(pairwise(_detach(words)))
    pairs = {name: options[option] for option, name in _OPTIONS.items() if option in options}
    return Generation(
        tool=Tool.INVOKEAI,
        prompt=prompt,
        negative_prompt=negative,
        settings=_settings(pairs, {}),
        embeddings=find_embeddings([prompt, negative]),
    )


def _detach(words: list[str]) -> Iterator[str]:
    """The words with `-s50` as `-s` and `50`."""
    for word in words:
        attached = _ATTACHED.fullmatch(word)
        yield from attached.groups() if attached else (word,)


def _split_command(command: str) -> tuple[str, list[str]]:
    """The prompt and the words behind it."""
    command = command.strip()
    if command[:1] in {'"', "'"}:
        end = command.rfind(command[0])
        if end > 0:
            return command[1:end].replace('\\"', '"'), _words(command[end + 1 :])
    prompt, dash, rest = command.partition(" -")
    return prompt.strip(), _words(dash + rest)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
