"""A program that calls an extension as AUTOMATIC1111 1.10 does: python fake_webui.py EXTENSION OUTPUT_FOLDER WHAT

Built from `modules/txt2img.py`, `modules/processing.py` (process_images), `modules/images.py` (save_image),
`scripts/xyz_grid.py` and `modules/script_callbacks.py`: what is called when, with which fields, on which object, and
that an exception of an extension is printed and swallowed. With WHAT "no setup", as SD.Next, nothing tells of a job.
"""

import contextlib
import copy
import json
import sys
import time
import types
from pathlib import Path

from PIL import Image, PngImagePlugin

EXTENSION, OUTPUT, WHAT = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
saved_callbacks = []


class Script:
    pass


def module(name, **fields):
    made = types.ModuleType(name)
    vars(made).update(fields)
    sys.modules[name] = made
    return made


shared = module(
    "modules.shared",
    state=types.SimpleNamespace(interrupted=False, stopping_generation=False),
    sd_model=types.SimpleNamespace(
        sd_checkpoint_info=types.SimpleNamespace(filename=str(OUTPUT / "dreamshaper_8.safetensors"), sha256=None)
    ),
    opts=types.SimpleNamespace(
        data={"randn_source": "CPU", "outdir_samples": "/somewhere"},
        data_labels={"eta_noise_seed_delta": types.SimpleNamespace(default=0)},
        sd_model_checkpoint="dreamshaper_8 [879db523c3]",
        CLIP_stop_at_last_layers=1,
        save_images_before_highres_fix=True,
    ),
)
module(
    "modules",
    script_callbacks=module("modules.script_callbacks", on_image_saved=saved_callbacks.append),
    scripts=module("modules.scripts", Script=Script, AlwaysVisible=object()),
    shared=shared,
    launch_utils=module("modules.launch_utils", git_tag=lambda: "v1.10.1"),
    __path__=[],
)


class StableDiffusionProcessingTxt2Img:
    def __init__(self, **fields):
        self.prompt, self.negative_prompt = "a quiet harbour", "fog"
        self.sampler_name, self.scheduler, self.steps, self.cfg_scale = "DPM++ 2M", "Karras", 20, 7.0
        self.width, self.height, self.seed, self.batch_size, self.n_iter = 64, 48, -1, 2, 2
        self.override_settings, self.denoising_strength = {}, None
        vars(self).update(fields)
        if WHAT != "no setup":
            script.setup(self)

    def close(self):
        self.is_closed = True


def generate(p, first_seed, *, fails_after=None):
    """As txt2img.py does: `p` is closed whether it raises or not."""
    with contextlib.closing(p):
        script.before_process(p)
        script.process(p)
        for number in range(p.batch_size * p.n_iter):
            if number == fails_after:
                raise RuntimeError("could not find upscaler named Nosuch")
            save_image(p, f"{first_seed:05}-{number}", first_seed + number, first_seed + number)
        script.postprocess(p, types.SimpleNamespace())


def save_image(p, name, seed, colour):
    path = OUTPUT / f"{name}.png"
    text = (
        f"{p.prompt if p else 'x'}\nNegative prompt: fog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, "
        f"CFG scale: 7.0, Seed: {seed}, Size: 64x48, Model hash: 879db523c3, Model: dreamshaper_8, Version: v1.10.1"
    )
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (64, 48), (colour % 256, 90, 120)).save(path, pnginfo=info)
    params = types.SimpleNamespace(image=None, p=p, filename=str(path), pnginfo={"parameters": text})
    for callback in saved_callbacks:
        callback(params)
    names.append(name)


def process_images(p, first_seed, script, *, ends=True):
    script.before_process(p)
    p.seed = first_seed  # fixed before `process`
    script.process(p)
    for number in range(p.batch_size * p.n_iter):
        save_image(p, f"{first_seed:05}-{number}-before-highres-fix", first_seed + number, number + 100)
        save_image(p, f"{first_seed:05}-{number}", first_seed + number, first_seed + number)
    save_image(p, f"grid-{first_seed:04}", first_seed, 50)
    if ends:
        script.postprocess(p, types.SimpleNamespace())


def plot(p, values, *, fails_at=None, model_at=None, waits_at=None):
    """As X/Y/Z plot: each cell is a copy of `p`, and one that raises is printed and left out."""
    with contextlib.closing(p):
        for number, value in enumerate(values):
            if number == waits_at:
                wait_for_the_test()
            cell = copy.copy(p)
            cell.cfg_scale, cell.batch_size, cell.n_iter = value, 1, 1
            if number == model_at:
                other = OUTPUT / "other.safetensors"
                other.write_bytes(b"other weights")
                shared.sd_model.sd_checkpoint_info.filename = str(other)
            script.before_process(cell)
            cell.seed = 5
            script.process(cell)
            if number == fails_at:
                continue
            save_image(cell, f"{number:05}-5", 5, number)
            script.postprocess(cell, types.SimpleNamespace())
        save_image(types.SimpleNamespace(prompt="a quiet harbour"), "xyz_grid-0000-5", 5, 50)  # a Processed


def wait_for_the_test():
    time.sleep(float(sys.argv[4]))
    print("told", flush=True)
    sys.stdin.read()


names = []
source = EXTENSION / "scripts" / "stablenew_recorder.py"
namespace = {"__file__": str(source), "__name__": "stablenew_recorder"}
sys.path.insert(0, str(EXTENSION))
exec(compile(source.read_text(), str(source), "exec"), namespace)
script = namespace["StableNewRecorder"]()
OUTPUT.mkdir(parents=True, exist_ok=True)
(OUTPUT / "dreamshaper_8.safetensors").write_bytes(b"weights")
if WHAT == "two runs":
    for first_seed, fields in ((11, {}), (77, {"batch_size": 1, "n_iter": 1})):
        with contextlib.closing(StableDiffusionProcessingTxt2Img(**fields)) as p:
            process_images(p, first_seed, script)
elif WHAT == "no setup":
    p = StableDiffusionProcessingTxt2Img(batch_size=1, n_iter=1)
    process_images(p, 11, script)
    process_images(p, 77, script)
elif WHAT == "plot":
    plot(StableDiffusionProcessingTxt2Img(seed=5), [3, 5, 7, 9], fails_at=2, model_at=3)
elif WHAT == "loopback":
    with contextlib.closing(StableDiffusionProcessingTxt2Img(batch_size=1, n_iter=1)) as p:
        for first_seed in (11, 12, 13):
            process_images(p, first_seed, script)
elif WHAT == "api":
    with contextlib.closing(StableDiffusionProcessingTxt2Img()) as p:
        script.before_process(p)
        script.postprocess(p, None)
elif WHAT == "raises":
    for fails_after in (0, 2, None):
        p = StableDiffusionProcessingTxt2Img()
        with contextlib.suppress(RuntimeError):
            generate(p, 11 + (fails_after or 0), fails_after=fails_after)
        assert p.is_closed
    sys.stdin.read()
elif WHAT == "interrupted":
    with contextlib.closing(StableDiffusionProcessingTxt2Img(batch_size=1)) as p:
        script.before_process(p)
        save_image(p, "00001-0", 11, 11)
        shared.state.interrupted = True
        save_image(p, "00001-1", 12, 12)
        script.postprocess(p, types.SimpleNamespace())
elif WHAT == "extras":
    save_image(None, "00001", 5, 9)
elif WHAT == "crash":
    process_images(StableDiffusionProcessingTxt2Img(), 11, script, ends=False)
    wait_for_the_test()
elif WHAT == "waits":
    plot(StableDiffusionProcessingTxt2Img(seed=5), [3, 5, 7, 9, 11], waits_at=2)
elif WHAT == "crash in a plot":
    plot(StableDiffusionProcessingTxt2Img(seed=5), [3, 5, 7, 9], waits_at=2)
elif WHAT == "many":
    with contextlib.closing(StableDiffusionProcessingTxt2Img()) as p:
        process_images(p, 11, script)
    time.sleep(float(sys.argv[4]))
    for _ in range(8000):
        with contextlib.closing(StableDiffusionProcessingTxt2Img()) as p:
            script.process(p)
            script.postprocess(p, None)
print(json.dumps({"saved": len(names)}))
