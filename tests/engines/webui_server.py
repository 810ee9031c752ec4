"""A stand-in for a Stable Diffusion WebUI: real HTTP, the real fields, no GPU.

Built from AUTOMATIC1111 1.10 (`modules/api/api.py`, `modules/api/models.py`, `Processed.js` in `modules/processing.py`,
`modules/progress.py`) and from Forge and SD.Next where they differ. Pictures are drawn from what was asked, so that
another setting gives another picture. `quirks` turns on what real servers do to their clients.
"""

import base64
import contextlib
import hashlib
import io
import json
import random
import threading
import time

from PIL import Image, ImageOps, PngImagePlugin
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.engines.live_server import live_server

SAMPLERS = ["Euler a", "Euler", "DPM++ 2M", "DDIM"]
MODELS = [("dreamshaper_8", "879db523c3"), ("sd_xl_base_1.0", "31e35c80fc")]
UPSCALERS = ["None", "Lanczos", "R-ESRGAN 4x+"]


class FakeWebUI:
    """The server's state, and its answers."""

    def __init__(self, *, quirks=(), seconds_per_image=0.0, scripts=("adetailer",), auth=None):
        self.quirks = set(quirks)
        self.seconds_per_image = seconds_per_image
        self.scripts = scripts
        self.auth = auth
        self.requests = []
        self.interrupted = threading.Event()
        self.task = None
        self.progress = 0.0
        self.model = MODELS[0]
        self.calls = 0

    def app(self):
        post, get = {"methods": ["POST"]}, {"methods": ["GET"]}
        routes = [
            Route("/sdapi/v1/txt2img", self.txt2img, **post),
            Route("/sdapi/v1/img2img", self.img2img, **post),
            Route("/sdapi/v1/extra-single-image", self.upscale, **post),
            Route("/sdapi/v1/progress", self.global_progress, **get),
            Route("/sdapi/v1/interrupt", self.interrupt, **post),
            Route("/sdapi/v1/samplers", self.names(SAMPLERS), **get),
            Route("/sdapi/v1/schedulers", self.names(["Automatic", "Normal", "Karras"]), **get),
            Route("/sdapi/v1/upscalers", self.names(UPSCALERS), **get),
            Route("/sdapi/v1/sd-models", self.models, **get),
            Route("/sdapi/v1/options", self.options, **get),
            Route("/sdapi/v1/scripts", self.list_scripts, **get),
        ]
        if "no_task_progress" not in self.quirks:
            routes.append(Route("/internal/progress", self.task_progress, **post))
        if "no_api" in self.quirks:
            routes = []
        return Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=self.guard)])

    async def guard(self, request, call_next):
        if self.auth is not None:
            expected = "Basic " + base64.b64encode(":".join(self.auth).encode()).decode()
            if request.headers.get("authorization") != expected:
                return JSONResponse({"detail": "Incorrect username or password"}, 401)
        if "html" in self.quirks:
            return HTMLResponse("<!doctype html><title>Welcome to my router</title>")
        response = await call_next(request)
        if response.status_code == 404 and "no_api" in self.quirks:
            return JSONResponse({"detail": "Not Found"}, 404)
        return response

    def names(self, values):
        async def answer(_request):
            return JSONResponse([{"name": one, "label": one, "aliases": [], "options": {}} for one in values])

        return answer

    async def models(self, _request):
        return JSONResponse(
            [
                {"title": f"{name}.safetensors [{short}]", "model_name": name, "hash": short, "filename": f"/m/{name}"}
                for name, short in MODELS
            ]
        )

    async def options(self, _request):
        title = f"{self.model[0]}.safetensors [{self.model[1]}]"
        return JSONResponse({"sd_model_checkpoint": title, "sd_vae": "Automatic"})

    async def list_scripts(self, _request):
        return JSONResponse({"txt2img": list(self.scripts), "img2img": list(self.scripts)})

    def refuse(self, status, detail, error="HTTPException"):
        return JSONResponse({"error": error, "detail": detail, "body": "", "errors": detail}, status)

    async def txt2img(self, request):
        return await self.generate(await request.json(), None)

    async def img2img(self, request):
        body = await request.json()
        if not body.get("init_images"):
            return self.refuse(404, "Init image not found")
        return await self.generate(body, Image.open(io.BytesIO(decode(body["init_images"][0]))).convert("RGB"))

    async def generate(self, body, image):
        import anyio

        self.requests.append(body)
        self.calls += 1
        if body.get("sampler_name") not in (None, *SAMPLERS):
            return self.refuse(404, "Sampler not found")
        for name in body.get("alwayson_scripts", {}):
            if name.lower() not in self.scripts:
                return self.refuse(422, f"always on script {name} not found")
        if "out_of_memory" in self.quirks:
            return self.refuse(500, "CUDA out of memory. Tried to allocate 2.00 GiB", "OutOfMemoryError")
        if f"fails_{self.calls}" in self.quirks:
            return self.refuse(500, "index 20 is out of bounds", "IndexError")
        self.interrupted.clear()
        return await anyio.to_thread.run_sync(self.make, body, image)

    def make(self, body, image):
        count = body.get("batch_size", 1) * body.get("n_iter", 1)
        first = body.get("seed", -1)
        first = random.randrange(2**32) if first in (None, -1) else first
        self.task, self.progress = body.get("force_task_id"), 0.0
        overrides = body.get("override_settings", {})
        self.choose_model(overrides)
        pictures, seeds = [], []
        for number in range(count):
            if self.wait(number, count):
                break
            seeds.append(first + number)
            pictures.append(draw(body, first + number, image, self.model[0]))
        self.task = None
        info = self.describe(body, seeds or [first], pictures, overrides)
        images = [encode(picture, info["infotexts"][0] if info["infotexts"] else "") for picture in pictures]
        if "truncated" in self.quirks:
            images = [one[: len(one) // 2 // 4 * 4] for one in images]
        if info["index_of_first_image"]:
            images.insert(0, encode(grid(pictures), "grid"))
        if "controlnet_maps" in self.quirks:
            images.append(encode(Image.new("L", (64, 64)), ""))
        return JSONResponse({"images": images, "parameters": body, "info": json.dumps(info)})

    def choose_model(self, overrides):
        """An unknown checkpoint is dropped without a word."""
        wanted = str(overrides.get("sd_model_checkpoint", ""))
        for name, short in MODELS:
            if name in wanted and "keeps_model" not in self.quirks:
                self.model = (name, short)

    def wait(self, number, count):
        """Take the time of one image; whether somebody interrupted."""
        steps = 10
        for step in range(steps):
            self.progress = (number + step / steps) / count
            if self.interrupted.is_set():
                return True
            time.sleep(self.seconds_per_image / steps)
            while "hangs" in self.quirks and not self.interrupted.is_set():
                time.sleep(0.01)
        return False

    def describe(self, body, seeds, pictures, overrides):
        width, height = pictures[0].size if pictures else (body.get("width", 512), body.get("height", 512))
        steps = 20 if "ignores_steps" in self.quirks else body.get("steps", 50)
        has_grid = "grid_first" in self.quirks and len(pictures) > 1
        return {
            "prompt": body.get("prompt", ""),
            "all_prompts": [body.get("prompt", "")] * len(seeds),
            "negative_prompt": body.get("negative_prompt", ""),
            "all_negative_prompts": [body.get("negative_prompt", "")] * len(seeds),
            "seed": seeds[0],
            "all_seeds": seeds if pictures else [],
            "subseed": 1,
            "all_subseeds": [1] * len(seeds),
            "subseed_strength": 0,
            "width": width,
            "height": height,
            "sampler_name": body.get("sampler_name") or "Euler",
            "cfg_scale": body.get("cfg_scale", 7.0),
            "steps": steps,
            "batch_size": body.get("batch_size", 1),
            "restore_faces": False,
            "face_restoration_model": None,
            "sd_model_name": self.model[0],
            "sd_model_hash": self.model[1],
            "sd_vae_name": None,
            "sd_vae_hash": None,
            "denoising_strength": body.get("denoising_strength"),
            "extra_generation_params": {"Schedule type": body.get("scheduler") or "Automatic"},
            "index_of_first_image": 1 if has_grid else 0,
            "infotexts": [f"{body.get('prompt', '')}\nSteps: {steps}, Seed: {seed}" for seed in seeds],
            "styles": [],
            "job_timestamp": "20261121071009",
            "clip_skip": overrides.get("CLIP_stop_at_last_layers", 1),
            "is_using_inpainting_conditioning": False,
            "version": "v1.10.1",
        }

    async def upscale(self, request):
        body = await request.json()
        self.requests.append(body)
        if body.get("upscaler_1") not in UPSCALERS:
            return self.refuse(500, f"upscaler {body.get('upscaler_1')} not found", "AssertionError")
        image = Image.open(io.BytesIO(decode(body["image"]))).convert("RGB")
        size = (round(image.width * body["upscaling_resize"]), round(image.height * body["upscaling_resize"]))
        return JSONResponse({"html_info": "<p></p>", "image": encode(image.resize(size), "")})

    async def task_progress(self, request):
        asked = await request.json()
        is_ours = asked["id_task"] == self.task
        preview = None
        if asked.get("live_preview") and is_ours:
            preview = "data:image/png;base64," + encode(Image.new("RGB", (16, 12), (90, 90, 90)), "")
        number = asked["id_live_preview"] + 1 if preview else asked["id_live_preview"]
        return JSONResponse(
            {
                "active": is_ours, "queued": False, "completed": False, "progress": self.progress if is_ours else None,
                "eta": None, "live_preview": preview, "id_live_preview": number, "textinfo": None,
            }
        )  # fmt: skip

    async def global_progress(self, _request):
        state = {"job": "scripts_txt2img", "job_no": 0, "sampling_step": int(self.progress * 100), "sampling_steps": 20}
        return JSONResponse({"progress": self.progress, "eta_relative": 1.0, "state": state, "current_image": None})

    async def interrupt(self, _request):
        self.interrupted.set()
        return Response("{}", media_type="application/json")


def decode(text):
    return base64.b64decode(text.rpartition(",")[2])


def encode(picture, parameters):
    buffer, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("parameters", parameters)
    picture.save(buffer, "PNG", pnginfo=text)
    return base64.b64encode(buffer.getvalue()).decode()


def draw(body, seed, image, model):
    """A picture that another prompt, seed, sampler, size, number of steps or model makes another one."""
    names = ("prompt", "negative_prompt", "sampler_name", "scheduler", "steps", "cfg_scale", "denoising_strength")
    told = json.dumps([seed, model, *(body.get(name) for name in names), body.get("alwayson_scripts")], sort_keys=True)
    colour = tuple(hashlib.sha256(told.encode()).digest()[:3])
    size = (body.get("width", 512), body.get("height", 512))
    if image is None:
        return ImageOps.colorize(Image.radial_gradient("L").resize(size), colour, "white")
    return Image.blend(image.resize(size), Image.new("RGB", size, colour), 0.3)


def grid(pictures):
    sheet = Image.new("RGB", (pictures[0].width * len(pictures), pictures[0].height))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number * picture.width, 0))
    return sheet


@contextlib.contextmanager
def serving(fake):
    """The address of a running server."""
    with live_server(fake.app()) as address:
        try:
            yield address
        finally:
            fake.interrupted.set()
