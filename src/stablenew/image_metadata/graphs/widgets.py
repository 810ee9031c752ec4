"""What the values of a node's widgets are called, which a workflow lists without their names. Pure.

The page knows the names; a workflow of an older page does not say them, so the order of the widgets of core nodes
stands here. Those of other nodes are told by what stands beside what: a sampler's name before a schedule's, with cfg
and steps before them; a seed before how it changes; a file of a model at a node that loads one.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from stablenew.image_metadata.graphs.graph import GUESSED_TEXT

_CONTROLS: Final = {"fixed", "increment", "decrement", "randomize"}
"""What stands behind a seed in the list, and is not an input; the oldest pages had a truth value there."""
_WIDGETS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("AlignYourStepsScheduler", "GITSScheduler"), ("model_type", "steps", "denoise")),
    **dict.fromkeys(
        ("ExponentialScheduler", "KarrasScheduler", "PolyexponentialScheduler", "VPScheduler", "Flux2Scheduler"),
        ("steps",),
    ),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "BetaSamplingScheduler": ("steps", "alpha", "beta"),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSDXL": (
        "width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l",
    ),
    "CLIPTextEncodeSDXLRefiner": ("ascore", "width", "height", "text"),
    "CLIPVisionEncode": ("crop",),
    "CLIPVisionLoader": ("clip_name",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "ControlNetLoader": ("control_net_name",),
    "DualCFGGuider": ("cfg_conds", "cfg_cond2_negative", "style"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "EmptyChromaRadianceLatentImage": ("width", "height", "batch_size"),
    "EmptyHunyuanLatentVideo": ("width", "height", "length", "batch_size"),
    "EmptyLTXVLatentVideo": ("width", "height", "length", "batch_size"),
    "EmptyMochiLatentVideo": ("width", "height", "length", "batch_size"),
    "Eff. Loader SDXL": (
        "base_ckpt_name", "base_clip_skip", "refiner_ckpt_name", "refiner_clip_skip", "positive_ascore",
        "negative_ascore", "vae_name", "positive", "negative",
    ),
    "Efficient Loader": (
        "ckpt_name", "vae_name", "clip_skip", "lora_name", "lora_model_strength", "lora_clip_strength", "positive",
        "negative",
    ),
    "FluxGuidance": ("guidance",),
    "CFGGuider": ("cfg",),
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step",
        "return_with_leftover_noise",
    ),
    "KSamplerSelect": ("sampler_name",),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "LoadImageOutput": ("image",),
    "LoadVideo": ("file",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "LTXVImgToVideo": ("width", "height", "length", "batch_size", "strength"),
    "LTXVScheduler": ("steps", "max_shift", "base_shift", "stretch", "terminal"),
    "PreviewImage": (),
    "PrimitiveFloat": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveNode": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "RandomNoise": ("noise_seed",),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "SaveAnimatedWEBP": ("filename_prefix", "fps", "lossless", "quality", "method"),
    "SaveImage": ("filename_prefix",),
    "SaveVideo": ("filename_prefix", "format", "codec"),
    "SDTurboScheduler": ("steps", "denoise"),
    "SDParameterGenerator": (
        "ckpt_name", "vae_name", "model_version", "config_name", "seed", "steps", "refiner_start", "cfg",
        "sampler_name", "scheduler", "positive_ascore", "negative_ascore", "aspect_ratio", "width", "height",
        "batch_size",
    ),
    "SDPromptReader": ("image", "upload", "parameter_index", "positive", "negative", "setting"),
    "SVD_img2vid_Conditioning": (
        "width", "height", "video_frames", "motion_bucket_id", "fps", "augmentation_level",
    ),
    "StableZero123_Conditioning": ("width", "height", "batch_size", "elevation", "azimuth"),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
    "StringReplace": ("string", "find", "replace"),
    "TextEncodeAceStepAudio": ("tags", "lyrics", "lyrics_strength"),
    "TextEncodeQwenImageEdit": ("prompt",),
    "TextEncodeQwenImageEditPlus": ("prompt",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UpscaleModelLoader": ("model_name",),
    "VAELoader": ("vae_name",),
    "WanCameraEmbedding": ("camera_pose", "width", "height", "length", "speed", "fx", "fy", "cx", "cy"),
    **dict.fromkeys(
        (
            "Wan22FunControlToVideo", "Wan22ImageToVideoLatent", "WanAnimateToVideo", "WanCameraImageToVideo",
            "WanFirstLastFrameToVideo", "WanFunControlToVideo", "WanFunInpaintToVideo", "WanHuMoImageToVideo",
            "WanImageToVideo", "WanSoundImageToVideo", "WanVaceToVideo",
        ),
        ("width", "height", "length", "batch_size"),
    ),
    "unCLIPCheckpointLoader": ("ckpt_name",),
    **dict.fromkeys(("ImpactWildcardEncode", "ImpactWildcardProcessor"), ("wildcard_text", "populated_text")),
    "ImageOnlyCheckpointLoader": ("ckpt_name",),
}  # fmt: skip

_SAMPLER: Final = re.compile(
    r"(?:\w+/)?(?:euler|heun|dpm|lms|ddpm|ddim|lcm|uni_pc|ipndm|deis|res_|seeds_|er_sde|sa_solver|gradient_|rk\d)\w*",
)
_SCHEDULE: Final = re.compile(
    r"normal|karras|exponential|simple|sgm_uniform|ddim_uniform|beta\w*|linear_quadratic|kl_optimal|bong_tangent"
    r"|(?:AYS|GITS|LTXV|OSS)\b.{0,40}",
)
_PART_FILE: Final = re.compile(r"(?:^|[\\/_.-])(?:vae|ae|kl-f8|mm|clip|t5|umt5)[_.-]", re.IGNORECASE)
"""Files of parts of a model."""
_MODEL_FILE: Final = re.compile(r".{1,300}\.(?:safetensors|ckpt|gguf|sft)", re.DOTALL)
_FILE: Final = re.compile(r"\S.{0,300}\.\w{2,11}", re.DOTALL)
_FEWEST_WORDS: Final = 4
_NOTICES: Final = "Select the "
_LOADED: Final = re.compile(r"MODEL|.*PIPE(?:_?LINE)?(?:_SDXL)?|.*TUPLE")
"""Types of what a loader of a checkpoint gives."""
_MOST_STEPS: Final = 10_000
_LARGEST_CFG: Final = 1_000


def iter_widgets(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of a node's widgets by name, as far as they can be named."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        yield from ((str(name), value) for name, value in values.items())
        return
    if not isinstance(values, list):
        return
    kind = str(node.get("type"))
    listed = [widget for given in _inputs(node) if (widget := widget_name(given))]
    names = _WIDGETS.get(kind) or (listed if kind != "PrimitiveNode" else ["value"])
    kept = without_controls(values)
    if names and (kind in _WIDGETS or len(names) == len(kept)):
        yield from zip(names, kept, strict=False)
    else:
        yield from _guess(node, values, kept).items()


def without_controls(values: list[Any]) -> list[Any]:
    """The values of widgets without those that say how a seed changes, which are not inputs."""
    return [value for at, value in enumerate(values) if not (at and _is_control(value, values[at - 1]))]


def widget_name(given: Mapping[str, Any]) -> str | None:
    """What the widget is called that an input was made from; None for an input that never was one."""
    widget = given.get("widget")
    name = widget.get("name") if isinstance(widget, dict) else None
    return name if isinstance(name, str) else None


def _is_control(value: Any, before: Any) -> bool:
    if not isinstance(before, int) or isinstance(before, bool):
        return False
    return isinstance(value, bool) or (isinstance(value, str) and value in _CONTROLS)


def _guess(node: Mapping[str, Any], values: list[Any], kept: list[Any]) -> dict[str, Any]:
    """What the values of a node of unknown class most likely are."""
    found = _sampling(kept) | _seed(values, kept) | _loaded(node, kept)
    named = {value for value in found.values() if isinstance(value, str)}
    texts = [
        value
        for value in kept
        if isinstance(value, str) and len(value) > 1 and value not in named and not _FILE.fullmatch(value)
    ]
    if texts and "positive" not in found:
        found[GUESSED_TEXT] = max(texts, key=len)
    return found


def _sampling(kept: list[Any]) -> dict[str, Any]:
    """Steps, cfg, sampler, schedule and strength, which nearly every node that samples has in this order."""
    for at in range(1, len(kept)):
        if _is_word(kept[at], _SCHEDULE) and _is_word(kept[at - 1], _SAMPLER):
            break
    else:
        return {}
    found = {"sampler_name": kept[at - 1], "scheduler": kept[at]}
    before = [value for value in kept[: at - 1] if value is not None]
    if len(before) > 1 and _is_number(before[-1], _LARGEST_CFG) and _is_number(before[-2], _MOST_STEPS):
        found |= {"cfg": before[-1], "steps": before[-2]}
        if len(before) > 2 and isinstance(before[-3], int) and not isinstance(before[-3], bool):
            found["seed"] = before[-3]
    if at + 1 < len(kept) and _is_number(kept[at + 1], 1) and kept[at + 1] > 0:
        found["denoise"] = kept[at + 1]
    return found


def _seed(values: list[Any], kept: list[Any]) -> dict[str, Any]:
    """A seed has behind it how it changes; a node with nothing but a whole number may give one too."""
    for before, value in pairwise(values):
        if isinstance(value, str) and _is_control(value, before):
            return {"seed": before}
    numbers = [value for value in kept if value is not None and value != ""]
    return {"value": numbers[0]} if len(numbers) == 1 and _is_number(numbers[0], 2**64) else {}


def _loaded(node: Mapping[str, Any], kept: list[Any]) -> dict[str, Any]:
    """The model that a node loads, and the prompts where it encodes them too: the positive one first."""
    texts = [value for value in kept if isinstance(value, str) and _is_prose(value)]
    prompts = dict(zip(("positive", "negative"), texts, strict=False))
    files = [value for value in kept if _is_word(value, _MODEL_FILE) and not _PART_FILE.search(value)]
    if files and _loads_model(node):
        return {"ckpt_name": files[0]} | prompts
    gives_both = set(_output_words(node, "name")) >= set(prompts)
    return prompts if len(prompts) > 1 and gives_both else {}


def _loads_model(node: Mapping[str, Any]) -> bool:
    if any(given.get("name") == "model" and given.get("link") is not None for given in _inputs(node)):
        return False
    return any(_LOADED.fullmatch(kind.upper()) for kind in _output_words(node, "type"))


def _output_words(node: Mapping[str, Any], field: str) -> list[str]:
    outputs = node.get("outputs")
    words = [output.get(field) for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []
    return [word.casefold() for word in words if isinstance(word, str)]


def _is_word(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_prose(text: str) -> bool:
    """Whether a text may be a prompt, and not the name of a file or of a choice."""
    is_long = "," in text or len(text.split()) >= _FEWEST_WORDS
    return is_long and not text.startswith(_NOTICES) and not _FILE.fullmatch(text)


def _is_number(value: Any, most: int) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most


def _inputs(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    inputs = node.get("inputs")
    return [given for given in inputs if isinstance(given, dict)] if isinstance(inputs, list) else []
