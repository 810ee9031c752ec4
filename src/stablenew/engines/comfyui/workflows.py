"""The workflows that ComfyUI is given when the user gives none: one for each stage, of nodes that every ComfyUI has.

Only adetailer needs more: FaceDetailer and its detector of the Impact Pack, which are the node form of ADetailer.
Images go to the temporary folder of the server (PreviewImage), as they are kept here. The names of nodes and inputs are
those of `nodes.py`, `comfy_extras/nodes_upscale_model.py` and the Impact Pack's `impact_pack.py`.
"""

from collections.abc import Mapping
from typing import Any, Final

from stablenew.engines.comfyui.graph import Graph
from stablenew.errors import EngineError
from stablenew.formats.settings import SAMPLER, SCHEDULE
from stablenew.formats.strict_json import JsonValue

PIXEL_METHODS: Final = {
    "none": "nearest-exact",
    "nearest": "nearest-exact",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "area": "area",
    "lanczos": "lanczos",
}
"""Upscalers that only resample."""
LISTS: Final = {
    "models": ("CheckpointLoaderSimple", "ckpt_name"),
    "samplers": ("KSampler", "sampler_name"),
    "schedulers": ("KSampler", "scheduler"),
    "upscalers": ("UpscaleModelLoader", "model_name"),
    "loras": ("LoraLoader", "lora_name"),
    "vaes": ("VAELoader", "vae_name"),
}
"""Which input of which node lists what a server has."""
_LATENT_METHODS: Final = {"latent", "latent (nearest-exact)"}


def build_workflow(stage: str, settings: Mapping[str, JsonValue], size: tuple[int, int] = (0, 0)) -> Graph:
    """The workflow of a stage, ready for its values; `size` is that of the input image.

    Raises:
        EngineError: the settings ask for something only a workflow of one's own can do.
    """
    if stage == "txt2img":
        return _txt2img(settings)
    if stage == "img2img":
        return _img2img()
    if stage == "adetailer":
        return _adetailer()
    return _upscale(settings, size)


def needs_nodes(stage: str) -> set[str]:
    """The classes of nodes that a stage's built-in workflow is made of."""
    return {node["class_type"] for node in build_workflow(stage, {}, (8, 8)).values()}


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _sampler(latent: list[Any], denoise: float = 1.0) -> dict[str, Any]:
    return _node(
        "KSampler",
        seed=0,
        steps=20,
        cfg=7.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=denoise,
        model=["checkpoint", 0],
        positive=["positive", 0],
        negative=["negative", 0],
        latent_image=latent,
    )


def _base() -> Graph:
    return {
        "checkpoint": _node("CheckpointLoaderSimple", ckpt_name=""),
        "clip": _node("CLIPSetLastLayer", stop_at_clip_layer=-1, clip=["checkpoint", 1]),
        "positive": _node("CLIPTextEncode", text="", clip=["clip", 0]),
        "negative": _node("CLIPTextEncode", text="", clip=["clip", 0]),
    }


def _decoded(latent: list[Any]) -> Graph:
    return {
        "decode": _node("VAEDecode", samples=latent, vae=["checkpoint", 2]),
        "save": _node("PreviewImage", images=["decode", 0]),
    }


def _txt2img(settings: Mapping[str, JsonValue]) -> Graph:
    if settings.get("refiner_checkpoint"):
        raise EngineError("the built-in workflow has no refiner; give one of your own: txt2img.extra.workflow=FILE")
    graph = _base() | {
        "latent": _node("EmptyLatentImage", width=512, height=512, batch_size=1),
        "sampler": _sampler(["latent", 0]),
    }
    if not settings.get("enable_hr"):
        return graph | _decoded(["sampler", 0])
    return graph | _hires(settings) | _decoded(["hires", 0])


def _hires(settings: Mapping[str, Any]) -> Graph:
    """A second pass over the latent, made larger: the WebUIs' upscaler `Latent`."""
    upscaler = str(settings.get("hr_upscaler") or "Latent")
    if upscaler.casefold() not in _LATENT_METHODS:
        raise EngineError(
            f"the built-in workflow enlarges for the second pass by Latent only, not by {upscaler!r}; give one of your "
            "own: txt2img.extra.workflow=FILE"
        )
    second = _sampler(["enlarged", 0], float(settings.get("hr_denoising_strength", 0.7)))
    second["inputs"] |= {
        "steps": settings.get("hr_steps") or settings.get("steps", 20),
        "cfg": settings.get("cfg_scale", 7.0),
        "sampler_name": settings.get(SAMPLER, "euler"),
        "scheduler": settings.get(SCHEDULE, "normal"),
    }
    scale = settings.get("hr_scale", 2.0)
    enlarged = _node("LatentUpscaleBy", samples=["sampler", 0], upscale_method="nearest-exact", scale_by=scale)
    return {"enlarged": enlarged, "hires": second}


def _img2img() -> Graph:
    return (
        _base()
        | {
            "image": _node("LoadImage", image=""),
            "latent": _node("VAEEncode", pixels=["image", 0], vae=["checkpoint", 2]),
            "sampler": _sampler(["latent", 0], 0.3),
        }
        | _decoded(["sampler", 0])
    )


def _adetailer() -> Graph:
    detailer = _node(
        "FaceDetailer",
        image=["image", 0],
        model=["checkpoint", 0],
        clip=["clip", 0],
        vae=["checkpoint", 2],
        positive=["positive", 0],
        negative=["negative", 0],
        bbox_detector=["detector", 0],
        guide_size=512,
        guide_size_for=True,
        max_size=1024,
        seed=0,
        steps=28,
        cfg=7.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=0.4,
        feather=4,
        noise_mask=True,
        force_inpaint=True,
        bbox_threshold=0.3,
        bbox_dilation=10,
        bbox_crop_factor=3.0,
        sam_detection_hint="center-1",
        sam_dilation=0,
        sam_threshold=0.93,
        sam_bbox_expansion=0,
        sam_mask_hint_threshold=0.7,
        sam_mask_hint_use_negative="False",
        drop_size=10,
        wildcard="",
        cycle=1,
    )
    return _base() | {
        "image": _node("LoadImage", image=""),
        "detector": _node("UltralyticsDetectorProvider", model_name="bbox/face_yolov8n.pt"),
        "detailer": detailer,
        "save": _node("PreviewImage", images=["detailer", 0]),
    }


def _upscale(settings: Mapping[str, Any], size: tuple[int, int]) -> Graph:
    factor = float(settings.get("factor", 2.0))
    target = {"width": max(1, round(size[0] * factor)), "height": max(1, round(size[1] * factor))}
    method = PIXEL_METHODS.get(str(settings.get("upscaler") or "Lanczos").casefold())
    graph: Graph = {"image": _node("LoadImage", image="")}
    source = ["image", 0]
    if method is None:
        graph["upscaler"] = _node("UpscaleModelLoader", model_name="")
        graph["by_model"] = _node("ImageUpscaleWithModel", upscale_model=["upscaler", 0], image=source)
        source = ["by_model", 0]
    graph["enlarged"] = _node("ImageScale", image=source, upscale_method=method or "lanczos", crop="disabled", **target)
    if settings.get("mode", "single") == "single":
        return graph | {"save": _node("PreviewImage", images=["enlarged", 0])}
    return (
        graph
        | _base()
        | {
            "latent": _node("VAEEncode", pixels=["enlarged", 0], vae=["checkpoint", 2]),
            "sampler": _sampler(["latent", 0], 0.35),
        }
        | _decoded(["sampler", 0])
    )


def with_vae(graph: Graph) -> Graph:
    """The same workflow with a VAE of its own in place of the checkpoint's."""
    checkpoints = [[key, 2] for key, node in graph.items() if node["class_type"] == "CheckpointLoaderSimple"]
    swapped = {
        key: node | {"inputs": {name: ["vae", 0] if value in checkpoints else value for name, value in inputs.items()}}
        for key, node in graph.items()
        for inputs in [node["inputs"]]
    }
    return swapped | {"vae": _node("VAELoader", vae_name="")}
