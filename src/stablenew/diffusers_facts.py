"""What a pipeline of diffusers says of itself, under the names that records carry. It is only looked at, never changed.

Nothing here imports torch or diffusers: whoever has a pipeline has loaded them already.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.formats.common_names import DIFFUSERS_SIGMAS, checkpoint_stem, common_sampler, find_sampler
from stablenew.formats.json_safe import json_safe
from stablenew.formats.settings import BY_NAME, SAMPLER, SCHEDULE, SETTINGS
from stablenew.formats.strict_json import JsonValue

SAMPLER_CONFIG: Final = "scheduler_config"
"""The fact that holds how a pipeline's sampler is configured; diffusers calls the file that it is read from so."""
_LIBRARIES: Final = ("diffusers", "torch", "transformers", "accelerate", "peft")

_ARGUMENTS: Final = {setting.name: setting.diffusers for setting in SETTINGS if setting.diffusers}
_SKIPPED: Final = "clip_skip"


def to_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as arguments of a pipeline, None where one is not set."""
    skipped = int(settings.get(_SKIPPED) or 1) - 1  # the argument counts the layers that are left out
    return {
        **{argument: settings.get(name) for name, argument in _ARGUMENTS.items()},
        _SKIPPED: skipped if skipped > 0 else None,
    }


def from_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a pipeline's arguments mean; no layer is left out where that argument is None."""
    settings = {
        name: arguments[argument] for name, argument in _ARGUMENTS.items() if arguments.get(argument) is not None
    }
    if _SKIPPED in arguments:
        settings[_SKIPPED] = (arguments[_SKIPPED] or 0) + 1
    return settings


def describe_pipeline(pipe: Any) -> dict[str, JsonValue]:
    """Model, sampler with its configuration, adapters, dtype, device and library versions."""
    name = str(getattr(pipe, "name_or_path", None) or getattr(pipe, "_name_or_path", None) or "")
    facts: dict[str, JsonValue] = {
        "pipeline": type(pipe).__name__,
        "model": checkpoint_stem(Path(name).name) if name else None,
        "model_path": name or None,
        "dtype": str(getattr(pipe, "dtype", "")).removeprefix("torch.") or None,
        "device": str(getattr(pipe, "device", "")) or None,
        "adapters": _adapters_of(pipe) or None,
        "versions": library_versions(),
    }
    sampler = getattr(pipe, BY_NAME[SAMPLER].diffusers_part, None)
    if sampler is not None:
        facts |= describe_sampler(sampler)
    return {key: value for key, value in facts.items() if value is not None}


def describe_sampler(sampler: Any) -> dict[str, JsonValue]:
    """Sampler and noise schedule by their common names, and the configuration they follow from."""
    config = {key: value for key, value in dict(getattr(sampler, "config", {})).items() if not key.startswith("_")}
    kind = type(sampler).__name__
    return {
        SAMPLER: _sampler_name(kind, config),
        SCHEDULE: next((name for name, options in DIFFUSERS_SIGMAS.items() if _holds(config, options)), "Normal"),
        SAMPLER_CONFIG: {"class": kind, **json_safe(config)},
    }


def seeds_of(generators: Any, count: int) -> list[int] | None:
    """The seed of each of `count` images, where there is a generator for each that nobody drew from before.

    A generator that was drawn from has moved on: its seed alone does not give the image again.
    """
    many = generators if isinstance(generators, (list, tuple)) else [generators]
    if len(many) != count:
        return None
    seeds = [_fresh_seed(generator) for generator in many]
    known = [seed for seed in seeds if seed is not None]
    return known if len(known) == count else None


def library_versions(names: Iterable[str] = _LIBRARIES) -> dict[str, JsonValue]:
    """The versions of those libraries that are loaded."""
    loaded = {name: getattr(sys.modules.get(name), "__version__", None) for name in names}
    return {name: str(version) for name, version in loaded.items() if version}


def _fresh_seed(generator: Any) -> int | None:
    if not hasattr(generator, "initial_seed"):
        return None
    seed = int(generator.initial_seed())
    untouched = type(generator)(generator.device).manual_seed(seed)
    is_fresh = bool((untouched.get_state() == generator.get_state()).all())
    return seed % 2**64 if is_fresh else None


def _sampler_name(kind: str, config: Mapping[str, Any]) -> str:
    """Of several samplers with the same class the one whose options hold."""
    if config.get("algorithm_type") and (found := find_sampler(f"{kind}:{config['algorithm_type']}")):
        return found.name
    return common_sampler(kind)


def _holds(config: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    return all(config.get(key) == value for key, value in options.items())


def _adapters_of(pipe: Any) -> list[JsonValue]:
    """Active LoRAs with their weights."""
    try:
        names = list(pipe.get_active_adapters())
    except (AttributeError, ValueError, ImportError):  # no LoRAs in this pipeline, or no peft
        return []
    weights = _adapter_weights(pipe)
    return [{"name": name} | ({"weight": weights[name]} if name in weights else {}) for name in names]


def _adapter_weights(pipe: Any) -> dict[str, float]:
    """The scale of each adapter, as the first layer that has it says."""
    weights: dict[str, float] = {}
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    for module in denoiser.modules() if denoiser is not None else ():
        scaling, alphas = getattr(module, "scaling", None), getattr(module, "lora_alpha", None)
        if isinstance(scaling, dict) and isinstance(alphas, dict):
            for name, scale in scaling.items():
                full = alphas.get(name, 1) / (module.r.get(name) or 1)
                weights.setdefault(str(name), round(float(scale / full), 6) if full else 0.0)
        if weights:
            break
    return weights
