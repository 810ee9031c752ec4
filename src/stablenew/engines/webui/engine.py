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

from stablenew.engines.dependencies import Dependencies
from stablenew.engines.engine import EngineCheck, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.image_by_image import run_each
from stablenew.engines.webui.client import WebUIClient
from stablenew.engines.webui.dependencies import WebUIDependencies
from stablenew.engines.webui.kin import SD_NEXT, Kin, find_kin, with_known_vae
from stablenew.engines.webui.options import keeping_options
from stablenew.engines.webui.progress import TaskProgress
from stablenew.engines.webui.replies import WebUIReply, decode_image, read_reply
from stablenew.engines.webui.requests import (
    DETAIL,
    IMG2IMG,
    SINGLE,
    TXT2IMG,
    UPSCALE,
    build_adetailer,
    build_detail,
    build_img2img,
    build_txt2img,
    build_upscale,
    build_upscale_by_img2img,
)
from stablenew.errors import Cancelled, EngineError
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.stage_event import STAGES
from stablenew.formats.prompt_text import find_loras
from stablenew.formats.strict_json import JsonValue

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.4
_GRACE_SECONDS: Final = 20.0
_STALL_SECONDS: Final = 900.0
_LONGEST_PATH: Final = 4096
_MOST_NAMES: Final = 40
_NAMED_IN: Final = {"sampler": ("sampler_name",), "upscaler": ("upscaler_1", "hr_upscaler")}
"""The fields of a call that name what the server may not know."""
_LISTS: Final = ("samplers", "schedulers", "upscalers")


class WebUIEngine:
    """Makes images through the API of AUTOMATIC1111, Forge, reForge or SD.Next.

    `url` may hold a name and a password.
    """

    def __init__(
        self, url: str = "", *, stall_seconds: float = _STALL_SECONDS, poll_seconds: float = _POLL_SECONDS
    ) -> None:
        self._client = WebUIClient(url)
        self._stall_seconds = stall_seconds
        self._poll_seconds = poll_seconds
        self._kin: Kin | None = None
        self._version = ""
        self._dependencies = WebUIDependencies(self._client)
        self._overrides: Mapping[str, JsonValue] = {}
        """Checkpoint and VAE of the main stage: later stages of the variant keep them."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and abilities; the version where the server answers."""
        return EngineInfo(
            name="webui",
            version=self._version or self._find_kin().version or "unknown",
            description="AUTOMATIC1111, Forge, reForge or SD.Next, through their API",
            stages=STAGES,
            is_deterministic=False,
            has_own_defaults=True,
            url=self._client.url,
        )

    def _find_kin(self) -> Kin:
        """Which program answers; asked again until one does."""
        if self._kin is None:
            self._kin = find_kin(self._client) if self._client.find("/sdapi/v1/options") is not None else None
        return self._kin or Kin("unknown")

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
        kin = self._find_kin()
        problems = [] if names["models"] else ["it has no checkpoint: put one into models/Stable-diffusion"]
        loaded = options.get("sd_model_checkpoint") if isinstance(options, dict) else None
        facts = {"program": kin.program, "checkpoint": str(loaded or "none"), "adetailer": self._adetailer(names)}
        return EngineCheck("webui", self.info.version, facts, names, problems)

    def _adetailer(self, names: Mapping[str, list[str]]) -> str:
        """What the stage adetailer can count on. Nobody needs to use it, so its absence is a fact and no problem."""
        if "adetailer" in (name.lower() for name in names["scripts"]):
            return "installed"
        if self._find_kin().program == SD_NEXT:
            return "the server's own detailer"
        return "not installed: the stage adetailer will not work"

    def find_dependencies(self) -> Dependencies:
        """The files that ran, versions, extensions, device and options, as the server says.

        Raises:
            EngineError: it does not answer.
        """
        kin = self._find_kin()
        return self._dependencies.find(kin.program, self._version or kin.version)

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
        result = self._generate(TXT2IMG, body, task_id, monitor)
        monitor.on_progress(1.0)
        return result

    def _run_one(self, request: StageRequest, number: int, monitor: StageMonitor) -> StageResult:
        image, task_id = request.inputs[number], _new_task_id()
        request, mask_digest = _with_mask(request)
        if request.stage == "upscale" and request.settings.get("mode", SINGLE) == SINGLE:
            answer = self._work(UPSCALE, build_upscale(request, image), task_id, monitor)
            return _single_image(answer, image.seed, number)
        if request.stage == "adetailer" and self._find_kin().program == SD_NEXT:
            detectors = _names(self._client.find("/sdapi/v1/detailers"))
            answer = self._work(DETAIL, build_detail(request, image, detectors), task_id, monitor)
            return _single_image(answer, image.seed, number)
        build = {"adetailer": build_adetailer, "upscale": build_upscale_by_img2img}.get(request.stage, build_img2img)
        body = build(request, image, task_id)
        overrides = {**self._overrides, **body.get("override_settings", {})}
        result = self._generate(IMG2IMG, body | {"override_settings": overrides}, task_id, monitor, parent=number)
        return replace(result, actual={**result.actual, "mask_digest": mask_digest}) if mask_digest else result

    def _generate(
        self, path: str, body: Mapping[str, Any], task_id: str, monitor: StageMonitor, parent: int | None = None
    ) -> StageResult:
        """Images from a call, and whether somebody stopped the server in the middle: it answers 200 all the same."""
        kin = self._find_kin()
        adapted = kin.adapt(body if kin.modules is not None else with_known_vae(body, self._client))
        with keeping_options(self._client, adapted.get("override_settings") or {}):
            reply = read_reply(self._work(path, adapted, task_id, monitor), parent=parent)
            was_interrupted = TaskProgress(self._client, task_id).was_interrupted()
        self._notice(reply)
        loras = [name for name, _ in find_loras(str(body.get("prompt") or ""))]
        missing: list[JsonValue] = [*self._dependencies.find_missing_loras(loras, reply.actual)]
        self._dependencies.note_used(reply.actual, (name for name in loras if name not in missing))
        actual = {**reply.actual, "missing_loras": missing} if missing else reply.actual
        notices = tuple(f"the server has no LoRA {name!r}: the images were made without it" for name in missing)
        failure = None
        if reply.missing or was_interrupted:
            failure = Cancelled(
                f"somebody stopped the generation at the server: {len(reply.images)} of "
                f"{len(reply.images) + reply.missing} images came, and the last of them may be unfinished"
            )
        return StageResult(reply.images, actual, failure, notices)

    def _notice(self, reply: WebUIReply) -> None:
        if isinstance(reply.info.get("version"), str):
            self._version = reply.info["version"]
        if reply.left_out:
            _log.info("%d images of the reply are grids or maps and no outputs", reply.left_out)

    def _work(self, path: str, body: Mapping[str, Any], task_id: str, monitor: StageMonitor) -> Any:
        """The answer to a call that may take minutes, while progress is asked for beside it."""
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        threading.Thread(target=self._call, args=(path, body, answers), daemon=True).start()
        progress = TaskProgress(self._client, task_id, wants_previews=monitor.wants_previews)
        last_change = time.monotonic()
        for answer, failure in _poll(answers, self._poll_seconds):
            if failure is not None:
                raise failure
            if answer is not None:
                return answer
            if monitor.cancel.is_cancelled:
                self._stop(answers, progress)
                raise Cancelled("stopped on request; the server was told")
            if progress.poll():
                last_change = time.monotonic()
                monitor.on_progress(progress.fraction, *([progress.preview] if progress.preview else []))
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
        for word, fields in _NAMED_IN.items():
            if word in said and ("not found" in said or "could not find" in said):
                known = self._client.find(f"/sdapi/v1/{word}s")
                names = [str(entry.get("name")) for entry in known or () if isinstance(entry, dict)]
                asked = next((body[field] for field in fields if body.get(field)), "")
                return EngineError(f"the server knows no {word} {asked!r}; it has {_shorten(names)}")
        if "adetailer" in said and "not found" in said:
            return EngineError("the server has no ADetailer; install the extension, or leave the stage out")
        return error

    def _stop(self, answers: "queue.SimpleQueue[tuple[Any, Exception | None]]", progress: TaskProgress) -> None:
        """Interrupt our own job, and wait a moment for its call to end, so that the next one does not meet it.

        A server interrupts whatever runs, whoever asked for it. So while ours waits behind another, it is not told;
        its queue cannot be changed from outside.
        """
        until = time.monotonic() + _GRACE_SECONDS
        is_told = False
        while time.monotonic() < until:
            progress.poll()
            if not is_told and not progress.is_queued:
                self._client.interrupt()
                is_told = True
            with contextlib.suppress(queue.Empty):
                answers.get(timeout=self._poll_seconds)
                return
        if not is_told:
            raise Cancelled("stopped on request; the server will still make the job: it waits behind another's")


def _single_image(answer: Any, seed: int | None, parent: int) -> StageResult:
    """The image of a call that takes one and gives one."""
    text = answer.get("image") if isinstance(answer, dict) else None
    made = decode_image(text, seed=seed, parent=parent)
    return StageResult((made,), {"width": made.width, "height": made.height})


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


def _shorten(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _new_task_id() -> str:
    return f"task(stablenew-{secrets.token_hex(8)})"
