"""An extension of the Stable Diffusion WebUI (AUTOMATIC1111, Forge, reForge, SD.Next): records what it saves.

Written by `stablenew engines install webui DIR`. It uses the WebUI's own hooks, `on_image_saved` and an always visible
script (`modules/script_callbacks.py`, `modules/scripts.py`), which tell of images and of where a generation begins and
ends. The recorder reads the very files that the WebUI saved.
"""

from __future__ import annotations

import re
import sys
import uuid
from pathlib import Path
from typing import Any

from modules import script_callbacks, scripts, shared

FOLDER = Path(__file__).resolve().parents[1]
sys.path.append(str(FOLDER))
import stablenew_bridge  # noqa: E402  # it lies in that folder

harmless = stablenew_bridge.harmless
bridge = stablenew_bridge.Bridge(FOLDER / "stablenew.json")

_RUN = "_stablenew_run"
_REQUESTED = "_stablenew_requested"
_BESIDE = re.compile(r"^grid-\d+$|-(before-[a-z-]+|mask|mask-composite|ad-before|ad-preview)$")
"""Names of what the WebUI and ADetailer save beside the images."""
_SETTINGS = {
    "steps": "steps",
    "cfg_scale": "cfg_scale",
    "sampler_name": "sampler",
    "scheduler": "scheduler",
    "width": "width",
    "height": "height",
    "seed": "seed",
    "subseed": "subseed",
    "subseed_strength": "subseed_strength",
    "denoising_strength": "denoising_strength",
    "batch_size": "batch_size",
    "n_iter": "n_iter",
    "enable_hr": "enable_hr",
    "hr_scale": "hr_scale",
    "hr_upscaler": "hr_upscaler",
    "hr_second_pass_steps": "hr_steps",
}


class StableNewRecorder(scripts.Script):
    """Says where a generation begins and ends."""

    def title(self) -> str:
        """Its name in the WebUI."""
        return "StableNew recorder"

    def show(self, _is_img2img: bool) -> Any:
        """Always there, with nothing to set."""
        return scripts.AlwaysVisible

    def before_process(self, p: Any, *_args: Any) -> None:
        """A generation begins; the seed is still the one that was asked for."""
        begin(p)

    def process(self, p: Any, *_args: Any) -> None:
        """The same, for WebUIs that know no earlier moment."""
        begin(p)

    def postprocess(self, p: Any, processed: Any, *_args: Any) -> None:
        """A generation ends."""
        finish(p, processed)


@harmless
def begin(p: Any) -> None:
    """Tell of a run, once for each generation."""
    if getattr(p, _RUN, None):
        return
    run = uuid.uuid4().hex
    setattr(p, _RUN, run)
    requested = settings_of(p)
    setattr(p, _REQUESTED, requested)
    total = int(requested.get("batch_size", 1)) * int(requested.get("n_iter", 1))
    bridge.send(do="start", run=run, tool="webui", version=version(), config=requested, total=total)


@harmless
def finish(p: Any, _processed: Any) -> None:
    """Tell that a run is over."""
    run = getattr(p, _RUN, None)
    if run:
        is_stopped = getattr(shared.state, "interrupted", False) or getattr(shared.state, "stopping_generation", False)
        bridge.send(do="finish", run=run, status="cancelled" if is_stopped else "completed")
        setattr(p, _RUN, None)


@harmless
def on_image_saved(params: Any) -> None:
    """Tell of an image, unless it is a grid or something that was saved on the way."""
    path = Path(params.filename).resolve()
    if _BESIDE.search(path.stem):
        return
    p = params.p
    bridge.send(
        do="image",
        run=getattr(p, _RUN, None) if p is not None else None,
        tool="webui",
        version=version(),
        path=str(path),
        infotext=str((params.pnginfo or {}).get("parameters") or ""),
        settings=getattr(p, _REQUESTED, None) or settings_of(p),
        prompt=str(getattr(p, "prompt", "") or ""),
        negative_prompt=str(getattr(p, "negative_prompt", "") or ""),
        stage=stage_of(p),
    )


def settings_of(p: Any) -> dict[str, Any]:
    """What the user asked for, under the standard names."""
    found = {name: getattr(p, field, None) for field, name in _SETTINGS.items()}
    overrides = getattr(p, "override_settings", None) or {}
    found["model"] = overrides.get("sd_model_checkpoint") or getattr(shared.opts, "sd_model_checkpoint", None)
    found["clip_skip"] = overrides.get("CLIP_stop_at_last_layers") or getattr(
        shared.opts, "CLIP_stop_at_last_layers", None
    )
    return {key: value for key, value in found.items() if isinstance(value, (bool, int, float, str))}


def stage_of(p: Any) -> str:
    """The stage by the kind of generation; what has none comes from the tab Extras."""
    if p is None:
        return "upscale"
    return "img2img" if "Img2Img" in type(p).__name__ else "txt2img"


def version() -> str:
    """The WebUI's own version, if it says one."""
    try:
        from modules import launch_utils

        return str(launch_utils.git_tag())
    except (ImportError, AttributeError, OSError):
        return ""


script_callbacks.on_image_saved(on_image_saved)
