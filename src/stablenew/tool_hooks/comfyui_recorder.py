"""A custom node of ComfyUI that records every prompt, however it was submitted.

Written by `stablenew engines install comfyui DIR`. A prompt handler (`server.py`, `add_on_prompt_handler`) is called
with each prompt; its result is read from the queue's history. The recorder reads the very files that ComfyUI saved. The
node `StableNewRecord` is for what no other node saves, and for tags.
"""

from __future__ import annotations

import contextvars
import json
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import folder_paths
from aiohttp import web
from server import PromptServer

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER))
import stablenew_bridge  # noqa: E402  # it lies in that folder

harmless = stablenew_bridge.harmless
bridge = stablenew_bridge.Bridge(FOLDER / "stablenew.json")

_LOOK_SECONDS = 0.25
_FORGET_SECONDS = 60.0
_REMEMBERED = 100
_REFUSED = 400
_NO_MEDIA = (".latent", ".safetensors", ".json", ".txt")
"""Endings of files that no one looks at."""


class StableNewRecord:
    """Passes images on and has them recorded; `tags` are those of the whole run."""

    CATEGORY = "StableNew"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "record"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  # ComfyUI's name for it
        """What it takes, as ComfyUI wants to know it."""
        return {
            "required": {"images": ("IMAGE",)},
            "optional": {"tags": ("STRING", {"default": ""})},
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def record(self, images: Any, tags: str = "", prompt: Any = None, extra_pnginfo: Any = None) -> dict[str, Any]:
        """Save the images where ComfyUI keeps what it only shows, so that the recorder finds them."""
        del tags  # the recorder reads them in the workflow
        return {"ui": {"images": save_images(images, prompt, extra_pnginfo)}, "result": (images,)}


def save_images(images: Any, prompt: Any, extra_pnginfo: Any) -> list[dict[str, str]]:
    """Write images as SaveImage does, workflow included, into the temporary folder."""
    import numpy as np
    from PIL import Image, PngImagePlugin

    height, width = images[0].shape[0], images[0].shape[1]
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        "stablenew", folder_paths.get_temp_directory(), width, height
    )
    saved = []
    for number, image in enumerate(images):
        info = PngImagePlugin.PngInfo()
        if prompt is not None:
            info.add_text("prompt", json.dumps(prompt))
        for key, value in (extra_pnginfo or {}).items():
            info.add_text(key, json.dumps(value))
        pixels = np.clip(255.0 * image.cpu().numpy(), 0, 255).astype(np.uint8)
        filename = f"{name}_{counter + number:05}_.png"
        Image.fromarray(pixels).save(Path(folder) / filename, pnginfo=info, compress_level=4)
        saved.append({"filename": filename, "subfolder": subfolder, "type": "temp"})
    return saved


class _Watcher:
    """Waits for the prompts that were submitted to come out of the queue."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._pending: dict[str, tuple[Any, float]] = {}
        self._thread: threading.Thread | None = None
        self._told: list[str] = []
        self._begun: list[str] = []
        self._left_out: dict[str, Any] = {}
        """What ComfyUI said was wrong with the outputs that it left out of a prompt, by the prompt's id."""

    def watch(self, prompt_id: str, graph: Any) -> None:
        """Report a prompt when it begins and when it has ended."""
        with self._guard:
            self._pending[prompt_id] = (graph, time.monotonic())
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="stablenew-watch", daemon=True)
                self._thread.start()

    def note_left_out(self, prompt_id: str, errors: Any) -> None:
        """Report with the prompt that ComfyUI leaves a part of it out."""
        with self._guard:
            if prompt_id in self._pending:
                self._left_out[prompt_id] = errors

    def forget(self, prompt_id: str) -> None:
        """Do not wait for a prompt any longer."""
        with self._guard:
            self._pending.pop(prompt_id, None)
            self._left_out.pop(prompt_id, None)

    def _work(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            self._look()

    @harmless
    def _look(self) -> None:
        with self._guard:
            pending = dict(self._pending)
        running, waiting = _queued_ids() if pending else (set(), set())
        for prompt_id, (graph, since) in pending.items():
            if prompt_id in running:
                self._report_begin(prompt_id, graph)
            if prompt_id in running or prompt_id in waiting:
                continue
            is_done = self._look_for(prompt_id, graph)
            if is_done or time.monotonic() - since > _FORGET_SECONDS:
                self.forget(prompt_id)

    def _report_begin(self, prompt_id: str, graph: Any) -> None:
        """Report what ComfyUI works on, once: if it crashes, the recorder knows what was lost."""
        if prompt_id not in self._begun:
            self._begun = [*self._begun[-_REMEMBERED:], prompt_id]
            bridge.send(do="begin", tool="comfyui", version=version(), prompt_id=prompt_id, graph=graph)

    @harmless
    def _look_for(self, prompt_id: str, graph: Any) -> bool:
        """Report a prompt if it has ended. One that cannot be reported is done as well, and stops none after it."""
        key = self._find_id(prompt_id, graph)
        if key is not None:
            self._told = [*self._told[-_REMEMBERED:], key]
            entry = PromptServer.instance.prompt_queue.get_history(prompt_id=key)[key]
            report(graph, entry, prompt_id, self._left_out.get(prompt_id))
        return key is not None

    def _find_id(self, prompt_id: str, graph: Any) -> str | None:
        """Under which id the history has a prompt: an older ComfyUI gives it one of its own."""
        queue = PromptServer.instance.prompt_queue
        if prompt_id in queue.get_history(prompt_id=prompt_id):
            return prompt_id
        for other, found in queue.get_history(max_items=8).items():
            if other not in self._told and found["prompt"][2] == graph:
                return str(other)
        return None


def _queued_ids() -> tuple[set[str], set[str]]:
    """The ids of what runs and of what waits, without a copy of the whole queue where the server can do that."""
    queue = PromptServer.instance.prompt_queue
    running, waiting = getattr(queue, "get_current_queue_volatile", queue.get_current_queue)()
    return {str(item[1]) for item in running}, {str(item[1]) for item in waiting}


@harmless
def report(graph: Any, entry: Any, prompt_id: str = "", left_out: Any = None) -> None:
    """Tell the recorder what a prompt was, the files that its nodes saved, and what ComfyUI left out of it."""
    images = []
    for node, output in (entry.get("outputs") or {}).items():
        animated = output.get("animated") if isinstance(output, dict) else None
        is_animated = bool(animated and any(animated)) if isinstance(animated, (list, tuple)) else bool(animated)
        for fields in find_files(output):
            described = describe_file(fields, str(node))
            if described is not None:
                images.append({**described, "animated": is_animated or fields in (output.get("gifs") or ())})
    status = entry.get("status") or {}
    bridge.send(
        do="prompt",
        tool="comfyui",
        version=version(),
        prompt_id=prompt_id,
        graph=graph,
        images=images,
        inputs=find_inputs(graph),
        surroundings=describe_surroundings(),
        status=status.get("status_str") or "success",
        messages=status.get("messages") or [],
        left_out=left_out,
    )


def find_files(output: Any) -> list[dict[str, Any]]:
    """The files among what a node shows, under whatever name: images, and the videos and sounds of other nodes."""
    lists = [value for value in output.values() if isinstance(value, (list, tuple))] if isinstance(output, dict) else []
    entries = [entry for value in lists for entry in value if isinstance(entry, dict)]
    names = [(entry, entry.get("filename")) for entry in entries]
    return [entry for entry, name in names if isinstance(name, str) and name and not name.endswith(_NO_MEDIA)]


@harmless
def describe_file(fields: dict[str, Any], node: str) -> dict[str, Any] | None:
    """Where a file lies, and what it is like now: written again, it has another size or time."""
    kind = fields.get("type") or "output"
    folder = folder_paths.get_directory_by_type(kind)
    if not folder:
        return None
    path = (Path(folder) / (fields.get("subfolder") or "") / fields["filename"]).resolve()
    return {"path": str(path), "type": kind, "node": node, **stablenew_bridge.identify(path)}


def find_inputs(graph: Any) -> list[dict[str, str]]:
    """Where the images lie that a workflow loads."""
    find = getattr(folder_paths, "get_annotated_filepath", None)
    found = []
    for node in graph.values() if find and isinstance(graph, dict) else ():
        name = (node.get("inputs") or {}).get("image") if isinstance(node, dict) else None
        if isinstance(name, str) and "LoadImage" in str(node.get("class_type")):
            path = harmless(find)(name)
            if path:
                found.append({"name": name, "path": str(path)})
    return found


@harmless
def describe_surroundings() -> dict[str, Any]:
    """What images depend on beside the workflow, as far as this process knows it; the recorder reads the rest."""
    torch = sys.modules.get("torch")
    folders = getattr(folder_paths, "folder_names_and_paths", {})
    return {
        "folders": {kind: [str(path) for path in found[0]] for kind, found in folders.items()},
        "python": sys.version.split()[0],
        "torch": str(getattr(torch, "__version__", "")),
        "device": torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else "cpu",
        "arguments": sys.argv,
    }


def version() -> str:
    """ComfyUI's own version, if it says one."""
    try:
        import comfyui_version
    except ImportError:
        return ""
    return str(getattr(comfyui_version, "__version__", ""))


watcher = _Watcher()
_submitted: contextvars.ContextVar[list[tuple[str, Any]] | None] = contextvars.ContextVar("submitted", default=None)
"""The prompts that the request being answered submits: ComfyUI gives one it refuses no place in queue or history."""


@harmless
def note_prompt(json_data: Any) -> None:
    """Remember a prompt that was submitted, under an id that we know; not one that StableNew records itself."""
    mark = (json_data.get("extra_data") or {}).get("stablenew") or {}
    if "prompt" in json_data and not mark.get("is_recorded"):
        prompt_id = str(json_data.setdefault("prompt_id", str(uuid.uuid4())))
        watcher.watch(prompt_id, json_data["prompt"])
        submitted = _submitted.get()
        if submitted is not None:
            submitted.append((prompt_id, json_data["prompt"]))


def on_prompt(json_data: Any) -> Any:
    """Hear of a prompt, and let it go on as it is."""
    note_prompt(json_data)
    return json_data


@web.middleware
async def see_refusals(request: Any, handler: Any) -> Any:
    """Let a request be answered, and report the prompts in it that the answer refuses, or takes only in part."""
    submitted: list[tuple[str, Any]] = []
    _submitted.set(submitted)
    response = await handler(request)
    if submitted and response.status == _REFUSED:
        report_refusal(submitted, response)
    elif submitted:
        note_left_out(submitted, response)
    return response


@harmless
def note_left_out(submitted: list[tuple[str, Any]], response: Any) -> None:
    """Remember which nodes ComfyUI found at fault in a prompt that it accepted all the same."""
    errors = json.loads(response.body).get("node_errors")
    for prompt_id, _ in submitted if errors else ():
        watcher.note_left_out(prompt_id, errors)


@harmless
def report_refusal(submitted: list[tuple[str, Any]], response: Any) -> None:
    """Report prompts that ComfyUI refused, with its reason."""
    for prompt_id, graph in submitted:
        watcher.forget(prompt_id)
        reason = json.loads(response.body)
        bridge.send(
            do="prompt",
            tool="comfyui",
            version=version(),
            prompt_id=prompt_id,
            graph=graph,
            status="refused",
            refusal=reason,
        )


@harmless
def listen() -> None:
    """Be told of prompts, and of the answers to them."""
    PromptServer.instance.add_on_prompt_handler(on_prompt)
    PromptServer.instance.app.middlewares.append(see_refusals)


listen()

NODE_CLASS_MAPPINGS = {"StableNewRecord": StableNewRecord}
NODE_DISPLAY_NAME_MAPPINGS = {"StableNewRecord": "Record (StableNew)"}
