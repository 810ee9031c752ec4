"""The recorder behind the hooks in other programs: what they report, line by line on standard input, becomes runs.

`python -m stablenew.controller.hook_listener --runs-dir DIR`. It writes a byte on standard output for each message that
it has handled, and ends when its input does; runs that are open then are sealed with what they have. A message that it
cannot use is logged on standard error, and the next one is handled.
"""

import argparse
import logging
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.controller.comfyui_prompts import PromptReport, record_prompt
from stablenew.controller.hook_messages import HookMessages, SavedFile
from stablenew.engines.comfyui import dependencies as comfyui_dependencies
from stablenew.engines.webui import dependencies as webui_dependencies
from stablenew.formats.documents.run_metadata import Closure
from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.formats.settings import standard_names
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.infotext import parse_infotext
from stablenew.image_metadata.tools.a1111 import read_standard_settings
from stablenew.pipeline.run_closure import build_closure
from stablenew.recording.images.image_input import ImageInput
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import attempt, describe
from stablenew.store.run_store import RunStore

_log = logging.getLogger("stablenew")
_REMEMBERED: Final = 100_000
_MOST_WORKING: Final = 16
_OWN_NAMES: Final = {"hr_second_pass_steps": "hr_steps"}
"""What a WebUI calls otherwise than records do, and what is not in the table of settings."""
_UNFINISHED: Final = "somebody stopped the generation: the image may be unfinished"


class HookListener:
    """Turns the messages of hooks into runs."""

    def __init__(self, runs_dir: Path | str, is_saved_again: Callable[[Path], bool] = lambda _path: False) -> None:
        self._store = RunStore(runs_dir)
        self._is_saved_again = is_saved_again
        self._open: dict[str, RunRecorder] = {}
        self._seen: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        """ComfyUI's files by path, size and time: a cached node reports its old files with every prompt."""
        self._working: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        """Prompts that ComfyUI has begun and whose end was not reported yet."""

    def handle(self, message: Mapping[str, Any]) -> None:
        """Handle one message.

        Raises:
            ValueError: not a message of a hook.
        """
        handlers = {
            "start": self._start,
            "image": self._image,
            "failure": self._failure,
            "surroundings": self._surroundings,
            "finish": self._finish,
            "begin": self._begin,
            "prompt": self._prompt,
        }
        if message.get("do") not in handlers:
            raise ValueError(f"expected one of the messages {', '.join(handlers)}, found do={message.get('do')!r}")
        handlers[str(message["do"])](message)

    def close(self) -> None:
        """Seal the runs that are open, as cancelled, and record what was being worked on: the program has ended."""
        for run in self._open.values():
            run.finish("cancelled")
        self._open.clear()
        for message in list(self._working.values()):
            _, error = attempt(self._prompt, {**message, "status": "interrupted"})
            if error is not None:
                _log.error("not recorded: %s", describe(error))

    def _start(self, message: Mapping[str, Any]) -> None:
        run = self._new_run(message, _standard(message.get("config")), total=message.get("total"))
        self._open[str(message["run"])] = run  # its folder is made with its first image: some save none

    def _image(self, message: Mapping[str, Any]) -> None:
        """One image of a WebUI, with the text it carries: a record of its own, as each may have another prompt."""
        if not message.get("run"):
            with self._new_run(message, _standard(message.get("settings"))) as alone:
                self._record_image(alone, message)
            return
        self._record_image(self._find_run(message), message)

    def _failure(self, message: Mapping[str, Any]) -> None:
        """A generation of a script that made no image."""
        _record_webui_failure(self._find_run(message), message, str(message.get("error") or ""))

    def _find_run(self, message: Mapping[str, Any]) -> RunRecorder:
        """The open run of a message; another one for the rest of a run that a recorder before us was killed in."""
        name = str(message["run"])
        if name not in self._open:
            self._open[name] = self._new_run(message, _standard(message.get("settings")))
        run = self._open[name]
        if run.run is None:
            run.start()
        return run

    def _record_image(self, run: RunRecorder, message: Mapping[str, Any]) -> None:
        file = SavedFile.from_message(message)
        if file.is_rewritten or (file.modified_ns is None and self._is_saved_again(file.path)):
            run.note_unrecorded(f"{file.path} was written again before it could be recorded")
            return
        _record_webui_image(run, message, file.read())

    def _finish(self, message: Mapping[str, Any]) -> None:
        run = self._open.pop(str(message["run"]), None)
        if run is None:
            return
        error = str(message["error"]) if message.get("error") else None
        if error and run.run is None:
            run.start()
            _record_webui_failure(run, message, error)
        run.finish(str(message.get("status") or "completed"), ErrorInfo(message=error) if error else None)

    def _surroundings(self, message: Mapping[str, Any]) -> None:
        """What the images of a run of a WebUI depend on."""
        run = self._open.get(str(message["run"]))
        if run is not None:
            run.closure = build_closure(webui_dependencies.dependencies_inside(message), run.run_id)

    def _begin(self, message: Mapping[str, Any]) -> None:
        """ComfyUI works on a prompt: what there is to record if it ends before the prompt does."""
        self._working[str(message["prompt_id"])] = message
        while len(self._working) > _MOST_WORKING:
            self._working.popitem(last=False)

    def _prompt(self, message: Mapping[str, Any]) -> None:
        """A prompt of ComfyUI that has ended: a run. Files that were only reported again make none."""
        self._working.pop(str(message.get("prompt_id")), None)
        report = PromptReport.from_message(message)
        files = self._new_files(report)
        if not files and report.failure is None:
            return
        run = self._new_run(message, {"workflow": report.graph or message.get("graph")}, learning_tags=report.tags)
        run.start()
        record_prompt(run, report, files)
        run.closure, _ = attempt(_find_closure, run.run_id, report, message)
        run.finish(report.status)

    def _new_files(self, report: PromptReport) -> list[SavedFile]:
        """The files that this prompt made: not those of nodes that ComfyUI says it did not run again."""
        cached = report.cached_nodes
        fresh = []
        for file in report.files:
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
        return RunRecorder(
            self._store, config=config, name=tool, engine=tool, engine_version=version, quiet=True, **options
        )


def _find_closure(run_id: str, report: PromptReport, message: Mapping[str, Any]) -> Closure | None:
    """What the images of a prompt depended on, where the hook has said it."""
    said = message.get("surroundings")
    if not isinstance(said, dict) or not report.graph:
        return None
    return build_closure(
        comfyui_dependencies.dependencies_inside(report.graph, str(message.get("version") or ""), said), run_id
    )


def _record_webui_image(run: RunRecorder, message: Mapping[str, Any], image: ImageInput) -> None:
    infotext = parse_infotext(str(message.get("infotext") or ""))
    actual = read_standard_settings(infotext)
    seed = actual.get("seed")
    run.record_variant(
        prompt=infotext.prompt or str(message.get("prompt") or ""),
        negative_prompt=infotext.negative_prompt or str(message.get("negative_prompt") or ""),
        images=[image],  # type: ignore[list-item]  # it is read already
        settings=_standard(message.get("settings")),
        actual=actual,
        seeds=[seed] if isinstance(seed, int) else None,
        stage=str(message.get("stage") or "txt2img"),
        status="cancelled" if message.get("unfinished") else None,
        error=_UNFINISHED if message.get("unfinished") else None,
    )


def _record_webui_failure(run: RunRecorder, message: Mapping[str, Any], error: str) -> None:
    """A generation that raised before it saved anything: what was asked for, and why it failed."""
    run.record_variant(
        prompt=str(message.get("prompt") or ""),
        negative_prompt=str(message.get("negative_prompt") or ""),
        settings=_standard(message.get("settings")),
        stage=str(message.get("stage") or "txt2img"),
        status="failed",
        error=error,
    )


def _standard(settings: Any) -> dict[str, Any]:
    """A WebUI's own settings under the names that records have."""
    own = {_OWN_NAMES.get(name, name): value for name, value in (settings or {}).items()}
    return standard_names(own)


def main(arguments: list[str] | None = None) -> int:
    """Handle messages until there are no more."""
    parser = argparse.ArgumentParser(description="Record what hooks in other programs report on standard input.")
    parser.add_argument("--runs-dir", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="[stablenew] %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the program that tells us is our end
    confirm = _take_stdout()
    messages = HookMessages(sys.stdin.buffer)
    listener = HookListener(chosen.runs_dir, messages.is_saved_again)
    for message in messages:
        _, error = attempt(listener.handle, message)
        if error is not None:
            _log.error("not recorded: %s", describe(error))
        attempt(confirm)  # fails when the program has ended, and needs none any more
    listener.close()
    return 0


def _take_stdout() -> Callable[[], object]:
    """A function that writes a byte on standard output; whatever else is printed goes to standard error from now on."""
    confirmations = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return lambda: confirmations.write(b".")


if __name__ == "__main__":
    raise SystemExit(main())
