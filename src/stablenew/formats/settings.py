"""The settings of the main stage, each once: its name, type, unit, other names, and who reads it.

Whatever knows settings by name (query language, index, dataset, pipeline, engines, readers of metadata) takes them from
here, so a new setting is one line of `SETTINGS` and a field of `GenerationSettings`.
A setting that is not in the table is a first-class fact too: it is recorded under the name it was given.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

SettingType: TypeAlias = Literal["text", "integer", "number", "seed"]
"""`seed` is an integer up to 2^64-1, and -1 where the engine was left to choose."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as records, index and dataset name it; its column has this name in both."""

    name: str
    type: SettingType
    title: str
    """What people call it: `CFG scale`."""
    aliases: tuple[str, ...] = ()
    """Names that other programs use for exactly the same thing, with the same meaning of the value."""
    written_as: tuple[str, ...] = ()
    """Further names that only images have it under: too vague, or too rare, to be taken for it anywhere else."""
    stages: tuple[str, ...] = ("txt2img", "img2img")
    """The stages that have it."""
    unit: str = ""
    step: int = 1
    """Programs take whole multiples of this."""
    query: str | None = None
    """The field that finds it in a query; None: it is not searched."""
    is_indexed: bool = True
    """Whether the index has a column for it."""
    has_facet: bool = False
    """Whether lists count its values, so that one can be chosen."""
    is_inherited: bool = False
    """Whether a later stage takes it from txt2img where it has none of its own."""
    is_chosen: bool = False
    """Whether programs have a list of what it can be."""
    is_file: bool = False
    """Whether its values are names of model files, which each program spells in its own way; see `common_file_name`."""
    webui: str = ""
    """The field of the WebUIs' API that it is sent in."""
    webui_option: str = ""
    """The option of the WebUIs that it is sent as, where they have no field for it."""
    sd_next: str = ""
    """The field of SD.Next's API for what the other WebUIs have as an option."""
    diffusers: str = ""
    """The argument of diffusers' pipelines that means the same."""
    diffusers_part: str = ""
    """The part of diffusers' pipelines that it chooses; programs built on diffusers call the setting by this name."""
    comfyui: tuple[str, ...] = ()
    """The inputs that hold it at ComfyUI's samplers, and at the nodes that carry settings to them."""
    comfyui_encoder: tuple[str, ...] = ()
    """The inputs that hold it between a checkpoint and the nodes that encode its prompts."""


SETTINGS: Final = (
    Setting(
        "model", "text", "Model", ("checkpoint", "sd_model_checkpoint", "sd_model_name", "ckpt_name", "unet_name"),
        query="model", has_facet=True, is_inherited=True, is_chosen=True, is_file=True,
        webui_option="sd_model_checkpoint",
    ),
    Setting("model_hash", "text", "Model hash", ("sd_model_hash",), is_indexed=False),
    Setting(
        "vae", "text", "VAE", ("sd_vae", "sd_vae_name", "vae_name"),
        query="vae", is_inherited=True, is_chosen=True, is_file=True, webui_option="sd_vae", diffusers_part="vae",
    ),
    Setting(
        "sampler", "text", "Sampler", ("sampler_name",),
        query="sampler", has_facet=True, is_inherited=True, is_chosen=True, webui="sampler_name",
        diffusers_part="scheduler", comfyui=("sampler_name",),
    ),
    Setting(
        "scheduler", "text", "Scheduler", ("schedule_type",),
        ("schedule", "scheduler_name", "noise_schedule", "sampler_sigma"),
        query="scheduler", has_facet=True, is_inherited=True, is_chosen=True, webui="scheduler",
        comfyui=("scheduler", "scheduler_name"),
    ),
    Setting(
        "steps", "integer", "Steps", ("num_inference_steps", "sampling_steps"),
        query="steps", has_facet=True, webui="steps", diffusers="num_inference_steps",
        comfyui=("steps",),
    ),
    Setting(
        "cfg_scale", "number", "CFG scale", ("cfg", "guidance_scale"),
        query="cfg", has_facet=True, is_inherited=True, webui="cfg_scale", diffusers="guidance_scale",
        comfyui=("cfg", "cfg_scale", "cfg_conds"),
    ),
    Setting("seed", "seed", "Seed", ("noise_seed",), query="seed", webui="seed", comfyui=("seed", "noise_seed")),
    Setting("width", "integer", "Width", unit="px", step=8, query="width", webui="width"),
    Setting("height", "integer", "Height", unit="px", step=8, query="height", webui="height"),
    Setting(
        "denoising_strength", "number", "Denoising strength", ("denoise", "strength"),
        stages=("img2img", "upscale"), query="denoise", webui="denoising_strength",
        comfyui=("denoise", "denoising_strength"),
    ),
    Setting(
        "clip_skip", "integer", "Clip skip", ("clip_stop_at_last_layers",), ("clip_stop_at_layer",),
        query="clip_skip", is_inherited=True, webui_option="CLIP_stop_at_last_layers",
        sd_next="clip_skip", comfyui_encoder=("stop_at_clip_layer", "clip_skip"),
    ),
    Setting(
        "eta", "number", "Eta", ("ddim_eta",), query="eta", is_inherited=True, webui="eta", diffusers="eta",
    ),
)  # fmt: skip
"""The order is that of columns in the dataset."""

BY_NAME: Final[Mapping[str, Setting]] = {setting.name: setting for setting in SETTINGS}
INDEXED: Final = tuple(setting for setting in SETTINGS if setting.is_indexed)
"""Settings that have a column in the index, in the order of the columns."""
FILES: Final = tuple(setting for setting in INDEXED if setting.is_file)
"""Settings with a column in the index whose values are names of model files."""
CHOSEN: Final = tuple(setting.name for setting in SETTINGS if setting.is_chosen)
"""Settings whose values are names that programs have lists of."""
INHERITED: Final = tuple(setting.name for setting in SETTINGS if setting.is_inherited)
"""Settings that a later stage takes from txt2img where it has none of its own."""
SAMPLER, SCHEDULE = "sampler", "scheduler"
"""What samples an image: the sampler and its noise schedule. Many programs have one name for both."""

_FILES_OF_STAGES: Final = frozenset(
    {f"{stage}.{setting.name}" for stage in ("txt2img", "img2img") for setting in FILES}
    | {"txt2img.refiner_checkpoint", "txt2img.hr_upscaler", "upscale.upscaler"}
)
"""Without the detector of adetailer, which all programs call by the whole name of its file."""
_NOT_A_LETTER: Final = re.compile(r"[^a-z0-9]+")


def _key(name: str) -> str:
    """`CFG scale`, `cfg-scale` and `cfg_scale` are one name."""
    return _NOT_A_LETTER.sub("_", name.casefold()).strip("_")


_STANDARD: Final = {
    _key(name): setting.name for setting in SETTINGS for name in (setting.name, setting.title, *setting.aliases)
}


@functools.lru_cache(maxsize=1_024)
def find_setting(name: str) -> Setting | None:
    """The setting that any program calls `name`; None where the table has none. Case and separators do not matter."""
    standard = _STANDARD.get(_key(name))
    return BY_NAME[standard] if standard else None


def standard_name(name: str) -> str:
    """The standard name of a setting; a name that the table does not know stays as it is."""
    standard = find_setting(name)
    return standard.name if standard else name


def standard_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` under standard names. Where two names mean one setting, the standard name's value counts."""
    renamed = {standard_name(name): value for name, value in settings.items()}
    return renamed | {name: value for name, value in settings.items() if name in BY_NAME}


def names_file(name: str) -> bool:
    """Whether the values of a setting, given its name or its dotted name, are names of model files."""
    return name in _FILES_OF_STAGES or (name in BY_NAME and BY_NAME[name].is_file)


def title_of(name: str) -> str:
    """What people call a setting; for one that is not in the table, its name in words."""
    known = BY_NAME.get(name)
    return known.title if known else name.replace("_", " ").capitalize()
