"""A stand-in for a Stable Diffusion WebUI: real HTTP, the real fields, no GPU.

It answers as AUTOMATIC1111 1.10.1 and SD.Next (July 2026) were seen to answer, and where `kin` says so as the source
of Forge does. Jobs wait for each other; an interrupt is for whatever runs, and its reply is 200 with the unfinished
picture and all seeds; overridden options are put back only where the config file has them. Pictures are drawn from
what was asked, so that another setting gives another picture. `quirks` turns on what else real servers do.
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
SCHEDULERS = ["Automatic", "Normal", "Karras"]
MODELS = [("dreamshaper_8", "879db523c3"), ("sd_xl_base_1.0", "31e35c80fc")]
VAES = ["kl-f8-anime2.ckpt", "vae-ft-mse-840000.safetensors"]
UPSCALERS = ["None", "Lanczos", "R-ESRGAN 4x+"]
LORAS = ["detail_tweaker", "film_grain"]
DETAILERS = ["yolo11m", "face-yolo8n", "hand_yolov8n"]
MODULES = {"ae.safetensors": "/models/VAE/ae.safetensors"}
OPTIONS = {
    "sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1, "eta_noise_seed_delta": 0,
    "sd_checkpoint_hash": hashlib.sha256(MODELS[0][0].encode()).hexdigest(),
}  # fmt: skip


class FakeWebUI:
    """The server's state, and its answers."""

    def __init__(self, *, quirks=(), seconds_per_image=0.0, scripts=("adetailer",), auth=None, kin="a1111"):
        self.kin = kin
        self.options = dict(OPTIONS)
        self.config = set()
        """Names of options that the config file holds: those are put back after a call."""
        self.turn = threading.Lock()
        self.waiting = set()
        self.state_interrupted = False
        self.refusals = 1 if "too_many_requests" in quirks else 0
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
        self.loras = [*LORAS]
        self.lora_lists = 0
        """How often the list of LoRAs was asked for."""
        self.report = {"Version": "v1.10.1"}
        """What `/internal/sysinfo` says, as far as anybody asks."""
        self.hashes = {}
        """SHA-256 of models, where the server knows it."""

    def app(self):
        post, get = {"methods": ["POST"]}, {"methods": ["GET"]}
        routes = [
            Route("/sdapi/v1/txt2img", self.txt2img, **post),
            Route("/sdapi/v1/img2img", self.img2img, **post),
            Route("/sdapi/v1/extra-single-image", self.upscale, **post),
            Route("/sdapi/v1/progress", self.global_progress, **get),
            Route("/sdapi/v1/interrupt", self.interrupt, **post),
            Route("/sdapi/v1/samplers", self.names(SAMPLERS), **get),
            Route("/sdapi/v1/schedulers", self.names(SCHEDULERS), **get),
            Route("/sdapi/v1/upscalers", self.names(UPSCALERS), **get),
            Route("/sdapi/v1/sd-models", self.models, **get),
            Route(
                "/sdapi/v1/sd-vae",
                self.answer([{"model_name": name} for name in VAES]),
                **get,
            ),
            Route("/sdapi/v1/options", self.answer_options, **get),
            Route("/sdapi/v1/options", self.set_options, **post),
            Route("/sdapi/v1/scripts", self.list_scripts, **get),
            Route("/sdapi/v1/loras", self.list_loras, **get),
        ]
        if self.kin == "sdnext":
            routes += [
                Route("/sdapi/v1/version", self.answer({"app": "sd.next", "updated": "2026-07-23"}), **get),
                Route("/sdapi/v1/detailers", self.answer([{"name": name, "path": ""} for name in DETAILERS]), **get),
                Route("/sdapi/v1/detail", self.detail, **post),
            ]
        else:
            routes.append(Route("/internal/sysinfo", self.sysinfo, **get))
        if self.kin == "forge":
            modules = [{"model_name": name, "filename": path} for name, path in MODULES.items()]
            routes.append(Route("/sdapi/v1/sd-modules", self.answer(modules), **get))
        if "no_task_progress" not in self.quirks and self.kin != "sdnext":
            routes.append(Route("/internal/progress", self.task_progress, **post))
        if "no_api" in self.quirks:
            routes = []
        return Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=self.guard)])

    async def guard(self, request, call_next):
        if self.auth is not None:
            expected = "Basic " + base64.b64encode(":".join(self.auth).encode()).decode()
            if request.headers.get("authorization") != expected:
                body = {"error": "HTTPException", "detail": "Not authenticated", "body": "", "errors": ""}
                return JSONResponse(body, 401)
        if "html" in self.quirks:
            return HTMLResponse("<!doctype html><title>Welcome to my router</title>")
        response = await call_next(request)
        if response.status_code == 404 and "no_api" in self.quirks:
            return JSONResponse({"detail": "Not Found"}, 404)
        return response

    @staticmethod
    def answer(value):
        async def give(_request):
            return JSONResponse(value)

        return give

    async def list_loras(self, _request):
        self.lora_lists += 1
        return JSONResponse([{"name": name, "alias": name, "path": ""} for name in self.loras])

    def names(self, values):
        async def answer(_request):
            return JSONResponse([{"name": one, "label": one, "aliases": [], "options": {}} for one in values])

        return answer

    async def detail(self, request):
        """SD.Next's detailer: its errors have no detail, its image no parameters."""
        body = await request.json()
        self.requests.append(body)
        if not body.get("image"):
            return JSONResponse({"error": "invalid image"}, 400)
        image = Image.open(io.BytesIO(decode(body["image"]))).convert("RGB")
        seed = body.get("seed", -1)
        made = draw(
            {"prompt": body.get("detailer_prompt"), "width": image.width, "height": image.height}, seed, image, ""
        )
        return JSONResponse({"image": encode(made, "", "JPEG"), "detections": None, "seed": seed, "info": ""})

    async def models(self, _request):
        if self.kin == "sdnext":  # it names folders here, and not in what it says of an image
            names = [f"Diffusers/{name}" for name, _ in MODELS]
            about = {"type": "diffusers", "sha256": None, "hash": None, "config": None}
            found = [{"title": name, "model_name": name, "filename": f"models/{name}", **about} for name in names]
            return JSONResponse(found)
        return JSONResponse(
            [
                {
                    "title": f"{name}.safetensors [{short}]",
                    "model_name": name,
                    "hash": short,
                    "sha256": self.hashes.get(name),
                    "filename": f"/m/{name}.safetensors",
                    "config": None,
                }
                for name, short in MODELS
            ]
        )

    async def sysinfo(self, _request):
        return JSONResponse(self.report)

    async def answer_options(self, _request):
        is_next = self.kin == "sdnext"
        title = f"Diffusers/{self.model[0]}" if is_next else f"{self.model[0]}.safetensors [{self.model[1]}]"
        return JSONResponse({"sd_model_checkpoint": title, **self.options})

    async def set_options(self, request):
        given = await request.json()
        self.config |= given.keys()
        self.choose_model(given)
        self.options |= {name: value for name, value in given.items() if name != "sd_model_checkpoint"}
        return JSONResponse(None)

    async def list_scripts(self, _request):
        return JSONResponse({"txt2img": list(self.scripts), "img2img": list(self.scripts)})

    def refuse(self, status, detail="", error="HTTPException", errors=""):
        if self.kin == "forge":
            return JSONResponse({"error": error, "detail": detail, "body": "", "message": errors}, status)
        if self.kin == "sdnext" and detail:
            errors = f"{status}: {detail}"
        return JSONResponse({"error": error, "detail": detail, "body": "", "errors": errors}, status)

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
        if self.refusals:
            self.refusals -= 1
            return JSONResponse({"detail": "Too many requests"}, 429, {"Retry-After": "0.05"})
        if self.kin == "sdnext" and body.get("sampler_name") not in (None, *SAMPLERS):
            return self.refuse(404, "Sampler not found")
        for name in body.get("alwayson_scripts", {}):
            if name.lower() not in self.scripts:
                is_next = self.kin == "sdnext"
                return self.refuse(
                    422, f"Always on script not found: {name}" if is_next else f"Script '{name}' not found"
                )
        if body.get("enable_hr") and self.kin == "forge" and "hr_additional_modules" not in body:
            return self.refuse(500, error="TypeError", errors="argument of type 'NoneType' is not iterable")
        if body.get("enable_hr") and self.kin != "sdnext" and body.get("hr_upscaler") not in (*UPSCALERS, "Latent"):
            return self.refuse(500, error="Exception", errors=f"could not find upscaler named {body['hr_upscaler']}")
        if "out_of_memory" in self.quirks:
            errors = "CUDA out of memory. Tried to allocate 2.00 GiB"
            return self.refuse(500, error="OutOfMemoryError", errors=errors)
        if f"fails_{self.calls}" in self.quirks:
            return self.refuse(500, error="IndexError", errors="index 20 is out of bounds")
        return await anyio.to_thread.run_sync(self.make, body, image)

    def make(self, body, image):
        task = body.get("force_task_id")
        self.waiting.add(task)
        with self.turn:
            self.waiting.discard(task)
            self.interrupted.clear()
            self.state_interrupted = False
            return self.make_now(body, image)

    def make_now(self, body, image):
        count = body.get("batch_size", 1) * body.get("n_iter", 1)
        first = body.get("seed", -1)
        first = random.randrange(2**32) if first in (None, -1) else first
        self.task, self.progress = body.get("force_task_id"), 0.0
        overrides = dict(body.get("override_settings", {}))
        restored = {name: self.options[name] for name in overrides if name in self.config and name in self.options}
        self.choose_model(overrides)
        self.options |= {name: value for name, value in overrides.items() if name != "sd_model_checkpoint"}
        pictures, seeds = [], [first + number for number in range(count)]
        for number in range(count):
            stopped = self.wait(number, count)
            pictures.append(draw(body, seeds[number], image, self.model[0]))
            if stopped:
                self.state_interrupted = True
                break
        self.task = None
        info = self.describe(body, seeds, pictures)
        if self.kin == "sdnext":
            restored = {name: OPTIONS[name] for name in overrides if name in OPTIONS}
        self.options |= restored
        kind = "JPEG" if self.kin == "sdnext" else "PNG"
        images = [encode(picture, text, kind) for picture, text in zip(pictures, info["infotexts"], strict=False)]
        if "truncated" in self.quirks:
            images = [data[: len(data) // 2 // 4 * 4] for data in images]
        if info["index_of_first_image"]:
            images.insert(0, encode(grid(pictures), "grid"))
            info["infotexts"].insert(0, info["infotexts"][0])
        if "controlnet_maps" in self.quirks:
            images.append(encode(Image.new("L", (64, 64)), ""))
        return JSONResponse({"images": images, "parameters": body, "info": json.dumps(info)})

    def choose_model(self, overrides):
        """An unknown checkpoint is dropped without a word. The hash of what is loaded is an option, never put back."""
        wanted = str(overrides.get("sd_model_checkpoint", ""))
        for name, short in MODELS:
            if name in wanted and "keeps_model" not in self.quirks:
                self.model = (name, short)
                if self.kin != "sdnext":
                    self.options["sd_checkpoint_hash"] = hashlib.sha256(name.encode()).hexdigest()

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

    def describe(self, body, seeds, pictures):
        steps = 20 if "ignores_steps" in self.quirks else body.get("steps", 50)
        has_grid = "grid_first" in self.quirks and len(pictures) > 1
        sampler = body.get("sampler_name") or "Euler"
        sampler = sampler if sampler in SAMPLERS else "DPM++ 2M"
        asked = body.get("scheduler") if self.kin != "sdnext" else None
        scheduler = asked if asked in SCHEDULERS else "Automatic"
        params = {} if scheduler == "Automatic" else {"Schedule type": scheduler}
        called = [name for name in LORAS if f"<lora:{name}:" in body.get("prompt", "")]
        if called and self.kin != "sdnext":
            params["Lora hashes"] = ", ".join(f"{name}: 0123456789ab" for name in called)
        if body.get("enable_hr"):
            params |= {"Hires prompt": None, "Hires upscale": body.get("hr_scale")}
        clip_skip = body.get("clip_skip", 1) if self.kin == "sdnext" else self.options["CLIP_stop_at_last_layers"]
        width, height = body.get("width", 512), body.get("height", 512)
        denoise = body.get("denoising_strength")
        common = f"Steps: {steps}, Sampler: {sampler}"
        rest = f"CFG scale: {body.get('cfg_scale', 7.0)}, Seed: %d, Size: {width}x{height}"
        rest += f", Denoising strength: {denoise}" if denoise is not None else ""
        if self.kin == "sdnext":
            line = f"{common}, Scheduler: EulerDiscreteScheduler, {rest}, App: SD.Next, Model: {self.model[0]}"
            line += f", Sampler sigma: {body['schedulers_sigma']}" if body.get("schedulers_sigma") else ""
        else:
            line = f"{common}, Schedule type: {scheduler}, {rest}, Model hash: {self.model[1]}, Model: {self.model[0]}"
            line += f", Clip skip: {clip_skip}" if clip_skip > 1 else ""
            line += ", Version: v1.10.1"
        info = {
            "prompt": body.get("prompt", ""),
            "all_prompts": [body.get("prompt", "")] * len(seeds),
            "negative_prompt": body.get("negative_prompt", ""),
            "all_negative_prompts": [body.get("negative_prompt", "")] * len(seeds),
            "seed": seeds[0],
            "all_seeds": seeds,
            "subseed": 2286785485,
            "all_subseeds": [2286785485 + number for number in range(len(seeds))],
            "subseed_strength": 0,
            "width": width,
            "height": height,
            "sampler_name": sampler,
            "cfg_scale": body.get("cfg_scale", 7.0),
            "steps": steps,
            "batch_size": body.get("batch_size", 1),
            "restore_faces": False,
            "face_restoration_model": None,
            "sd_model_name": self.model[0],
            "sd_model_hash": self.model[1],
            "sd_vae_name": None,
            "sd_vae_hash": None,
            "denoising_strength": denoise,
            "extra_generation_params": params,
            "index_of_first_image": 1 if has_grid else 0,
            "infotexts": [f"{body.get('prompt', '')}\n{line % seed}" for seed in seeds[: len(pictures)]],
            "styles": [],
            "job_timestamp": "20261121071009",
            "clip_skip": clip_skip,
            "is_using_inpainting_conditioning": False,
            "version": "v1.10.1",
        }
        if self.kin == "sdnext":
            for name in ("sd_model_name", "sd_vae_name", "sd_vae_hash", "version", "restore_faces"):
                del info[name]
            info |= {"sd_model_hash": None, "denoising_strength": 0.3 if denoise is None else denoise}
        return info

    async def upscale(self, request):
        body = await request.json()
        self.requests.append(body)
        if body.get("upscaler_1") not in UPSCALERS:
            errors = f"could not find upscaler named {body.get('upscaler_1')}"
            return self.refuse(500, error="AssertionError", errors=errors)
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
                "active": is_ours, "queued": asked["id_task"] in self.waiting,
                "completed": False, "progress": self.progress if is_ours else None,
                "eta": None, "live_preview": preview, "id_live_preview": number, "textinfo": None,
            }
        )  # fmt: skip

    async def global_progress(self, _request):
        state = {
            "interrupted": self.state_interrupted,
            "stopping_generation": False,
            "job": "scripts_txt2img",
            "job_no": 0,
            "sampling_step": int(self.progress * 100),
            "sampling_steps": 20,
        }
        return JSONResponse({"progress": self.progress, "eta_relative": 1.0, "state": state, "current_image": None})

    async def interrupt(self, _request):
        self.interrupted.set()
        return Response("{}", media_type="application/json")


def decode(text):
    return base64.b64decode(text.rpartition(",")[2])


def encode(picture, parameters, kind="PNG"):
    buffer, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("parameters", parameters)
    picture.save(buffer, kind, **({"pnginfo": text} if kind == "PNG" else {}))
    return base64.b64encode(buffer.getvalue()).decode()


def draw(body, seed, image, model):
    """A picture that another prompt, seed, sampler, size, number of steps or model makes another one."""
    names = ("prompt", "negative_prompt", "sampler_name", "scheduler", "steps", "cfg_scale", "denoising_strength")
    told = json.dumps([seed, model, *(body.get(name) for name in names), body.get("alwayson_scripts")], sort_keys=True)
    colour = tuple(hashlib.sha256(told.encode()).digest()[:3])
    scale = body.get("hr_scale", 2.0) if body.get("enable_hr") else 1.0
    size = (round(body.get("width", 512) * scale), round(body.get("height", 512) * scale))
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
