"""A program that calls a custom node as ComfyUI 0.3.64 does: python fake_comfyui.py NODE_FOLDER OUTPUT_FOLDER WHAT

Built from `server.py` (trigger_on_prompt, post_prompt), `execution.py` (PromptQueue) and `folder_paths.py`; of aiohttp
it has what a middleware needs.
"""

import asyncio
import functools
import importlib.util
import json
import os
import signal
import sys
import time
import types
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

NODE, OUTPUT, WHAT = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
DIRECTORIES = {"output": OUTPUT / "output", "temp": OUTPUT / "temp", "input": OUTPUT / "input"}
for directory in DIRECTORIES.values():
    directory.mkdir(parents=True, exist_ok=True)


class PromptQueue:
    def __init__(self):
        self.history, self.running, self.pending = {}, {}, []

    def get_current_queue(self):
        raise AssertionError("it copies the whole queue, graphs and all, under the lock of the server")

    def get_current_queue_volatile(self):
        return list(self.running.values()), list(self.pending)

    def get_history(self, prompt_id=None, max_items=None, offset=-1):
        if prompt_id is None:
            return dict(list(self.history.items())[-(max_items or 1000) :])
        return {prompt_id: self.history[prompt_id]} if prompt_id in self.history else {}


REFUSAL = {
    "error": {
        "type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": "",
        "extra_info": {},
    },
    "node_errors": {
        "4": {
            "errors": [
                {
                    "type": "value_not_in_list", "message": "Value not in list",
                    "details": "ckpt_name: 'gone' not in ['tiny.safetensors']", "extra_info": {},
                }
            ],
            "dependent_outputs": ["9"],
            "class_type": "CheckpointLoaderSimple",
        }
    },
}  # fmt: skip


class PromptServer:
    def __init__(self):
        self.prompt_queue, self.handlers = PromptQueue(), []
        self.app = types.SimpleNamespace(middlewares=[])

    def add_on_prompt_handler(self, handler):
        self.handlers.append(handler)

    def submit(self, graph, *, honours_ids=True, **more):
        json_data = {"prompt": graph, "client_id": "browser", **more}
        for handler in self.handlers:
            json_data = handler(json_data)
        key = str(json_data.get("prompt_id")) if honours_ids else str(uuid.uuid4())
        item = (len(self.prompt_queue.history), key, json_data["prompt"], {}, ["9"])
        if all(isinstance(node, dict) for node in graph.values()):  # anything else is refused and never runs
            self.prompt_queue.running = {0: item}
        return key, item

    def post(self, json_data, status=400):
        """Answer POST /prompt: a prompt that is refused, or with 200 one of which a part is left out."""

        async def refuse(_request):
            for handler in self.handlers:
                handler(json_data)
            return types.SimpleNamespace(status=status, body=json.dumps(REFUSAL).encode())

        async def answer():
            call = refuse
            for middleware in reversed(self.app.middlewares):
                call = functools.partial(middleware, handler=call)
            return await call(object())

        return asyncio.run(answer())

    def finish(self, key, item, outputs, status="success", messages=()):
        state = {"status_str": status, "completed": status == "success", "messages": list(messages)}
        self.prompt_queue.running = {}
        self.prompt_queue.history[key] = {"prompt": item, "outputs": outputs, "status": state, "meta": {}}


class Tensor:
    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def cpu(self):
        return self

    def numpy(self):
        return self.array


def module(name, **fields):
    made = types.ModuleType(name)
    vars(made).update(fields)
    sys.modules[name] = made


server = PromptServer()
PromptServer.instance = server
module("server", PromptServer=PromptServer)
module("aiohttp", web=types.SimpleNamespace(middleware=lambda function: function))
module("comfyui_version", __version__="0.3.64")
module(
    "folder_paths",
    get_directory_by_type=lambda kind: str(DIRECTORIES[kind]),
    folder_names_and_paths={
        "custom_nodes": ([str(NODE.parent)], set()),
        "checkpoints": ([str(OUTPUT / "checkpoints")], {".safetensors"}),
    },
    get_temp_directory=lambda: str(DIRECTORIES["temp"]),
    get_save_image_path=lambda prefix, folder, width, height: (folder, prefix, 1, "", prefix),
)


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def graph_of(seed, **more):
    return {
        "3": node(
            "KSampler", seed=seed, steps=20, cfg=8.0, sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
            model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="sdxl/sd_xl_base_1.0.safetensors"),
        "5": node("EmptyLatentImage", width=64, height=48, batch_size=1),
        "6": node("CLIPTextEncode", text="a quiet harbour", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="fog", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
        **more,
    }  # fmt: skip


def save(kind, name, colour):
    Image.new("RGB", (64, 48), (colour % 256, 90, 120)).save(DIRECTORIES[kind] / name)
    return {"filename": name, "subfolder": "", "type": kind}


spec = importlib.util.spec_from_file_location("stablenew_recorder", NODE / "__init__.py")
package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
honours_ids = WHAT != "old server"
if WHAT in ("prompts", "old server"):
    for seed in (2**64 - 1, 12):
        graph = graph_of(seed)
        key, item = server.submit(graph, honours_ids=honours_ids)
        time.sleep(0.3)
        shown = {"images": [save("temp", f"preview_{seed}.png", 7)]}
        server.finish(key, item, {"9": {"images": [save("output", f"ComfyUI_{seed}_.png", seed)]}, "10": shown})
        time.sleep(0.6)
    again, item = server.submit(graph, honours_ids=honours_ids)
    server.finish(again, item, {"9": {"images": [{"filename": "ComfyUI_12_.png", "subfolder": "", "type": "output"}]}})
elif WHAT == "failures":
    key, item = server.submit(graph_of(1))
    about = {"node_id": "3", "node_type": "KSampler", "exception_type": "ValueError", "exception_message": "mat1"}
    server.finish(key, item, {}, "error", [["execution_error", about]])
    time.sleep(0.6)
    key, item = server.submit(graph_of(2))
    server.finish(key, item, {}, "error", [["execution_interrupted", {"node_id": "3"}]])
    server.submit({"not": "a graph"})
elif WHAT == "refused":
    answer = server.post({"prompt": graph_of(6)})
    assert json.loads(answer.body) == REFUSAL, "the answer goes on as it is"
    server.post({"prompt": graph_of(7), "extra_data": {"stablenew": {"is_recorded": True}}})
elif WHAT == "partly":
    json_data = {"prompt": graph_of(8)}
    server.post(json_data, status=200)
    key = json_data["prompt_id"]
    server.finish(key, (0, key, json_data["prompt"], {}, ["9"]), {"9": {"images": [save("output", "half.png", 8)]}})
elif WHAT == "ours":
    key, item = server.submit(graph_of(1), extra_data={"stablenew": {"is_recorded": True}})
    server.finish(key, item, {"9": {"images": [save("output", "ours.png", 1)]}})
    key, item = server.submit(graph_of(2), extra_data={"extra_pnginfo": {}})
    server.finish(key, item, {"9": {"images": [save("output", "theirs.png", 2)]}})
elif WHAT == "crash":
    server.submit(graph_of(3))
    server.prompt_queue.pending = [(1, "waiting", graph_of(4), {}, ["9"])]
    time.sleep(3.0)
    print("working", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
elif WHAT == "node":
    kind = package.NODE_CLASS_MAPPINGS["StableNewRecord"]
    assert kind.INPUT_TYPES()["required"] == {"images": ("IMAGE",)}
    graph = graph_of(5, **{"20": node("StableNewRecord", images=["8", 0], tags="portrait, keeper")})
    del graph["9"]
    key, item = server.submit(graph)
    images = [Tensor(np.full((48, 64, 3), 0.5)), Tensor(np.zeros((48, 64, 3)))]
    made = kind().record(images, "", graph, {"workflow": {}})
    server.finish(key, item, {"20": made["ui"]})
time.sleep(1.0)
print(json.dumps({"ok": True}))
