"""An extension of the Stable Diffusion WebUI (AUTOMATIC1111, Forge, reForge, SD.Next): records what it saves.

Written by `stablenew engines install webui DIR`. It uses the WebUI's own hooks, `on_image_saved` and an always visible
script (`modules/script_callbacks.py`, `modules/scripts.py`), which tell of images and of where a job and its
generations begin and end. The recorder reads the very files that the WebUI saved.
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

_JOB = "_stablenew_job"
_RUN = "_stablenew_run"
_OWNER = "stablenew_owner"
_LIBRARIES = ("torch", "torchvision", "diffusers", "transformers", "safetensors", "xformers", "numpy")
_REQUESTED = "_stablenew_requested"
_GRID_NAME = re.compile(r"(?:[a-z]+_)?grid-[0-9]{4}(?:-|$)")
"""How names of grids begin (`modules/processing.py`, `scripts/xyz_grid.py`): no image is saved under a base name."""
_BESIDE = {
    "-mask": "save_mask",
    "-mask-composite": "save_mask_composite",
    "-before-highres-fix": "save_images_before_highres_fix",
    "-before-color-correction": "save_images_before_color_correction",
    "-before-face-restoration": "save_images_before_face_restoration",
    "-ad-before": "ad_save_images_before",
    "-ad-preview": "ad_save_previews",
}
"""Endings of what the WebUI and ADetailer save beside an image, each with the option that makes them do so."""
_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")
_COMPARED = 40
_NO_IMAGE = "this generation of a script ended without an image; the WebUI's console has the reason"
_SETTINGS = (
    "steps", "cfg_scale", "sampler_name", "scheduler", "width", "height", "seed", "subseed", "subseed_strength",
    "denoising_strength", "batch_size", "n_iter", "enable_hr", "hr_scale", "hr_upscaler", "hr_second_pass_steps",
)  # fmt: skip
_OPTIONS = ("sd_model_checkpoint", "CLIP_stop_at_last_layers")
"""Settings that the WebUI keeps among its options."""


class Job:
    """One press of Generate, or one call of the API: a run, however many generations a script makes of it.

    An X/Y/Z plot, a loopback or a batch of files begins and ends many generations, with the object that the WebUI made
    for the job or with copies of it, which carry the job with them. The job ends when the WebUI closes that object.
    """

    def __init__(self, owner: int) -> None:
        self.run = uuid.uuid4().hex
        self.owner = owner
        """The object of the whole job, by its `id`."""
        self.is_told = False
        self.ends_with_close = False
        self.is_stopped = False
        self.under_way: dict[str, Any] | None = None
        """What is being generated."""
        self.files: dict[str, dict[str, Any]] = {}
        """The model files that were used so far, by path."""

    def __deepcopy__(self, _memo: Any) -> Job:
        return self


class StableNewRecorder(scripts.Script):
    """Says where a job and each of its generations begin and end."""

    def title(self) -> str:
        """Its name in the WebUI."""
        return "StableNew recorder"

    def show(self, _is_img2img: bool) -> Any:
        """Always there, with nothing to set."""
        return scripts.AlwaysVisible

    def setup(self, p: Any, *_args: Any) -> None:
        """A job begins, before a script makes generations of it."""
        begin_job(p)

    def before_process(self, p: Any, *_args: Any) -> None:
        """A generation begins; the seed is still the one that was asked for."""
        begin(p)

    def process(self, p: Any, *_args: Any) -> None:
        """The same, for WebUIs that know no earlier moment."""
        begin(p)

    def postprocess(self, p: Any, processed: Any, *_args: Any) -> None:
        """A generation ends."""
        del processed
        finish(p)


@harmless
def begin_job(p: Any) -> None:
    """Remember the object of a job that the WebUI has just made, and will close when the job is over."""
    if getattr(p, _JOB, None) is None:
        job = Job(id(p))
        setattr(p, _JOB, job)
        job.ends_with_close = watch_close(p)


@harmless
def begin(p: Any) -> None:
    """Report a generation that begins, and with the first one its run."""
    if getattr(p, _RUN, None):
        return
    if getattr(p, _JOB, None) is None:  # a WebUI that tells of no jobs: each generation is one
        setattr(p, _JOB, Job(id(p)))
        watch_close(p)
    job = getattr(p, _JOB)
    if job.owner != id(p):
        unwatch_close(p)
    tell_lost(job)
    requested = settings_of(p)
    setattr(p, _RUN, job.run)
    setattr(p, _REQUESTED, requested)
    job.under_way = {"settings": requested, **texts_of(p), "stage": stage_of(p)}
    if not job.is_told:
        job.is_told = True
        total = int(requested.get("batch_size", 1)) * int(requested.get("n_iter", 1))
        bridge.send(do="start", run=job.run, tool="webui", version=version(), config=requested, total=total)


def tell_lost(job: Job) -> None:
    """Report a generation that never ended: a script went on without it, as X/Y/Z plot does when a cell raises."""
    lost, job.under_way = job.under_way, None
    if lost is not None:
        bridge.send(do="failure", run=job.run, error=_NO_IMAGE, **lost)


def watch_close(p: Any) -> bool:
    """Have the job end when the WebUI closes `p`, also after an exception; whether it does so at all."""
    unwatch_close(p)
    close = getattr(p, "close", None)
    if close is None or hasattr(close, _OWNER):
        return close is not None

    def close_and_finish(*args: Any, **kwargs: Any) -> Any:
        finish_job(p, error=sys.exc_info()[1])
        return close(*args, **kwargs)

    setattr(close_and_finish, _OWNER, id(p))
    p.close = close_and_finish
    return True


def unwatch_close(p: Any) -> None:
    """Take from a copy what closes the object that it was copied from."""
    if getattr(vars(p).get("close"), _OWNER, id(p)) != id(p):
        del p.close


@harmless
def finish(p: Any) -> None:
    """Note that a generation is over, and with it the job, where nothing else tells of the job's end."""
    job = getattr(p, _JOB, None)
    if job is None or not getattr(p, _RUN, None):
        return
    setattr(p, _RUN, None)
    job.under_way = None
    job.is_stopped = is_interrupted() or bool(getattr(shared.state, "stopping_generation", False))
    if not job.ends_with_close:
        finish_job(p)


@harmless
def finish_job(p: Any, error: BaseException | None = None) -> None:
    """Report that a run is over, once."""
    job = getattr(p, _JOB, None)
    setattr(p, _JOB, None)
    setattr(p, _RUN, None)
    if job is None or not job.is_told:
        return
    if error is None:
        tell_lost(job)
        bridge.send(do="finish", run=job.run, status="cancelled" if job.is_stopped else "completed")
        return
    bridge.send(
        do="finish",
        run=job.run,
        status="failed",
        error=f"{type(error).__name__}: {error}",
        **(job.under_way or {"settings": settings_of(p), **texts_of(p), "stage": stage_of(p)}),
    )


def is_interrupted() -> bool:
    """Whether somebody stopped what runs now, in the middle of an image."""
    return bool(getattr(shared.state, "interrupted", False) or getattr(shared.state, "skipped", False))


@harmless
def on_image_saved(params: Any) -> None:
    """Report an image, unless it is a grid or something that is saved beside the images."""
    path = Path(params.filename).resolve()
    p = params.p
    if is_grid(path, p) or is_beside(path, p):
        return
    bridge.send(
        do="image",
        run=run_of(p),
        tool="webui",
        version=version(),
        path=str(path),
        **stablenew_bridge.identify(path),
        infotext=str((params.pnginfo or {}).get("parameters") or ""),
        settings=getattr(p, _REQUESTED, None) or settings_of(p),
        **texts_of(p),
        stage=stage_of(p),
        unfinished=p is not None and is_interrupted(),
    )
    describe_new_files(p)


def run_of(p: Any) -> str | None:
    """The run that an image belongs to; None for what no job makes, as in the tab Extras."""
    job = getattr(p, _JOB, None)
    return job.run if job is not None and job.is_told else None


@harmless
def describe_new_files(p: Any) -> None:
    """Report what the images of a run depend on, with its first image and whenever other model files are loaded."""
    job = getattr(p, _JOB, None)
    if job is None:
        return
    files = {file["path"]: file for file in find_files()}
    if job.files and files.keys() <= job.files.keys():
        return
    job.files.update(files)
    torch = sys.modules.get("torch")
    modules = ((name, sys.modules.get(name)) for name in _LIBRARIES)
    bridge.send(
        do="surroundings",
        run=job.run,
        program=program(),
        version=version(),
        files=list(job.files.values()),
        libraries={name: str(getattr(found, "__version__", "")) for name, found in modules if found is not None},
        python=sys.version.split()[0],
        device=torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else "cpu",
        extensions=str(FOLDER.parent),
        options={name: value for name, value in options().items() if isinstance(value, (bool, int, float, str))},
        arguments=sys.argv,
    )


def find_files() -> list[dict[str, Any]]:
    """The checkpoint, VAE and LoRAs that are loaded, with their hashes where the WebUI has worked them out."""
    info = getattr(getattr(shared, "sd_model", None), "sd_checkpoint_info", None)
    found = [("checkpoint", getattr(info, "filename", None), getattr(info, "sha256", None))]
    found.append(("vae", getattr(sys.modules.get("modules.sd_vae"), "loaded_vae_file", None), None))
    networks = getattr(sys.modules.get("networks"), "loaded_networks", None) or ()
    on_disk = (getattr(network, "network_on_disk", None) for network in networks)
    found += [("lora", getattr(file, "filename", None), None) for file in on_disk]
    return [{"kind": kind, "path": str(Path(path).resolve()), "sha256": sha256} for kind, path, sha256 in found if path]


def options() -> dict[str, Any]:
    """The WebUI's options, those that nobody changed included."""
    labels = getattr(shared.opts, "data_labels", None) or {}
    defaults = {name: getattr(label, "default", None) for name, label in labels.items()}
    return {**defaults, **(getattr(shared.opts, "data", None) or {})}


def program() -> str:
    """Which of the WebUIs this is."""
    if "modules_forge" in sys.modules:
        return "Forge"
    return "SD.Next" if "installer" in sys.modules else "AUTOMATIC1111"


def texts_of(p: Any) -> dict[str, str]:
    """Prompt and negative prompt that were asked for."""
    return {name: str(getattr(p, name, "") or "") for name in ("prompt", "negative_prompt")}


def is_grid(path: Path, p: Any) -> bool:
    """Whether a file is a grid: by its folder, where grids have one of their own, else by its base name."""
    grids, samples = getattr(p, "outpath_grids", None), getattr(p, "outpath_samples", None)
    if grids and samples and Path(grids).resolve() != Path(samples).resolve():
        is_image = is_within(path, samples) and not is_within(Path(grids), samples)
        return is_within(path, grids) and not is_image
    base = _GRID_NAME.match(path.stem)
    return base is not None and not plain_prompt(p).startswith(plain_text(base.group()))


def is_beside(path: Path, p: Any) -> bool:
    """Whether a file is a mask, an initial image or an earlier state of an image, and not an image."""
    initial = getattr(shared.opts, "outdir_init_images", None)
    if getattr(shared.opts, "save_init_img", False) and initial and is_within(path, initial):
        return True
    for ending, option in _BESIDE.items():
        if path.stem.endswith(ending) and getattr(shared.opts, option, False):
            return not ends_like_prompt(path.stem, p)
    return False


def is_within(path: Path, folder: Any) -> bool:
    """Whether a path lies somewhere in a folder."""
    return Path(folder).resolve() in path.resolve().parents


def ends_like_prompt(stem: str, p: Any) -> bool:
    """Whether a name ends with the end of the prompt, as a file name pattern with the prompt in it makes it."""
    prompt = plain_prompt(p)
    return bool(prompt) and plain_text(stem).endswith(prompt[-_COMPARED:])


def plain_prompt(p: Any) -> str:
    """The prompt of a generation, as `plain_text`."""
    return plain_text(str(getattr(p, "prompt", "") or ""))


def plain_text(text: str) -> str:
    """Letters and digits of a text, to compare with what a file name makes of it."""
    return _NOT_A_LETTER.sub(" ", text.lower()).strip()


def settings_of(p: Any) -> dict[str, Any]:
    """What the user asked for, under the WebUI's own names."""
    found = {name: getattr(p, name, None) for name in _SETTINGS}
    overrides = getattr(p, "override_settings", None) or {}
    found |= {name: overrides.get(name) or getattr(shared.opts, name, None) for name in _OPTIONS}
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
