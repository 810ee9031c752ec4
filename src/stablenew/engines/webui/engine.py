"""The `webui` engine: AUTOMATIC1111, Forge, reForge and SD.Next by one client, through their HTTP API."""

import base64
import contextlib
import logging
import queue
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from stablenew.engines.engine import EngineCheck, EngineImage, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.image_by_image import run_each
from stablenew.engines.webui.client import WebUIClient
from stablenew.engines.webui.replies import WebUIReply, decode_image, read_reply
from stablenew.engines.webui.requests import (
    IMG2IMG,
    SINGLE,
    TXT2IMG,
    UPSCALE,
    build_adetailer,
    build_img2img,
    build_txt2img,
    build_upscale,
    build_upscale_by_img2img,
)
from stablenew.errors import Cancelled, EngineError
from stablenew.formats.common_names import same_checkpoint
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.stage_event import STAGES
from stablenew.formats.strict_json import JsonValue

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.4
_GRACE_SECONDS: Final = 20.0
_STALL_SECONDS: Final = 900.0
_LONGEST_PATH: Final = 4096
_LISTS: Final = ("samplers", "schedulers", "upscalers")


class WebUIEngine:
    """Has AUTOMATIC1111, Forge, reForge or SD.Next make images, through their API.

    `url` may hold a name and a password.
    """

    def __init__(
        self, url: str = "", *, stall_seconds: float = _STALL_SECONDS, poll_seconds: float = _POLL_SECONDS
    ) -> None:
        self._client = WebUIClient(url)
        self._stall_seconds = stall_seconds
        self._poll_seconds = poll_seconds
        self._version: str | None = None
        self._overrides: Mapping[str, JsonValue] = {}
        """Checkpoint and VAE of the main stage: later stages of the variant keep them."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and abilities. The version is that of the server, once it has said one."""
        if self._version is None:
            said = self._client.find("/sdapi/v1/version")
            self._version = str(said.get("updated") or said.get("commit") or "") if isinstance(said, dict) else ""
        return EngineInfo(
            name="webui",
            version=self._version or "unknown",
            description="AUTOMATIC1111, Forge, reForge or SD.Next, through their API",
            stages=STAGES,
            is_deterministic=False,
        )

    def check(self) -> EngineCheck:
        """Version, models and what else the server has, and what of the stages will not work.

        Raises:
            EngineError: it cannot be reached, or has no API.
        """
        options = self._client.ask("/sdapi/v1/options")
        names = {
            "models": _names(self._client.ask("/sdapi/v1/sd-models"), "model_name"),
            **{name: _names(self._client.find(f"/sdapi/v1/{name}")) for name in _LISTS},
            "vaes": _names(self._client.find("/sdapi/v1/sd-vae"), "model_name"),
            "scripts": _scripts(self._client.find("/sdapi/v1/scripts")),
        }
        problems = []
        if not names["models"]:
            problems.append("it has no checkpoint: put one into models/Stable-diffusion")
        if "adetailer" not in (name.lower() for name in names["scripts"]):
            problems.append("the stage adetailer will not work: the extension ADetailer is not installed")
        loaded = options.get("sd_model_checkpoint") if isinstance(options, dict) else None
        facts = {"program": self._program(), "checkpoint": str(loaded or "none")}
        return EngineCheck("webui", self.info.version, facts, names, problems)

    def _program(self) -> str:
        """Which of the kin it is, by what only one of them answers."""
        if self._client.find("/sdapi/v1/version") is not None:
            return "SD.Next"
        return "Forge" if self._client.find("/sdapi/v1/sd-modules") is not None else "AUTOMATIC1111"

    def run_stage(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        """Make the images of one stage.

        Raises:
            Cancelled: it was asked to stop; the server was told.
            EngineError: the server could not; the message tells a person what to do.
        """
        request.check("webui", STAGES)
        monitor.cancel.raise_if_cancelled()
        if request.stage == "txt2img":
            return self._run_txt2img(request, monitor)
        return run_each(len(request.inputs), lambda number, part: self._run_one(request, number, part), monitor)

    def _run_txt2img(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        task_id = _new_task_id()
        body = build_txt2img(request, task_id)
        self._overrides = body.get("override_settings", {})
        reply = read_reply(self._work(TXT2IMG, body, task_id, monitor))
        self._notice(request, reply)
        monitor.on_progress(1.0)
        return StageResult(reply.images, reply.actual)

    def _run_one(self, request: StageRequest, number: int, monitor: StageMonitor) -> StageResult:
        image, task_id = request.inputs[number], _new_task_id()
        request, mask_digest = _with_mask(request)
        if request.stage == "upscale" and request.settings.get("mode", SINGLE) == SINGLE:
            answer = self._work(UPSCALE, build_upscale(request, image), task_id, monitor)
            text = answer.get("image") if isinstance(answer, dict) else None
            made = decode_image(text, seed=image.seed, parent=number)
            return StageResult((made,), {"width": made.width, "height": made.height})
        build = {"adetailer": build_adetailer, "upscale": build_upscale_by_img2img}.get(request.stage, build_img2img)
        body = build(request, image, task_id)
        body["override_settings"] = {**self._overrides, **body.get("override_settings", {})}
        reply = read_reply(self._work(IMG2IMG, body, task_id, monitor), parent=number)
        self._notice(request, reply)
        return StageResult(reply.images, {**reply.actual, **({"mask_digest": mask_digest} if mask_digest else {})})

    def _notice(self, request: StageRequest, reply: WebUIReply) -> None:
        """Say what the server did otherwise than asked; the record has both."""
        if isinstance(reply.info.get("version"), str):
            self._version = reply.info["version"]
        asked, ran = request.settings.get("model"), reply.actual.get("model")
        if request.stage != "adetailer" and asked and ran and not same_checkpoint(str(asked), str(ran)):
            _log.warning("the server kept the checkpoint %s; %s was asked for", ran, asked)
        if reply.left_out:
            _log.info("%d images of the reply are grids or maps and no outputs", reply.left_out)

    def _work(self, path: str, body: Mapping[str, Any], task_id: str, monitor: StageMonitor) -> Any:
        """The answer to a call that may take minutes, while progress is asked for beside it."""
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        threading.Thread(target=self._call, args=(path, body, answers), daemon=True).start()
        watch = _ProgressWatch(self._client, task_id, wants_previews=monitor.wants_previews)
        last_change = time.monotonic()
        for answer, failure in _poll(answers, self._poll_seconds):
            if failure is not None:
                raise failure
            if answer is not None:
                return answer
            if monitor.cancel.is_cancelled:
                self._stop(answers)
                raise Cancelled("stopped on request; the server was told")
            if watch.look():
                last_change = time.monotonic()
                monitor.on_progress(watch.fraction, *([watch.preview] if watch.preview else []))
            elif time.monotonic() - last_change > self._stall_seconds:
                self._client.interrupt()
                raise self._client.explain_stall(self._stall_seconds)
        raise AssertionError("polling ends with an answer")

    def _call(
        self, path: str, body: Mapping[str, Any], answers: "queue.SimpleQueue[tuple[Any, Exception | None]]"
    ) -> None:
        try:
            answers.put((self._client.work(path, dict(body)), None))
        except EngineError as error:
            answers.put((None, self._name_what_is_known(error, body)))

    def _name_what_is_known(self, error: EngineError, body: Mapping[str, Any]) -> EngineError:
        """The same error, with the names there are where one was not known."""
        said = str(error).lower()
        for word, field, path in (("sampler", "sampler_name", "samplers"), ("upscaler", "upscaler_1", "upscalers")):
            if word in said and "not found" in said:
                known = self._client.find(f"/sdapi/v1/{path}")
                names = [str(entry.get("name")) for entry in known or () if isinstance(entry, dict)]
                return EngineError(f"the server knows no {word} {body.get(field)!r}; it has {', '.join(names)}")
        if "adetailer" in said and "not found" in said:
            return EngineError("the server has no ADetailer; install the extension, or leave the stage out")
        return error

    def _stop(self, answers: "queue.SimpleQueue[tuple[Any, Exception | None]]") -> None:
        """Interrupt, and wait a moment for the call to end, so that the next one does not meet it."""
        self._client.interrupt()
        with contextlib.suppress(queue.Empty):
            answers.get(timeout=_GRACE_SECONDS)


def _with_mask(request: StageRequest) -> tuple[StageRequest, str | None]:
    """The request with the bytes of the mask that `extra.mask` names as a file, and their digest."""
    extra = dict(request.settings.get("extra") or {})
    mask = str(extra.get("mask") or "")
    if not mask or len(mask) > _LONGEST_PATH:  # base64 already
        return request, None
    try:
        data = Path(mask).expanduser().read_bytes()
    except OSError as error:
        raise EngineError(f"the mask {mask} cannot be read: {error.strerror or error}") from None
    extra["mask"] = base64.b64encode(data).decode("ascii")
    return replace(request, settings={**request.settings, "extra": extra}), digest_bytes(data)


def _poll(
    answers: "queue.SimpleQueue[tuple[Any, Exception | None]]", seconds: float
) -> Iterator[tuple[Any, Exception | None]]:
    """The answer when it is there, (None, None) each time it is not."""
    while True:
        try:
            yield answers.get(timeout=seconds)
        except queue.Empty:
            yield None, None


def _names(answer: Any, field: str = "name") -> list[str]:
    """The names in an answer; the programs put them under several."""
    found = [entry for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []
    return [
        str((entry.get("label") if field == "name" else None) or entry[field]) for entry in found if entry.get(field)
    ]


def _scripts(answer: Any) -> list[str]:
    return [str(name) for name in answer.get("img2img") or ()] if isinstance(answer, dict) else []


def _new_task_id() -> str:
    return f"task(stablenew-{secrets.token_hex(8)})"


class _ProgressWatch:
    """How far a task is: asked by its id where the server can tell, else as whatever it is doing."""

    def __init__(self, client: WebUIClient, task_id: str, *, wants_previews: bool) -> None:
        self._client = client
        self._task_id = task_id
        self._wants_previews = wants_previews
        self._preview_id = -1
        self._can_tell_tasks = True
        self._last: object = None
        self.fraction = 0.0
        self.preview: EngineImage | None = None

    def look(self) -> bool:
        """Ask; whether anything moved since the last time."""
        said = self._ask_task() if self._can_tell_tasks else None
        if said is None:
            self._can_tell_tasks = False
            said = self._client.find(f"/sdapi/v1/progress?skip_current_image={str(not self._wants_previews).lower()}")
        if not isinstance(said, dict):
            return False
        self.preview = self._read_preview(said)
        state = said.get("state") if isinstance(said.get("state"), dict) else {}
        seen = (said.get("progress"), said.get("queued"), self._preview_id, str(state))
        has_moved, self._last = seen != self._last, seen
        progress = said.get("progress")
        if isinstance(progress, (int, float)):
            self.fraction = min(0.99, max(self.fraction, float(progress)))
        return has_moved

    def _ask_task(self) -> dict[str, Any] | None:
        body = {
            "id_task": self._task_id,
            "id_live_preview": self._preview_id,
            "live_preview": self._wants_previews,
        }
        with contextlib.suppress(EngineError):
            said = self._client.ask("/internal/progress", body)
            return said if isinstance(said, dict) else None
        return None

    def _read_preview(self, said: Mapping[str, Any]) -> EngineImage | None:
        text = said.get("live_preview") or said.get("current_image")
        if isinstance(said.get("id_live_preview"), int):
            self._preview_id = said["id_live_preview"]
        if not self._wants_previews or not text:
            return None
        with contextlib.suppress(EngineError):
            return decode_image(text)
        return None
