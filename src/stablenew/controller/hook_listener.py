"""The recorder behind the hooks in other programs: what they tell, line by line on standard input, becomes runs.

`python -m stablenew.controller.hook_listener --runs-dir DIR`. It ends when nobody can tell it anything any more; what
was begun then is sealed with what it has. A line that it cannot use is said on standard error, and the next is read.
"""

import argparse
import json
import logging
import signal
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.engines.comfyui.graph import Graph, check_graph, find_bindings, read_values
from stablenew.engines.comfyui.prompt import ComfyUIPrompt
from stablenew.formats.digest import digest_bytes
from stablenew.formats.prompt_text import find_loras, parse_infotext
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import attempt, describe
from stablenew.store.run_store import RunStore

_log = logging.getLogger("stablenew")
_REMEMBERED: Final = 100_000
_TAG_NODE: Final = "StableNewRecord"
_STATUS: Final = {"success": "completed", "error": "failed"}


class ToolRecorder:
    """Turns what hooks tell into runs."""

    def __init__(self, runs_dir: Path | str) -> None:
        self._store = RunStore(runs_dir)
        self._open: dict[str, RunRecorder] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        """Digests of ComfyUI's images: a cached node reports its old files with every prompt."""

    def handle(self, message: Mapping[str, Any]) -> None:
        """Take in one message.

        Raises:
            ValueError: nothing we know.
            OSError: an image that is not there any more.
        """
        does = {"start": self._start, "image": self._image, "finish": self._finish, "prompt": self._prompt}
        if message.get("do") not in does:
            raise ValueError(f"a message that is none: do={message.get('do')!r}")
        does[str(message["do"])](message)

    def close(self) -> None:
        """Seal what is still open, as cancelled: the program ended in its middle."""
        for run in self._open.values():
            run.finish("cancelled")
        self._open.clear()

    def _start(self, message: Mapping[str, Any]) -> None:
        run = self._new_run(message, message.get("config") or {}, total=message.get("total"))
        self._open[str(message["run"])] = run  # its folder is made with its first image: some save none

    def _image(self, message: Mapping[str, Any]) -> None:
        """One image of a WebUI, with the text it carries: a record of its own, as each may have another prompt."""
        run = self._open.get(str(message.get("run")))
        if run is None:
            with self._new_run(message, message.get("settings") or {}) as alone:
                _record_webui_image(alone, message)
            return
        if run.run is None:
            run.start()
        _record_webui_image(run, message)

    def _finish(self, message: Mapping[str, Any]) -> None:
        run = self._open.pop(str(message["run"]), None)
        if run is not None:
            run.finish(str(message.get("status") or "completed"))

    def _prompt(self, message: Mapping[str, Any]) -> None:
        """A prompt of ComfyUI that is through: a run with one record. What was only reported again is no run."""
        graph = check_graph(message["graph"])
        failure = _failure_of(message)
        images = self._new_images(_outputs_of(graph, message.get("images") or ()))
        if not images and failure is None:
            return
        tags = [tag for node in graph.values() if node["class_type"] == _TAG_NODE for tag in _tags_of(node)]
        run = self._new_run(message, {"workflow": graph}, learning_tags=list(dict.fromkeys(tags)))
        run.start()
        if images or failure != _INTERRUPTED:  # what was cut off before its first image left nothing
            _record_prompt(run, graph, images, failure)
        run.finish(_STATUS.get(str(message.get("status")), "completed") if failure != _INTERRUPTED else "cancelled")

    def _new_images(self, paths: Iterable[Path]) -> list[bytes]:
        found = OrderedDict((digest_bytes(data), data) for data in map(Path.read_bytes, paths))
        fresh = [data for digest, data in found.items() if digest not in self._seen]
        self._seen.update(dict.fromkeys(found))
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return fresh

    def _new_run(self, message: Mapping[str, Any], config: Mapping[str, JsonValue], **options: Any) -> RunRecorder:
        tool = str(message.get("tool") or "unknown")
        version = str(message.get("version") or "") or None
        return RunRecorder(self._store, config=config, name=tool, engine=tool, engine_version=version, **options)


def _record_webui_image(run: RunRecorder, message: Mapping[str, Any]) -> None:
    path = Path(message["path"])
    said = parse_infotext(str(message.get("infotext") or ""))
    actual = said.settings()
    seed = actual.get("seed")
    run.record_variant(
        prompt=said.prompt or str(message.get("prompt") or ""),
        negative_prompt=said.negative_prompt or str(message.get("negative_prompt") or ""),
        images=[path.read_bytes()],
        settings=message.get("settings") or {},
        actual=actual,
        seeds=[seed] if isinstance(seed, int) else None,
        stage=str(message.get("stage") or "txt2img"),
    )


def _record_prompt(run: RunRecorder, graph: Graph, images: list[bytes], failure: str | None) -> None:
    bindings = find_bindings(graph)
    values = read_values(graph, bindings)
    seed = values.get("seed")
    stage = _stage_of(values)
    actual = ComfyUIPrompt(graph, bindings, None).actual(stage)
    prompt = str(values.get("prompt") or "")
    loras: list[JsonValue] = [
        {"name": node["inputs"]["lora_name"], "weight": node["inputs"].get("strength_model")}
        for node in graph.values()
        if isinstance(node["inputs"].get("lora_name"), str)
    ]
    loras += [{"name": name, "weight": weight} for name, weight in find_loras(prompt)]
    run.record_variant(
        prompt=prompt,
        negative_prompt=str(values.get("negative_prompt") or ""),
        images=images,
        settings=actual,
        actual=actual | ({"loras": loras} if loras else {}),
        # the noise of a batch comes from one seed: alone it gives only a batch of one again
        seeds=[seed] if isinstance(seed, int) and len(images) == 1 else None,
        stage=stage,
        error=failure,
    )


def _stage_of(values: Mapping[str, Any]) -> str:
    if "steps" not in values:
        return "upscale"
    denoise = values.get("denoising_strength")
    is_partial = isinstance(denoise, (int, float)) and denoise < 1
    return "img2img" if "image" in values and is_partial else "txt2img"


def _outputs_of(graph: Graph, images: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Where the images are: those that were saved or given to our node, or else those that were only shown."""
    found = [(Path(one["path"]), one) for one in images]
    kept = [
        path
        for path, one in found
        if one.get("type") == "output" or graph.get(str(one.get("node")), {}).get("class_type") == _TAG_NODE
    ]
    return list(dict.fromkeys(kept or [path for path, _ in found]))


def _tags_of(node: Mapping[str, Any]) -> list[str]:
    tags = node["inputs"].get("tags")
    return [tag.strip() for tag in tags.split(",") if tag.strip()] if isinstance(tags, str) else []


_INTERRUPTED: Final = "interrupted"


def _failure_of(message: Mapping[str, Any]) -> str | None:
    if message.get("status") == "success":
        return None
    for kind, data in message.get("messages") or ():
        if kind == "execution_interrupted":
            return _INTERRUPTED
        if kind == "execution_error":
            said = f"{data.get('exception_type', 'error')}: {str(data.get('exception_message', '')).strip()}"
            return f"node {data.get('node_id')} ({data.get('node_type')}) failed: {said}"
    return "the prompt failed"


def main(arguments: list[str] | None = None) -> int:
    """Read messages until there are no more."""
    parser = argparse.ArgumentParser(description="Record what hooks in other programs tell on standard input.")
    parser.add_argument("--runs-dir", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="[stablenew] %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the program that tells us is our end
    recorder = ToolRecorder(chosen.runs_dir)
    for line in sys.stdin.buffer:
        _, error = attempt(_handle_line, recorder, line)
        if error is not None:
            _log.error("not recorded: %s", describe(error))
    recorder.close()
    return 0


def _handle_line(recorder: ToolRecorder, line: bytes) -> None:
    recorder.handle(json.loads(line))


if __name__ == "__main__":
    raise SystemExit(main())
