"""What a WebUI is asked: a stage's settings in the fields of its API. Pure.

The fields are those of AUTOMATIC1111 1.10 and Forge (`modules/api/models.py`, `modules/processing.py`), and of the
ADetailer extension. Whatever stands in `extra` goes along untouched and wins: masks, ControlNet, Forge's own settings.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stablenew.engines.engine import EngineImage, StageRequest
from stablenew.engines.engine_http import whole_text
from stablenew.errors import EngineError
from stablenew.formats.settings import SETTINGS

TXT2IMG: Final = "/sdapi/v1/txt2img"
IMG2IMG: Final = "/sdapi/v1/img2img"
UPSCALE: Final = "/sdapi/v1/extra-single-image"
DETAIL: Final = "/sdapi/v1/detail"
"""SD.Next's own detailer, for a single image."""
SINGLE: Final = "single"

_PLAIN: Final = {setting.name: setting.webui for setting in SETTINGS if setting.webui} | {
    name: name for name in ("subseed", "subseed_strength", "batch_size", "n_iter")
}
_HIRES: Final = {
    "hr_scale": "hr_scale",
    "hr_upscaler": "hr_upscaler",
    "hr_steps": "hr_second_pass_steps",
    "hr_denoising_strength": "denoising_strength",
}
_OVERRIDES: Final = {setting.name: setting.webui_option for setting in SETTINGS if setting.webui_option}
_ADETAILER: Final = {
    "model": "ad_model",
    "confidence": "ad_confidence",
    "denoise": "ad_denoising_strength",
    "mask_feather": "ad_mask_blur",
}
_DETAIL: Final = {
    "confidence": "detailer_conf",
    "denoise": "detailer_strength",
    "mask_feather": "detailer_blur",
    "steps": "detailer_steps",
    "cfg_scale": "detailer_cfg_scale",
    "sampler": "detailer_sampler",
}
_ADETAILER_SWITCHED: Final = {"steps": "ad_steps", "cfg_scale": "ad_cfg_scale", "sampler": "ad_sampler"}


def build_txt2img(request: StageRequest, task_id: str) -> dict[str, Any]:
    """The body of a txt2img call: one for the whole batch."""
    settings = request.settings
    body = _common(request, task_id) | _renamed(settings, _PLAIN)
    if settings.get("enable_hr"):
        body |= {"enable_hr": True} | _renamed(settings, _HIRES)
    if settings.get("refiner_checkpoint"):
        body |= _renamed(settings, {name: name for name in ("refiner_checkpoint", "refiner_switch_at")})
    return _with_extra(body, settings)


def build_img2img(request: StageRequest, image: EngineImage, task_id: str) -> dict[str, Any]:
    """The body of an img2img call for one input, in its own size and, where none is given, with its own seed."""
    settings = _own_seed(request.settings, image)
    body = _common(request, task_id) | {"width": image.width, "height": image.height} | _renamed(settings, _PLAIN)
    body |= {"init_images": [encode_image(image)], "batch_size": 1, "n_iter": 1}
    return _with_extra(body, settings)


def build_adetailer(request: StageRequest, image: EngineImage, task_id: str) -> dict[str, Any]:
    """An img2img call that leaves the image as it is but for what ADetailer finds and paints again."""
    settings = request.settings
    unit = _renamed(settings, _ADETAILER)
    for name, field in _ADETAILER_SWITCHED.items():
        if settings.get(name) is not None:
            unit |= {field: settings[name], f"ad_use_{field.removeprefix('ad_')}": True}
    unit |= {"ad_prompt": settings.get("prompt") or "", "ad_negative_prompt": settings.get("negative_prompt") or ""}
    body = _common(request, task_id) | {"width": image.width, "height": image.height}
    body |= {"init_images": [encode_image(image)], "batch_size": 1, "n_iter": 1, "denoising_strength": 0.0}
    body |= {"seed": _own_seed(settings, image)["seed"]}
    body |= {"alwayson_scripts": {"ADetailer": {"args": [True, True, unit]}}}  # on; skip img2img itself
    return _with_extra(body, settings)


def build_detail(request: StageRequest, image: EngineImage, detectors: Sequence[str]) -> dict[str, Any]:
    """The body of a call to SD.Next's detailer, which knows no other prompt than the one it is given.

    Raises:
        EngineError: none of its `detectors` is the one that is asked for.
    """
    settings = request.settings
    body = _renamed(settings, _DETAIL) | {"image": encode_image(image), "seed": _own_seed(settings, image)["seed"]}
    body |= {"detailer_prompt": whole_text(request.prompt), "detailer_negative": whole_text(request.negative_prompt)}
    asked = settings.get("model")
    if asked:
        found = [name for name in detectors if _plain_detector(name) == _plain_detector(str(asked))]
        if not found:
            raise EngineError(f"the server knows no detailer {asked!r}; it has {', '.join(detectors) or 'none'}")
        body["detailer_models"] = found[:1]
    return _with_extra(body, settings)


def _plain_detector(name: str) -> str:
    """`face_yolov8n.pt` and `face-yolo8n` are the same detector."""
    return re.sub(r"[-_]|v(?=\d)", "", name.casefold().removesuffix(".pt"))


def build_upscale(request: StageRequest, image: EngineImage) -> dict[str, Any]:
    """The body of an extra-single-image call."""
    settings = request.settings
    return _with_extra(
        {
            "image": encode_image(image),
            "resize_mode": 0,
            "upscaling_resize": settings.get("factor", 2.0),
            "upscaler_1": settings.get("upscaler", "None"),
        },
        settings,
    )


def build_upscale_by_img2img(request: StageRequest, image: EngineImage, task_id: str) -> dict[str, Any]:
    """An img2img call in the larger size."""
    factor = float(request.settings.get("factor", 2.0))
    larger = {"width": round(image.width * factor), "height": round(image.height * factor)}
    return build_img2img(request, image, task_id) | larger


def encode_image(image: EngineImage) -> str:
    """The exact bytes of an image, as the API takes them."""
    return base64.b64encode(image.data).decode("ascii")


def _common(request: StageRequest, task_id: str) -> dict[str, Any]:
    overrides = _renamed(request.settings, _OVERRIDES) if request.stage != "adetailer" else {}
    return {
        "prompt": whole_text(request.prompt),
        "negative_prompt": whole_text(request.negative_prompt),
        "send_images": True,
        "save_images": False,
        "do_not_save_grid": True,
        "force_task_id": task_id,
        **({"override_settings": overrides} if overrides else {}),
    }


def _own_seed(settings: Mapping[str, Any], image: EngineImage) -> dict[str, Any]:
    """Each image of a batch goes on with the seed it came from."""
    return {**settings, "seed": image.seed if image.seed is not None else settings.get("seed", -1)}


def _renamed(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {field: settings[name] for name, field in names.items() if settings.get(name) is not None}


def _with_extra(body: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    extra = settings.get("extra") or {}
    merged = body | extra
    for name in ("override_settings", "alwayson_scripts"):
        if name in body and name in extra:
            merged[name] = {**body[name], **extra[name]}
    return merged
