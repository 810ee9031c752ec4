"""A stand-in for InvokeAI: real HTTP, the fields of the OpenAPI of 6.14.2 and of what that version answered, no GPU.

It takes graphs of the nodes below, refuses others as FastAPI does, and works its queue in a thread of its own. Pictures
are drawn from what stands in the graph, so that another setting gives another picture.
"""

import contextlib
import hashlib
import io
import json
import threading
import time
import uuid
from datetime import UTC, datetime

from PIL import Image
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.engines.live_server import live_server

NODES = {
    "main_model_loader", "sdxl_model_loader", "compel", "sdxl_compel_prompt", "noise", "denoise_latents", "l2i",
    "blank_image", "img_noise",
}  # fmt: skip
IMAGES = {"l2i", "blank_image", "img_noise"}
NAMES = [("dreamshaper-8", "sd-1", "main"), ("juggernaut-xl", "sdxl", "main"), ("flux-schnell", "flux", "main")]
MODELS = [
    {"key": f"k-{place}", "hash": f"blake3:{str(place) * 64}", "name": name, "base": base, "type": kind, "path": "m"}
    for place, (name, base, kind) in enumerate([*NAMES, ("ink", "sd-1", "lora")], 1)
]


class FakeInvokeAI:
    """The server's state, and its answers."""

    def __init__(self, *, quirks=(), seconds=0.0, models=MODELS):
        self.quirks = set(quirks)
        self.seconds = seconds
        self.models = models
        self.version = "6.14.2"
        self.packages = {"torch": "2.13.0", "diffusers": "0.40.0", "numpy": "1.26.4", "absl-py": "2.5.1"}
        self.device = "cpu"
        self.items = {}
        self.files = {}
        self.graphs = []
        self.looks = 0
        """How often somebody listed its queue."""
        self.turn = threading.Lock()

    def app(self):
        get, post, put = ({"methods": [name]} for name in ("GET", "POST", "PUT"))
        queue = "/api/v1/queue/default"
        return Starlette(
            routes=[
                Route("/api/v1/app/version", self.answer(lambda: {"version": self.version}), **get),
                Route("/api/v1/app/app_deps", self.answer(lambda: self.packages), **get),
                Route("/api/v2/models/", self.answer(lambda: {"models": self.models}), **get),
                Route(f"{queue}/enqueue_batch", self.enqueue, **post),
                Route(f"{queue}/item_ids", self.item_ids, **get),
                Route(f"{queue}/i/{{item:int}}", self.item, **get),
                Route(f"{queue}/i/{{item:int}}/cancel", self.cancel, **put),
                Route("/api/v1/images/i/{name}/full", self.image, **get),
            ]
        )

    @staticmethod
    def answer(value):
        async def give(_request):
            return JSONResponse(value())

        return give

    async def enqueue(self, request):
        batch = (await request.json())["batch"]
        graph = batch["graph"]
        for name, node in graph["nodes"].items():
            if node["type"] not in NODES:
                error = {
                    "type": "union_tag_invalid",
                    "loc": ["body", "batch", "graph", "nodes", name],
                    "msg": f"Input tag '{node['type']}' found using 'type' does not match any of the expected tags",
                }
                return JSONResponse({"detail": [error]}, 422)
        self.graphs.append(graph)
        number = len(self.items) + 1
        self.items[number] = {
            "item_id": number, "status": "pending", "origin": batch.get("origin"), "error_type": None,
            "error_message": None, "device": None, "started_at": None, "completed_at": None,
            "session": {"graph": graph, "executed_history": [], "results": {}, "prepared_source_mapping": {}},
        }  # fmt: skip
        threading.Thread(target=self.work, args=(number,), daemon=True).start()
        return JSONResponse({"queue_id": "default", "enqueued": 1, "requested": 1, "item_ids": [number]}, 201)

    async def item_ids(self, request):
        self.looks += 1
        ids = sorted(self.items, reverse=request.query_params.get("order_dir", "DESC") == "DESC")
        return JSONResponse({"item_ids": ids, "total_count": len(ids)})

    async def item(self, request):
        found = self.items.get(request.path_params["item"])
        return JSONResponse(found) if found else JSONResponse({"detail": "Queue item not found"}, 404)

    async def cancel(self, request):
        found = self.items[request.path_params["item"]]
        if found["status"] in ("pending", "in_progress"):
            found["status"] = "canceled"
        return JSONResponse(found)

    async def image(self, request):
        data = self.files.get(request.path_params["name"])
        return Response(data, media_type="image/png") if data else Response(status_code=404)

    def work(self, number):
        item = self.items[number]
        with self.turn:
            if item["status"] == "canceled":
                return
            item |= {"status": "in_progress", "device": self.device, "started_at": moment()}
            end = time.monotonic() + self.seconds
            while time.monotonic() < end and item["status"] == "in_progress":
                time.sleep(0.01)
            if item["status"] != "in_progress":
                return
            item["completed_at"] = moment()
            if "fails" in self.quirks:
                item |= {"status": "failed", "error_type": "ImageRecordNotFoundException", "error_message": "gone"}
            elif "out_of_memory" in self.quirks:
                item |= {"status": "failed", "error_type": "OutOfMemoryError", "error_message": "CUDA out of memory."}
            else:
                self.finish(item)
                item["status"] = "canceled" if "cancelled_by_somebody" in self.quirks else "completed"

    def finish(self, item):
        graph, session = item["session"]["graph"], item["session"]
        for name, node in graph["nodes"].items():
            session["executed_history"].append(name)
            if node["type"] in IMAGES and "makes_none" not in self.quirks:
                prepared, image = str(uuid.uuid4()), f"{uuid.uuid4()}.png"
                self.files[image] = draw(graph)
                session["prepared_source_mapping"][prepared] = name
                session["results"][prepared] = {"type": "image_output", "image": {"image_name": image}}


def moment():
    """The time as InvokeAI's database has it: UTC, without an offset."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def draw(graph):
    """A picture that another value anywhere in the graph makes another one."""
    told = json.dumps(graph["nodes"], sort_keys=True)
    size = next(
        ((node.get("width", 512), node.get("height", 512)) for node in graph["nodes"].values() if "width" in node),
        (512, 512),
    )
    colour = tuple(hashlib.sha256(told.encode()).digest()[:3])
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def serving(fake, port=0):
    """The address of a running server."""
    with live_server(fake.app(), port=port) as address:
        yield address
