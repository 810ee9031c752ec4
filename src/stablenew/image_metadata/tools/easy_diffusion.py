"""Easy Diffusion: one text per setting in PNG, JSON elsewhere; beside the image JSON or lines with readable names."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation, Lora, Tool
from stablenew.image_metadata.prompt_tags import find_embeddings, read_weight
from stablenew.image_metadata.settings import build_settings

_READABLE: Final = {
    "Prompt": "prompt",
    "Width": "width",
    "Height": "height",
    "Seed": "seed",
    "Steps": "num_inference_steps",
    "Guidance Scale": "guidance_scale",
    "Prompt Strength": "prompt_strength",
    "Use Face Correction": "use_face_correction",
    "Use Upscaling": "use_upscale",
    "Sampler": "sampler_name",
    "Negative Prompt": "negative_prompt",
    "Stable Diffusion model": "use_stable_diffusion_model",
    "VAE model": "use_vae_model",
    "Clip Skip": "clip_skip",
    "LoRA model": "use_lora_model",
    "LoRA Strength": "lora_alpha",
    "Seamless Tiling": "tiling",
    "Upscale By": "upscale_amount",
    "Latent Upscaler Steps": "latent_upscaler_steps",
    "ControlNet model": "use_controlnet_model",
    "ControlNet Filter": "control_filter_to_apply",
    "Hypernetwork model": "use_hypernetwork_model",
    "Hypernetwork Strength": "hypernetwork_strength",
    "Embedding models": "use_embedding_models",
}
"""The names of its text files, and those of its JSON (`TASK_TEXT_MAPPING` of its `save_utils.py`)."""
_NAMES: Final = {
    "use_stable_diffusion_model": "model",
    "use_vae_model": "vae",
    "prompt_strength": "denoising_strength",
}
_NOT_SETTINGS: Final = {"prompt", "negative_prompt", "use_lora_model", "lora_alpha", "original_prompt"}
_MARK: Final = "use_stable_diffusion_model"
_OLD_MARKS: Final = {"use_face_correction", "prompt_strength", "seed"}
_SAMPLERS: Final = {
    "euler_a": "Euler a", "dpm2": "DPM2", "dpm2_a": "DPM2 a", "dpmpp_2s_a": "DPM++ 2S a", "plms": "PLMS",
    "unipc_snr": "UniPC", "unipc_tu": "UniPC", "unipc_snr_2": "UniPC", "unipc_tu_2": "UniPC", "unipc_tq": "UniPC",
}  # fmt: skip
"""Its names that no other program has."""


def read_easy_diffusion(evidence: Evidence) -> Generation | None:
    """What an image of Easy Diffusion or the file beside it says."""
    texts = _with_plain_names({text.key: text.text for text in evidence.texts if text.place == "png"})
    if _MARK in texts:
        return _read(texts)
    for value in evidence.iter_main_objects():
        asked = value.get("reqBody")  # what its page saves
        plain = _with_plain_names(asked if isinstance(asked, dict) else value)
        if _MARK in plain:
            return _read(plain)
    for text in evidence.iter_texts(["sidecar"]):
        lines = dict(_iter_lines(text))
        if _MARK in lines:
            return _read(lines)
        if lines.keys() >= _OLD_MARKS:  # 2022: no model is named, and the prompt is the first line
            return _read({"prompt": text.lstrip().partition("\n")[0].strip()} | lines)
    return None


def _with_plain_names(said: Mapping[str, Any]) -> dict[str, Any]:
    return {_READABLE.get(name, name): item for name, item in said.items()}


def _iter_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines()[:500]:
        name, colon, value = line.partition(":")
        if colon and name.strip() in _READABLE:
            yield _READABLE[name.strip()], value.strip()


def _read(said: Mapping[str, Any]) -> Generation:
    prompt, negative = said.get("prompt"), said.get("negative_prompt")
    texts = [text for text in (prompt, negative) if isinstance(text, str)]
    pairs = {name: value for name, value in said.items() if name not in _NOT_SETTINGS}
    sampler = pairs.get("sampler_name")
    if isinstance(sampler, str):
        pairs["sampler_name"] = _SAMPLERS.get(sampler, sampler)
    clip_skip = pairs.pop("clip_skip", None)
    if clip_skip in (True, "true", "True"):  # it may be a list or an object, which no set can look for
        pairs["clip_skip"] = 2  # here it is a switch
    return Generation(
        tool=Tool.EASY_DIFFUSION,
        prompt=prompt if isinstance(prompt, str) else None,
        negative_prompt=negative if isinstance(negative, str) else None,
        settings=build_settings(pairs, _NAMES),
        loras=tuple(_iter_loras(said)),
        embeddings=find_embeddings(texts),
    )


def _iter_loras(said: Mapping[str, Any]) -> Iterator[Lora]:
    names, weights = said.get("use_lora_model"), said.get("lora_alpha")
    names = names if isinstance(names, list) else [names]
    weights = weights if isinstance(weights, list) else [weights]
    for at, name in enumerate(names[:200]):
        if isinstance(name, str) and name and name != "None":
            yield Lora(name, read_weight(weights[at] if at < len(weights) else None))
