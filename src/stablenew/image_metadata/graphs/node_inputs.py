"""Which inputs of ComfyUI's nodes hold which setting, and how its values are written there. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stablenew.formats.common_names import comfyui_sampler, comfyui_scheduler
from stablenew.formats.settings import SAMPLER, SCHEDULE, SETTINGS

SAMPLER_INPUTS: Final = {setting.name: setting.comfyui for setting in SETTINGS if setting.comfyui}
"""At samplers, and at the nodes that carry settings to them."""
TEXT_ENCODER_INPUTS: Final = {setting.name: setting.comfyui_encoder for setting in SETTINGS if setting.comfyui_encoder}
"""Between a checkpoint and the nodes that encode its prompts. Layers are counted from the end there: -2 is 2."""
CHECKPOINT_INPUTS: Final = (
    "ckpt_name", "unet_name", "base_ckpt_name", "gguf_name", "checkpoint", "base_checkpoint", "model_path", "ckpt",
)  # fmt: skip
"""At loaders of models."""
SIZE_INPUTS: Final = (("width", "height"), ("empty_latent_width", "empty_latent_height"))
"""At nodes that begin with an empty image, and at loaders that do so too."""
_WRITTEN: Final[Mapping[str, Callable[[Any], Any]]] = {
    SAMPLER: lambda value: comfyui_sampler(str(value)),
    SCHEDULE: lambda value: comfyui_scheduler(str(value)),
    **dict.fromkeys(TEXT_ENCODER_INPUTS, lambda value: -abs(int(value))),
}
_OWN_SCHEDULES: Final = {"alignyoursteps": "Align Your Steps", "sdturbo": "SD Turbo", "gits": "GITS", "ltxv": "LTXV"}


def to_node_value(name: str, value: Any) -> Any:
    """The value of a setting as nodes take it; what is not set stays as it is."""
    return _WRITTEN[name](value) if value and name in _WRITTEN else value


def setting_of_class(kind: str) -> tuple[str, str] | None:
    """The setting that the class of a node is, and its value: `KarrasScheduler`, `SamplerEulerAncestral`."""
    if kind.endswith("Scheduler") and kind != "BasicScheduler":
        bare = kind.removesuffix("Scheduler")
        return SCHEDULE, _OWN_SCHEDULES.get(bare.casefold(), bare)
    if kind.startswith("Sampler") and "custom" not in kind.casefold():
        return SAMPLER, kind.removeprefix("Sampler").strip("_").lower() or kind
    return None
