"""What the same thing is called by different programs: samplers, schedulers, checkpoints and other model files.

The name that records carry is that of the WebUIs, which people, presets and shared images use, so that runs of
different engines can be compared. ComfyUI's names are those of `comfy/samplers.py`; the classes of diffusers follow the
table in its documentation of schedulers.
"""

import functools
import re
from dataclasses import dataclass, field
from typing import Any, Final

from stablenew.formats.settings import names_file
from stablenew.formats.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class Sampler:
    """One sampler under each of its names; None where a program does not have it."""

    name: str
    comfyui: str | None = None
    diffusers: str | None = None
    """The class."""
    options: dict[str, JsonValue] = field(default_factory=dict)
    """What the class is configured with."""


_MULTISTEP: Final = "DPMSolverMultistepScheduler"
SAMPLERS: Final = (
    Sampler("Euler a", "euler_ancestral", "EulerAncestralDiscreteScheduler"),
    Sampler("Euler", "euler", "EulerDiscreteScheduler"),
    Sampler("LMS", "lms", "LMSDiscreteScheduler"),
    Sampler("Heun", "heun", "HeunDiscreteScheduler"),
    Sampler("DPM2", "dpm_2", "KDPM2DiscreteScheduler"),
    Sampler("DPM2 a", "dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"),
    Sampler("DPM++ 2S a", "dpmpp_2s_ancestral"),
    Sampler("DPM++ 2M", "dpmpp_2m", _MULTISTEP, {"algorithm_type": "dpmsolver++"}),
    Sampler("DPM++ SDE", "dpmpp_sde", "DPMSolverSinglestepScheduler"),
    Sampler("DPM++ 2M SDE", "dpmpp_2m_sde", _MULTISTEP, {"algorithm_type": "sde-dpmsolver++"}),
    Sampler("DPM++ 3M SDE", "dpmpp_3m_sde"),
    Sampler("DPM fast", "dpm_fast"),
    Sampler("DPM adaptive", "dpm_adaptive"),
    Sampler("DDIM", "ddim", "DDIMScheduler"),
    Sampler("DDPM", "ddpm", "DDPMScheduler"),
    Sampler("PLMS", None, "PNDMScheduler"),
    Sampler("UniPC", "uni_pc", "UniPCMultistepScheduler"),
    Sampler("LCM", "lcm", "LCMScheduler"),
)

_COMFYUI_SCHEDULERS: Final = {
    "Automatic": "normal",
    "Normal": "normal",
    "Karras": "karras",
    "Exponential": "exponential",
    "SGM Uniform": "sgm_uniform",
    "Simple": "simple",
    "DDIM": "ddim_uniform",
    "Beta": "beta",
    "KL Optimal": "kl_optimal",
}
SCHEDULERS: Final = tuple(_COMFYUI_SCHEDULERS)
"""Noise schedules, as records name them."""
DIFFUSERS_SIGMAS: Final[dict[str, dict[str, JsonValue]]] = {
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
    "Beta": {"use_beta_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
}
"""What the classes of diffusers are configured with for a noise schedule."""

SD_NEXT_SIGMAS: Final = {"Karras": "karras", "Exponential": "exponential", "Beta": "betas", "Normal": "default"}
"""What SD.Next calls noise schedules (`schedulers_sigma` in `modules/processing_class.py`)."""

UPSCALER_FILES: Final = {
    "R-ESRGAN 4x+": "RealESRGAN_x4plus",
    "R-ESRGAN 4x+ Anime6B": "RealESRGAN_x4plus_anime_6B",
    "R-ESRGAN 2x+": "RealESRGAN_x2plus",
}
"""The files of the upscalers that the WebUIs have under names of their own."""
_FILE: Final = re.compile(r"(.+)\.(?:safetensors|sft|ckpt|pth?|bin|gguf)", re.IGNORECASE | re.DOTALL)
"""A name with the ending of a model file."""
_HASHED: Final = re.compile(r"(.+)\s\[[0-9a-f]{6,64}\]", re.IGNORECASE | re.DOTALL)
"""A name with the short hash that the WebUIs put behind it."""
_FOLDERS_OF_DISK: Final = re.compile(r"/|\./|\.\./|~/|[A-Za-z]:/")
"""How a path begins that is no id of a hub."""
_LONGEST_NAME: Final = 1_000
"""Longer texts name no file."""


def find_sampler(name: str) -> Sampler | None:
    """The sampler that any program calls `name`; a class of diffusers that is several may name its algorithm too."""
    wanted = name.casefold()
    return next((sampler for sampler in SAMPLERS if wanted in _names_of(sampler)), None)


def split_schedule(name: str) -> tuple[str, str | None]:
    """Sampler and noise schedule of a name that holds both, as WebUIs gave them before 1.9: `DPM++ 2M Karras`."""
    for schedule in _COMFYUI_SCHEDULERS:
        sampler = name[: -len(schedule) - 1]
        if name.casefold().endswith(f" {schedule.casefold()}") and find_sampler(sampler):
            return sampler, schedule
    return name, None


def comfyui_sampler(name: str) -> str:
    """What ComfyUI calls a sampler; a name that is in no list goes as it is."""
    found = find_sampler(name)
    return found.comfyui if found and found.comfyui else name


def comfyui_scheduler(name: str) -> str:
    """What ComfyUI calls a noise schedule; a name that is in no list goes as it is."""
    return {key.casefold(): value for key, value in _COMFYUI_SCHEDULERS.items()}.get(name.casefold(), name)


def common_sampler(name: str) -> str:
    """The name that records carry for what a program calls `name`."""
    found = find_sampler(name)
    return found.name if found else name


def common_scheduler(name: str) -> str:
    """The name that records carry for what ComfyUI calls `name`."""
    return {value: key for key, value in _COMFYUI_SCHEDULERS.items()}.get(name, name)


@functools.lru_cache(maxsize=8_192)
def common_file_name(name: str) -> str:
    """The name that a model file is counted, found and compared under, however a program spells it.

    It has no ending, no short hash behind it and, where it is the name of a file, no folder before it:
    `SDXL/wai_v160.safetensors [45a21ea00a]` is `wai_v160`. Without an ending, what stands before a slash belongs to the
    name, as in `stabilityai/sdxl-turbo`, and so does what follows a dot: `v1.5`. Case stays as it is. The common name
    of a common name is itself. Files of one name are one even where their recorded hashes differ: programs hash the
    same file in several ways.
    """
    if len(name) > _LONGEST_NAME:
        return name
    found, before = name, ""
    while found != before:
        before, found = found, _without_dressing(found) or found
    return found


def _without_dressing(name: str) -> str:
    """A name without its ending or its hash, and without folders where it had an ending or is a path on a disk."""
    stem = name.strip()
    if hashed := _HASHED.fullmatch(stem):
        return hashed[1].rstrip()
    file = _FILE.fullmatch(stem)
    path = (file[1] if file else stem).replace("\\", "/")
    if file or "\\" in stem or _FOLDERS_OF_DISK.match(path):
        return path.rstrip("/").rpartition("/")[2]
    return stem


def common_file_pattern(pattern: str) -> str | None:
    """A pattern with `*` and `?` that finds in common names what `pattern` finds in names with ending and folder.

    None where nothing would be left to look for, as of `*.safetensors`.
    """
    stem = common_file_name(pattern)
    return stem if stem.strip("*?") else None


def common_value(name: str, value: Any) -> Any:
    """A setting's value, given the name of the setting or its dotted name, as values are compared.

    That of a model file is its common name; all others stay as they are.
    """
    return common_file_name(value) if isinstance(value, str) and names_file(name) else value


def checkpoint_stem(name: str) -> str:
    """A checkpoint's bare name: its common name without any folder, as programs list the files they have.

    Programs take and give `model.safetensors [hash]`, `folder/model.safetensors` and `model` for the same thing.
    """
    return common_file_name(name).replace("\\", "/").rpartition("/")[2]


def same_checkpoint(asked: str, ran: str) -> bool:
    """Whether two names are those of one checkpoint."""
    return checkpoint_stem(asked).casefold() == checkpoint_stem(ran).casefold()


def _names_of(sampler: Sampler) -> set[str]:
    kind = sampler.diffusers or ""
    algorithm = sampler.options.get("algorithm_type", "")
    return {name.casefold() for name in (sampler.name, sampler.comfyui or "", kind, f"{kind}:{algorithm}")} - {"", ":"}
