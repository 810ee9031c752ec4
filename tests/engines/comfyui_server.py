"""A stand-in for ComfyUI: real HTTP and a real websocket, the real fields, no GPU.

Built from ComfyUI 0.3.64 (`server.py`, `execution.py`, `nodes.py`) and, for FaceDetailer, from the Impact Pack;
`test_stand_in.py` holds it against what that server was heard to say. It executes the graph it is given, node by node,
caches what has not changed as the real one does, and reports to the client that submitted. Pictures are drawn from what
reaches the nodes, so that another setting gives another picture. `quirks` turns on what real servers do to their
clients.
"""

import asyncio
import contextlib
import hashlib
import io
import json
import re
import struct
import threading
import time
import uuid
from collections import deque

from PIL import Image, ImageChops, ImageOps, PngImagePlugin
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.engines.comfyui_validation import check_prompt
from tests.engines.live_server import live_server
from tests.image_metadata.files import make_webm

SAMPLERS = ["euler", "euler_ancestral", "dpmpp_2m", "ddim"]
SCHEDULERS = ["normal", "karras", "simple"]
MODELS = ["dreamshaper_8.safetensors", "sdxl/sd_xl_base_1.0.safetensors"]
NODES = {
    "CheckpointLoaderSimple": {"ckpt_name": MODELS},
    "VAELoader": {"vae_name": ["vae-ft-mse.safetensors"]},
    "LoraLoader": {"lora_name": ["detail/more_details.safetensors"], "strength_model": 1.0, "strength_clip": 1.0},
    "CLIPSetLastLayer": {"stop_at_clip_layer": -1},
    "CLIPTextEncode": {"text": ""},
    "EmptyLatentImage": {"width": 512, "height": 512, "batch_size": 1},
    "KSampler": {
        "seed": 0, "steps": 20, "cfg": 8.0, "sampler_name": SAMPLERS, "scheduler": SCHEDULERS, "denoise": 1.0,
    },
    "RandomNoise": {"noise_seed": 0},
    "KSamplerSelect": {"sampler_name": SAMPLERS},
    "BasicScheduler": {"scheduler": SCHEDULERS, "steps": 20, "denoise": 1.0},
    "CFGGuider": {"cfg": 8.0},
    "SamplerCustomAdvanced": {},
    "LatentUpscaleBy": {"upscale_method": ["nearest-exact", "bilinear"], "scale_by": 1.5},
    "VAEDecode": {},
    "VAEEncode": {},
    "LoadImage": {"image": ""},
    "ImageScale": {"upscale_method": ["nearest-exact", "lanczos"], "width": 512, "height": 512, "crop": ["disabled"]},
    "UpscaleModelLoader": {"model_name": ["RealESRGAN_x4plus.pth"]},
    "ImageUpscaleWithModel": {},
    "UltralyticsDetectorProvider": {"model_name": ["bbox/face_yolov8n.pt", "bbox/hand_yolov8n.pt"]},
    "FaceDetailer": {
        "seed": 0, "steps": 20, "cfg": 8.0, "sampler_name": SAMPLERS, "scheduler": SCHEDULERS, "denoise": 0.5,
        "feather": 5, "bbox_threshold": 0.5,
    },
    "SaveImage": {"filename_prefix": "ComfyUI"},
    "PreviewImage": {},
    "SaveAnimatedWEBP": {"filename_prefix": "ComfyUI", "fps": 6.0, "lossless": True, "quality": 80},
    "SaveWEBM": {"filename_prefix": "ComfyUI", "codec": "vp9", "fps": 24.0, "crf": 32.0},
    "SaveImageWebsocket": {},
    "PrimitiveInt": {"value": 0},
    "PrimitiveString": {"value": ""},
}  # fmt: skip
"""Classes of nodes, and their inputs that are no links, with a default or the list to choose from."""
OUTPUT_NODES = {"SaveImage", "PreviewImage", "SaveAnimatedWEBP", "SaveWEBM", "SaveImageWebsocket"}
NEW_LISTS = {"UpscaleModelLoader"}
"""Classes of that version which describe their lists as newer ones do."""
IMPACT = {"UltralyticsDetectorProvider", "FaceDetailer"}


class Interrupted(Exception):
    """Somebody asked to stop."""


DROPPED = {
    "22": {
        "errors": [{"type": "custom_validation_failed", "message": "Custom validation failed", "details": "image"}],
        "dependent_outputs": ["22"],
        "class_type": "SaveImage",
    }
}
"""What the server says of an output that it leaves out of a prompt it accepts."""
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def refusal(kind, message, details="", more=None):
    """The answer to a prompt of which nothing can run."""
    return {
        "error": {"type": kind, "message": message, "details": details, "extra_info": more or {}},
        "node_errors": {},
    }


NO_PROMPT = refusal("no_prompt", "No prompt provided", "No prompt provided")


class FakeComfyUI:
    """The server's state, its answers, and the thread that executes prompts."""

    def __init__(self, *, quirks=(), seconds_per_step=0.0, nodes=frozenset(NODES)):
        self.quirks = set(quirks)
        self.seconds_per_step = seconds_per_step
        self.nodes = set(nodes)
        self.files = {}
        self.history = {}
        self.pending = deque()
        self.running = None
        self.interrupted = threading.Event()
        self.closing = threading.Event()
        self.sockets = {}
        self.cache = {}
        self.requests = []
        self.finished_at_submit = []
        self.executed = 0
        self.number = 0
        self.loop = None
        self.guard = threading.Lock()
        self.system = {
            "comfyui_version": "0.3.64",
            "python_version": "3.12.3 (main, May  9 2026) [GCC 12.2.0]",
            "pytorch_version": "2.8.0+cu128",
            "argv": ["main.py", "--listen", "127.0.0.1", "--port", "8188"],
        }
        self.device = "cuda:0 NVIDIA"
        self.folders = {}
        """Where its files are, by kind."""

    def app(self):
        get, post = {"methods": ["GET"]}, {"methods": ["POST"]}
        routes = [
            Route("/prompt", self.post_prompt, **post),
            Route("/queue", self.get_queue, **get),
            Route("/queue", self.post_queue, **post),
            Route("/history/{key}", self.get_history, **get),
            Route("/view", self.view, **get),
            Route("/upload/image", self.upload, **post),
            Route("/interrupt", self.interrupt, **post),
            Route("/object_info/{kind}", self.object_info, **get),
            Route("/system_stats", self.system_stats, **get),
            Route("/internal/folder_paths", self.folder_paths, **get),
        ]
        if "no_websocket" not in self.quirks:
            routes.append(WebSocketRoute("/ws", self.websocket))
        if "html" in self.quirks:
            routes = [Route("/{path:path}", lambda _: HTMLResponse("<title>router</title>"), methods=["GET", "POST"])]
        threading.Thread(target=self.work, daemon=True).start()
        return Starlette(routes=routes)

    # what a client asks

    async def post_prompt(self, request):
        body = await request.json()
        self.requests.append(body)
        graph = body.get("prompt")
        refused = self.refuse_prompt(graph, body.get("prompt_id")) if graph is not None else NO_PROMPT
        if refused:
            return JSONResponse(refused, 400)
        ends = [name for name, node in graph.items() if node["class_type"] in OUTPUT_NODES]
        outputs, wrong, details = check_prompt(graph, NODES, ends, self.has_image)
        if not outputs:
            said = ("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
            return JSONResponse({**refusal(*said), "node_errors": wrong}, 400)
        with self.guard:
            self.number += 1
            self.finished_at_submit.append(len(self.history))
            key = body.get("prompt_id") or str(uuid.uuid4())
            number = float(body["number"]) if "number" in body else self.number
            number = -number if body.get("front") else number
            extra = {**body.get("extra_data", {}), **{n: body[n] for n in ("client_id",) if n in body}}
            self.pending.append([number, key, graph, extra, outputs])
        self.tell_status()
        errors = DROPPED if "drops_an_output" in self.quirks else {}
        return JSONResponse({"prompt_id": key, "number": number, "node_errors": {**errors, **wrong}})

    def refuse_prompt(self, graph, prompt_id):
        """The answer to a prompt that cannot run at all."""
        if self.is_newer and prompt_id is not None and not UUID.fullmatch(prompt_id):
            details = "prompt_id must be a UUID string in canonical lowercase hyphenated form"
            return refusal("invalid_prompt_id", "prompt_id must be a valid UUID", details)
        for key, node in graph.items():
            if "class_type" not in node:
                said = "Cannot execute because a node is missing the class_type property."
                return refusal("invalid_prompt", said, f"Node ID '#{key}'")
            if node["class_type"] not in self.nodes:
                title = node.get("_meta", {}).get("title", node["class_type"])
                if self.is_newer:
                    said = f"Node '{title}' not found. The custom node may not be installed."
                    more = {"node_id": key, "class_type": node["class_type"], "node_title": title}
                    return refusal("missing_node_type", said, f"Node ID '#{key}'", more)
                said = f"Cannot execute because node {node['class_type']} does not exist."
                return refusal("invalid_prompt", said, f"Node ID '#{key}'")
        if not any(node["class_type"] in OUTPUT_NODES for node in graph.values()):
            return refusal("prompt_no_outputs", "Prompt has no outputs")
        return None

    @property
    def is_newer(self):
        """Whether it answers as 0.38 does, in the words of its `server.py` and `execution.py`."""
        return tuple(map(int, self.system["comfyui_version"].split(".")[:2])) >= (0, 38)

    def has_image(self, name):
        """Whether `folder/name [type]` was uploaded."""
        place, _, kind = str(name).partition(" [")
        folder, _, file = place.rpartition("/")
        return (kind.removesuffix("]") or "input", folder, file) in self.files

    async def get_queue(self, _request):
        with self.guard:
            running = [self.running] if self.running else []
            return JSONResponse({"queue_running": running, "queue_pending": list(self.pending)})

    async def post_queue(self, request):
        wanted = (await request.json()).get("delete", [])
        with self.guard:
            self.pending = deque(one for one in self.pending if one[1] not in wanted)
        return Response()

    async def get_history(self, request):
        key = request.path_params["key"]
        return JSONResponse({key: self.history[key]} if key in self.history else {})

    async def view(self, request):
        asked = request.query_params
        if ".." in asked["filename"] or asked["type"] not in {"output", "temp", "input"}:
            return Response(status_code=400)
        data = self.files.get((asked["type"], asked.get("subfolder", ""), asked["filename"]))
        if data is None:
            return Response(status_code=404)
        return Response(data[: len(data) // 2] if "truncated" in self.quirks else data, media_type="image/png")

    async def upload(self, request):
        async with request.form() as form:
            image = form["image"]
            kind, folder = form.get("type", "input"), form.get("subfolder", "")
            self.files[kind, folder, image.filename] = await image.read()
            return JSONResponse({"name": image.filename, "subfolder": folder, "type": kind})

    async def interrupt(self, request):
        asked = json.loads(await request.body() or b"{}")
        if self.running and asked.get("prompt_id") in (None, self.running[1]):
            self.interrupted.set()
        return Response()

    async def object_info(self, request):
        kind = request.path_params["kind"]
        if kind not in self.nodes:
            return JSONResponse({})
        required = {}
        for name, known in NODES[kind].items():
            is_list = isinstance(known, list)
            is_new = "new_lists" in self.quirks or kind in NEW_LISTS
            listed = ["COMBO", {"options": known}] if is_new else [known]
            required[name] = listed if is_list else ["INT", {"default": known}]
        order = {"required": list(required)}
        is_output = kind in OUTPUT_NODES
        about = {"input": {"required": required}, "input_order": order, "name": kind, "output_node": is_output}
        return JSONResponse({kind: about})

    async def system_stats(self, _request):
        device = {"name": self.device, "type": "cuda", "vram_total": 1}
        return JSONResponse({"system": {"os": "posix", **self.system}, "devices": [device]})

    async def folder_paths(self, _request):
        return JSONResponse(self.folders)

    async def websocket(self, socket):
        await socket.accept()
        self.loop = asyncio.get_running_loop()
        self.sockets[socket.query_params["clientId"]] = socket
        told = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": socket.query_params["clientId"]}
        await socket.send_json({"type": "status", "data": told})
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                said = json.loads(await socket.receive_text())
                if said.get("type") == "feature_flags":
                    await socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})

    # what happens in the meantime

    def tell_status(self):
        """How much there is to do, to everybody."""
        left = len(self.pending) + (self.running is not None)
        message = json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": left}}}})
        for socket in list(self.sockets.values()):
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(socket.send_text(message), self.loop)

    def tell_progress(self, done, current):
        """What `progress_state` says of every node that was begun."""
        key = self.running[1]
        nodes = {
            name: {
                "value": float(name != current), "max": 1.0, "state": "running" if name == current else "finished",
                "node_id": name, "prompt_id": key, "display_node_id": name, "parent_node_id": None,
                "real_node_id": name,
            }
            for name in [*done, current]
        }  # fmt: skip
        self.send("progress_state", nodes=nodes)

    def send(self, kind, **data):
        client = self.running[3].get("client_id")
        message = json.dumps({"type": kind, "data": {**data, "prompt_id": self.running[1]}})
        self.deliver(client, message)

    def deliver(self, client, message):
        socket = self.sockets.get(client)
        if socket is None:
            return
        send = socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(send, self.loop).result(5)

    def work(self):
        while not self.closing.is_set():
            with self.guard:
                self.running = self.pending.popleft() if self.pending else None
            if self.running is None:
                time.sleep(0.002)
                continue
            if "forgets" in self.quirks:
                self.running = None
                continue
            self.interrupted.clear()
            self.execute(*self.running)
            with self.guard:
                self.running = None

    def execute(self, number, key, graph, extra, outputs):
        self.executed += 1
        messages, found, done = [], {}, []

        def say(kind, **data):
            data = {**data, "prompt_id": key, "timestamp": int(time.time() * 1000)}
            messages.append([kind, data])
            self.send(kind, **{name: value for name, value in data.items() if name != "prompt_id"})

        say("execution_start")
        signatures = {name: self.signature(graph, name) for name in graph}
        cached = [name for name in graph if signatures[name] in self.cache]
        say("execution_cached", nodes=cached)
        is_whole = False
        current = None
        try:
            values = {name: self.cache[signatures[name]][0] for name in cached}
            for current in self.order(graph, outputs):
                if current not in values:
                    self.tell_progress(done, current)
                    self.send("executing", node=current, display_node=current)
                    values[current] = self.run_node(graph, current, values)
                    self.cache[signatures[current]] = (values[current],)
                    done.append(current)
                if current in outputs and values[current]:
                    found[current] = values[current]
                    self.send("executed", node=current, display_node=current, output=found[current])
            say("execution_success")
            is_whole = True
        except Interrupted:
            say("execution_interrupted", node_id=current, node_type=graph[current]["class_type"], executed=done)
        except Exception as error:
            kind = type(error)
            say(
                "execution_error", node_id=current, node_type=graph[current]["class_type"], executed=done,
                exception_message=f"{error}\n", traceback=[], current_inputs={}, current_outputs=[],
                exception_type=kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}",
            )  # fmt: skip
        named = {"node_id", "display_node", "real_node_id"}
        self.history[key] = {
            "prompt": [number, key, graph, extra, outputs],
            "outputs": found if is_whole else {},
            "status": {
                "status_str": "success" if is_whole else "error", "completed": is_whole, "messages": messages,
            },
            "meta": {node: {**dict.fromkeys(named, node), "parent_node": None} for node in found if is_whole},
        }  # fmt: skip
        self.send("executing", node=None)
        self.tell_status()

    def order(self, graph, outputs):
        """The nodes that the outputs need, each after those that feed it."""
        done = []

        def visit(name):
            for value in graph[name]["inputs"].values():
                if isinstance(value, list):
                    visit(value[0])
            if name not in done:
                done.append(name)

        for name in outputs:
            visit(name)
        return done

    def signature(self, graph, name):
        """What a node's outcome follows from: its class, its own values, and the nodes behind it."""
        node = graph[name]
        inputs = {
            key: self.signature(graph, value[0]) if isinstance(value, list) else value
            for key, value in node["inputs"].items()
        }
        told = json.dumps([node["class_type"], inputs], sort_keys=True)
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def run_node(self, graph, name, values):
        node = graph[name]
        inputs = {key: values[value[0]] if isinstance(value, list) else value for key, value in node["inputs"].items()}
        if f"fails_{self.executed}" in self.quirks and "steps" in inputs:
            raise ValueError("mat1 and mat2 shapes cannot be multiplied")
        if "out_of_memory" in self.quirks and "steps" in inputs:
            raise type("OutOfMemoryError", (RuntimeError,), {})("Allocation on device 0 would exceed allowed memory.")
        kind = node["class_type"]
        if kind in ("KSampler", "FaceDetailer", "SamplerCustomAdvanced"):
            self.take_time(name, inputs)
            return self.sample(kind, inputs)
        if kind in OUTPUT_NODES:
            return self.save(kind, inputs["images"], graph, name)
        simple = {
            "EmptyLatentImage": lambda: Image.new("RGB", (inputs["width"], inputs["height"])),
            "LatentUpscaleBy": lambda: scaled(inputs["samples"], inputs["scale_by"]),
            "VAEDecode": lambda: inputs["samples"],
            "VAEEncode": lambda: inputs["pixels"],
            "LoadImage": lambda: self.load(inputs["image"]),
            "ImageScale": lambda: inputs["image"].resize((inputs["width"], inputs["height"])),
            "ImageUpscaleWithModel": lambda: scaled(inputs["image"], 4),
            "PrimitiveInt": lambda: inputs["value"],
            "PrimitiveString": lambda: inputs["value"],
        }
        return simple[kind]() if kind in simple else told_by(inputs)

    def load(self, name):
        return Image.open(io.BytesIO(self.files[place_of(name)])).convert("RGB")

    def take_time(self, name, inputs):
        steps = inputs.get("steps", 4)
        for step in range(steps):
            if self.interrupted.is_set():
                raise Interrupted
            while "hangs" in self.quirks and not (self.interrupted.is_set() or self.closing.is_set()):
                time.sleep(0.01)
            time.sleep(self.seconds_per_step)
            if "drops_websocket" in self.quirks and step == 1:
                for socket in self.sockets.values():
                    asyncio.run_coroutine_threadsafe(socket.close(), self.loop).result(5)
                self.sockets = {}
            self.send("progress", value=step + 1, max=steps, node=name)
            if "previews" in self.quirks:
                self.deliver(
                    self.running[3].get("client_id"), struct.pack(">II", 1, 2) + png(Image.new("RGB", (16, 12)))
                )

    def sample(self, kind, inputs):
        image = inputs.get("latent_image") or inputs.get("image")
        told = told_by({key: value for key, value in inputs.items() if not isinstance(value, Image.Image)})
        colour = tuple(hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()[:3])
        if inputs.get("denoise", 1.0) >= 1.0:
            return ImageOps.colorize(Image.radial_gradient("L").resize(image.size), colour, "white")
        return Image.blend(image, Image.new("RGB", image.size, colour), 0.3)

    def save(self, kind, image, graph, name):
        """Files as the node writes them, and what it says of them."""
        if kind == "SaveImageWebsocket":
            return {}
        images = [ImageChops.offset(image, 3 * number, 0) for number in range(self.batch_of(graph, name))]
        carried = {key: self.with_changes(node) for key, node in graph.items()}
        if kind == "SaveWEBM":
            text = json.dumps(carried)
            return {"images": [self.keep("output", "webm", make_webm({"prompt": text}))], "animated": [True]}
        if kind == "SaveAnimatedWEBP":
            buffer = io.BytesIO()
            images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:])
            return {"images": [self.keep("output", "webp", buffer.getvalue())], "animated": [len(images) != 1]}
        place = "temp" if kind == "PreviewImage" else "output"
        files = [png(picture, prompt=json.dumps(carried), node=name) for picture in images]
        return {"images": [self.keep(place, "png", data) for data in files]}

    def keep(self, place, ending, data):
        filename = f"ComfyUI_{len(self.files):05}_.{ending}"
        self.files[place, "", filename] = data
        return {"filename": filename, "subfolder": "", "type": place}

    def with_changes(self, node):
        """A node as images carry it: LoadImage has the SHA-256 of what it loaded."""
        if node["class_type"] != "LoadImage":
            return node
        data = self.files.get(place_of(node["inputs"]["image"]), b"")
        return {**node, "is_changed": [hashlib.sha256(data).hexdigest()]}

    def batch_of(self, graph, name):
        inputs = graph[name]["inputs"]
        behind = [self.batch_of(graph, value[0]) for value in inputs.values() if isinstance(value, list)]
        return max([inputs.get("batch_size", 1), *behind])


def place_of(name):
    """The key of a file that LoadImage is given as `folder/name [type]`."""
    path, _, kind = name.removesuffix("]").rpartition(" [")
    folder, _, filename = path.rpartition("/")
    return kind, folder, filename


@contextlib.contextmanager
def serving(fake, port=0):
    """The address of a running server."""
    with live_server(fake.app(), ws="websockets-sansio", port=port) as address:
        try:
            yield address
        finally:
            fake.closing.set()


def told_by(inputs):
    """A text that is another one when anything that reached a node is."""
    told = {key: value for key, value in inputs.items() if not isinstance(value, Image.Image)}
    return json.dumps(told, sort_keys=True)


def scaled(image, factor):
    return image.resize((round(image.width * factor), round(image.height * factor)))


def png(image, **texts):
    buffer, info = io.BytesIO(), PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()
