"""The recorder behind the hooks in other programs: what they report, line by line on standard input, becomes runs.

`python -m stablenew.controller.hook_listener --runs-dir DIR`. It ends when its input does; runs that are open then are
sealed with what they have. A message that it cannot use is logged on standard error, and the next one is handled.
"""

import argparse
import logging
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.controller.hook_messages import HookMessages, SavedFile
from stablenew.engines.comfyui.graph import Graph, check_graph, find_bindings, read_values
from stablenew.engines.comfyui.prompt import ComfyUIPrompt
from stablenew.formats.prompt_text import find_loras, parse_infotext
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.graphs.outputs import GraphOutput, read_outputs
from stablenew.recording.image_input import ImageInput
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import attempt, describe
from stablenew.store.run_store import RunStore

_log = logging.getLogger("stablenew")
_REMEMBERED: Final = 100_000
_TAG_NODE: Final = "StableNewRecord"
_STATUS: Final = {"success": "completed", "error": "failed"}
_INTERRUPTED: Final = "interrupted"


class HookListener:
    """Turns the messages of hooks into runs."""

    def __init__(self, runs_dir: Path | str, is_saved_again: Callable[[Path], bool] = lambda _path: False) -> None:
        self._store = RunStore(runs_dir)
        self._is_saved_again = is_saved_again
        self._open: dict[str, RunRecorder] = {}
        self._seen: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        """ComfyUI's files by path, size and time: a cached node reports its old files with every prompt."""

    def handle(self, message: Mapping[str, Any]) -> None:
        """Handle one message.

        Raises:
            ValueError: not a message of a hook.
        """
        handlers = {"start": self._start, "image": self._image, "finish": self._finish, "prompt": self._prompt}
        if message.get("do") not in handlers:
            raise ValueError(f"expected a message to start, image, finish or prompt, found do={message.get('do')!r}")
        handlers[str(message["do"])](message)

    def close(self) -> None:
        """Seal the runs that are still open, as cancelled: the program ended in their middle."""
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
                self._record_image(alone, message)
            return
        if run.run is None:
            run.start()
        self._record_image(run, message)

    def _record_image(self, run: RunRecorder, message: Mapping[str, Any]) -> None:
        file = SavedFile.from_message(message)
        if file.is_rewritten or (file.modified_ns is None and self._is_saved_again(file.path)):
            run.note_unrecorded(f"{file.path} was written again before it could be recorded")
            return
        _record_webui_image(run, message, file.read())

    def _finish(self, message: Mapping[str, Any]) -> None:
        run = self._open.pop(str(message["run"]), None)
        if run is not None:
            run.finish(str(message.get("status") or "completed"))

    def _prompt(self, message: Mapping[str, Any]) -> None:
        """A prompt of ComfyUI that has ended: a run with one record. Files that were only reported again make none."""
        graph, _ = attempt(check_graph, message.get("graph"))
        graph = graph or {}
        failure = _failure_of(message)
        files = self._new_files(_kept_files(graph, message.get("images") or ()), message)
        if not files and failure is None:
            return
        tags = [tag for node in graph.values() if node["class_type"] == _TAG_NODE for tag in _tags_of(node)]
        config = {"workflow": graph or message.get("graph")}
        run = self._new_run(message, config, learning_tags=list(dict.fromkeys(tags)))
        run.start()
        if files or failure != _INTERRUPTED:  # a prompt cut off before its first image left nothing
            _record_prompt(run, graph, files, failure)
        run.finish(_STATUS.get(str(message.get("status")), "completed") if failure != _INTERRUPTED else "cancelled")

    def _new_files(self, files: Iterable[SavedFile], message: Mapping[str, Any]) -> list[SavedFile]:
        """The files that this prompt made: not those of nodes that ComfyUI says it did not run again."""
        cached = _cached_nodes(message)
        fresh = []
        for file in files:
            identity = file.identity
            if file.node in cached or identity in self._seen:
                continue
            if identity is not None:
                self._seen[identity] = None
            fresh.append(file)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return fresh

    def _new_run(self, message: Mapping[str, Any], config: Mapping[str, JsonValue], **options: Any) -> RunRecorder:
        tool = str(message.get("tool") or "unknown")
        version = str(message.get("version") or "") or None
        return RunRecorder(self._store, config=config, name=tool, engine=tool, engine_version=version, **options)


def _record_webui_image(run: RunRecorder, message: Mapping[str, Any], image: ImageInput) -> None:
    infotext = parse_infotext(str(message.get("infotext") or ""))
    actual = infotext.settings()
    seed = actual.get("seed")
    run.record_variant(
        prompt=infotext.prompt or str(message.get("prompt") or ""),
        negative_prompt=infotext.negative_prompt or str(message.get("negative_prompt") or ""),
        images=[image],  # type: ignore[list-item]  # it is read already
        settings=message.get("settings") or {},
        actual=actual,
        seeds=[seed] if isinstance(seed, int) else None,
        stage=str(message.get("stage") or "txt2img"),
    )


def _record_prompt(run: RunRecorder, graph: Graph, files: list[SavedFile], failure: str | None) -> None:
    values, actual, stage = _read_graph(graph)
    shown = _graph_output(graph, files)
    prompt = str(values.get("prompt") or (shown.prompt if shown else "") or "")
    actual = {
        **(shown.settings if shown else {}),
        **{name: value for name, value in actual.items() if value is not None},
    }
    seed = actual.get("seed")
    loras = _loras_of(graph, prompt, shown)
    run.record_variant(
        prompt=prompt,
        negative_prompt=str(values.get("negative_prompt") or (shown.negative_prompt if shown else "") or ""),
        images=[file.read() for file in files],  # type: ignore[misc]  # they are read already
        settings=actual,
        actual=actual | ({"loras": loras} if loras else {}),
        # the noise of a batch comes from one seed: alone it gives only a batch of one again
        seeds=[seed] if isinstance(seed, int) and len(files) == 1 else None,
        stage=stage,
        error=failure,
    )


def _read_graph(graph: Graph) -> tuple[Mapping[str, Any], dict[str, JsonValue], str]:
    """Values of the graph, settings under standard names, and the stage, as far as the graph can be understood."""

    def read() -> tuple[Mapping[str, Any], dict[str, JsonValue], str]:
        bindings = find_bindings(graph)
        values = read_values(graph, bindings)
        stage = _stage_of(values)
        return values, ComfyUIPrompt(graph, bindings, None).actual(stage), stage

    found, _ = attempt(read)
    return found or ({}, {}, "txt2img")


def _graph_output(graph: Graph, files: Iterable[SavedFile]) -> GraphOutput | None:
    """What the graph says about the node that saved the files: it follows texts through nodes of any kind."""
    outputs, _ = attempt(read_outputs, graph)
    nodes = {file.node for file in files}
    return next((output for output in outputs or () if output.node in nodes), outputs[0] if outputs else None)


def _loras_of(graph: Graph, prompt: str, shown: GraphOutput | None) -> list[JsonValue]:
    if shown is not None and shown.loras:
        loras: list[JsonValue] = [{"name": lora.name, "weight": lora.weight} for lora in shown.loras]
    else:
        inputs = [node["inputs"] for node in graph.values() if isinstance(node["inputs"].get("lora_name"), str)]
        loras = [{"name": node["lora_name"], "weight": node.get("strength_model")} for node in inputs]
    named = {str(lora["name"]) for lora in loras}
    return loras + [{"name": name, "weight": weight} for name, weight in find_loras(prompt) if name not in named]


def _stage_of(values: Mapping[str, Any]) -> str:
    if "steps" not in values:
        return "upscale"
    denoise = values.get("denoising_strength")
    is_partial = isinstance(denoise, (int, float)) and denoise < 1
    return "img2img" if "image" in values and is_partial else "txt2img"


def _kept_files(graph: Graph, images: Iterable[Any]) -> list[SavedFile]:
    """The files that were saved or given to our node, or else those that were only shown; each once."""
    read = [attempt(SavedFile.from_message, fields)[0] for fields in images]
    files = {file.path: file for file in read if file is not None}
    kept = [
        file
        for file in files.values()
        if file.kind == "output" or graph.get(file.node or "", {}).get("class_type") == _TAG_NODE
    ]
    return kept or list(files.values())


def _tags_of(node: Mapping[str, Any]) -> list[str]:
    tags = node["inputs"].get("tags")
    return [tag.strip() for tag in tags.split(",") if tag.strip()] if isinstance(tags, str) else []


def _messages_of(message: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What ComfyUI says about the execution of a prompt, by kind."""
    pairs = [pair for pair in message.get("messages") or () if isinstance(pair, list) and len(pair) == 2]
    return [(str(kind), data) for kind, data in pairs if isinstance(data, dict)]


def _cached_nodes(message: Mapping[str, Any]) -> set[str]:
    return {
        str(node)
        for kind, data in _messages_of(message)
        if kind == "execution_cached"
        for node in data.get("nodes") or ()
    }


def _failure_of(message: Mapping[str, Any]) -> str | None:
    if message.get("status") == "success":
        return None
    for kind, data in _messages_of(message):
        if kind == "execution_interrupted":
            return _INTERRUPTED
        if kind == "execution_error":
            reason = f"{data.get('exception_type', 'error')}: {str(data.get('exception_message', '')).strip()}"
            return f"node {data.get('node_id')} ({data.get('node_type')}) failed: {reason}"
    return "the prompt failed"


def main(arguments: list[str] | None = None) -> int:
    """Handle messages until there are no more."""
    parser = argparse.ArgumentParser(description="Record what hooks in other programs report on standard input.")
    parser.add_argument("--runs-dir", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="[stablenew] %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the program that tells us is our end
    messages = HookMessages(sys.stdin.buffer)
    listener = HookListener(chosen.runs_dir, messages.is_saved_again)
    for message in messages:
        _, error = attempt(listener.handle, message)
        if error is not None:
            _log.error("not recorded: %s", describe(error))
    listener.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
