"""The `comfyui` engine: ComfyUI through its API, with a workflow of the user's own or a built-in one.

Each image is a prompt of its own with a seed of its own: ComfyUI draws the noise of a whole batch from one seed, so
that the second image of a batch could not be made again alone. One prompt waits in the queue while another runs, so the
server has no pause between them.

What the websocket says is a hint; what the server's history says counts. Without a websocket there is only that.
"""

import logging
import secrets
import time
import weakref
from collections.abc import Mapping
from typing import Any, Final

from stablenew.engines.comfyui.client import LEFT_OUT, ComfyUIClient, ComfyUISocket
from stablenew.engines.comfyui.dependencies import ComfyUIDependencies
from stablenew.engines.comfyui.history import cached_nodes, facts_of, find_files, raise_failure, read_media
from stablenew.engines.comfyui.progress import PromptProgress
from stablenew.engines.comfyui.prompt import ComfyUIPrompt, PromptBuilder
from stablenew.engines.comfyui.prompt_queue import PromptQueue, QueueWatch
from stablenew.engines.comfyui.workflows import LISTS, needs_nodes
from stablenew.engines.dependencies import Dependencies
from stablenew.engines.engine import EngineCheck, EngineImage, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.image_by_image import run_each, seeds_of
from stablenew.errors import EngineError
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.stage_event import STAGES
from stablenew.formats.settings import INHERITED
from stablenew.formats.strict_json import JsonValue

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 1.0
_STALL_SECONDS: Final = 900.0
_RESTART_SECONDS: Final = 120.0


class ComfyUIEngine:
    """Makes images through the API of ComfyUI, with built-in workflows or the user's.

    A workflow in API format is given by the setting `extra.workflow`, a file or the workflow itself, for each stage
    that has one. Which inputs take the settings is found, or given by `extra.bind.NAME=NODE.INPUT`; any other input of
    a node is set by `extra.NODE.INPUT`.
    """

    def __init__(
        self,
        url: str = "",
        *,
        stall_seconds: float = _STALL_SECONDS,
        poll_seconds: float = _POLL_SECONDS,
        restart_seconds: float = _RESTART_SECONDS,
    ) -> None:
        self._client = ComfyUIClient(url)
        self._client_id = secrets.token_hex(16)
        self._socket = ComfyUISocket(self._client, self._client_id)
        # Also called at exit: the websocket has a thread that must be joined while threads still run, or the process
        # never ends. `__del__` comes too late where a traceback keeps the engine alive.
        weakref.finalize(self, self._socket.close)
        self._stall_seconds = stall_seconds
        self._poll_seconds = poll_seconds
        self._restart_seconds = restart_seconds
        self._has_answered = False
        self._version: str | None = None
        self._dependencies = ComfyUIDependencies(self._client)
        self._main: dict[str, JsonValue] = {}
        self._choices: dict[tuple[str, str], list[str]] = {}
        self._uploads: dict[str, str] = {}
        self._seen: set[str] = set()
        """Digests of what it gave before: a cached node reports its old files again."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and abilities. The version is that of the server, where it answers."""
        if self._version is None:
            system = (self._client.find("/system_stats") or {}).get("system", {})
            self._version = str(system.get("comfyui_version") or "unknown")
        return EngineInfo(
            name="comfyui",
            version=self._version,
            description="ComfyUI, with its own workflows or yours, through its API",
            stages=STAGES,
            is_deterministic=False,
            has_own_defaults=True,
            url=self._client.url,
        )

    def check(self) -> EngineCheck:
        """Version, models and what else the server has, and what of the stages will not work.

        Raises:
            EngineError: it cannot be reached.
        """
        stats = self._client.ask("/system_stats")
        system = stats.get("system") if isinstance(stats, dict) else None
        if not isinstance(system, dict):
            raise EngineError(f"{self._client.url} answers, and not as ComfyUI does; is this the right address?")
        names = {what: self._client.choices(*where) for what, where in LISTS.items()}
        problems = [] if names["models"] else ["it has no checkpoint: put one into models/checkpoints"]
        if not self._socket.connect():
            problems.append("its websocket does not answer: progress will be coarse, and there are no previews")
        devices = ", ".join(str(device.get("name")) for device in stats.get("devices") or ())
        facts = {"python": str(system.get("python_version")), "torch": str(system.get("pytorch_version"))}
        facts |= {"devices": devices or "none"} | self._missing_stages()
        return EngineCheck("comfyui", self.info.version, facts, names, problems)

    def _missing_stages(self) -> dict[str, str]:
        """What the built-in workflows of a stage lack. Nobody need use the stage: that is a fact and no problem."""
        found = {}
        for stage in STAGES:
            missing = [kind for kind in sorted(needs_nodes(stage)) if not self._client.has_node(kind)]
            if missing:
                hint = "install the ComfyUI Impact Pack and its Subpack, or give" if stage == "adetailer" else "give"
                found[stage] = (
                    f"will not work: no node {', '.join(missing)}; {hint} a workflow of your own: "
                    f"{stage}.extra.workflow=FILE"
                )
        return found

    def find_dependencies(self) -> Dependencies:
        """The files that workflows named, versions, custom nodes, device and the server's options.

        Raises:
            EngineError: it does not answer.
        """
        return self._dependencies.find()

    def run_stage(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        """Make the images of one stage.

        Raises:
            Cancelled: it was asked to stop; the server was told.
            EngineError: the server could not; the message tells a person what to do.
            ConfigError: the user's workflow or binding is not valid.
        """
        request.check("comfyui", STAGES)
        monitor.cancel.raise_if_cancelled()
        self._await_server(monitor)
        if request.stage == "txt2img":
            self._main = {name: request.settings.get(name) for name in INHERITED}
        builder = PromptBuilder(request, self._main, self._find_choices, self._upload)
        queue = PromptQueue(self._client, self._client_id, builder, seeds_of(request))
        self._socket.connect()
        try:
            result = run_each(len(queue), lambda number, part: self._run_one(queue, number, part), monitor)
        finally:
            queue.drop_rest()
        if request.stage == "txt2img" and not self._main.get("model"):
            self._main["model"] = result.actual.get("model_file")  # later stages go on with what the workflow loaded
        return result

    def _await_server(self, monitor: StageMonitor) -> None:
        """Wait, within bounds, for a server that answered before and does not now: somebody is starting it again.

        Raises:
            Cancelled: it was asked to stop meanwhile.
        """
        is_there = self._client.is_there()
        if is_there or not self._has_answered:
            self._has_answered = is_there
            return
        _log.warning(
            "%s does not answer any more; waiting up to %.0f s for it", self._client.url, self._restart_seconds
        )
        end = time.monotonic() + self._restart_seconds
        while not is_there and time.monotonic() < end:
            monitor.cancel.raise_if_cancelled()
            time.sleep(self._poll_seconds)
            is_there = self._client.is_there()
        self._has_answered = is_there
        self._uploads.clear()  # ComfyUI empties its temporary folder when it starts
        self._choices.clear()

    def _find_choices(self, kind: str, name: str) -> list[str]:
        if (kind, name) not in self._choices:
            self._choices[kind, name] = self._client.choices(kind, name)
        return self._choices[kind, name]

    def _upload(self, image: EngineImage) -> str:
        digest = digest_bytes(image.data)
        ending = image.media_type.rpartition("/")[2]
        if digest not in self._uploads:
            name = f"{digest.rpartition(':')[2]}.{ending}"
            self._uploads[digest] = self._client.upload(name, image.data, image.media_type)
        return self._uploads[digest]

    def _run_one(self, queue: PromptQueue, number: int, monitor: StageMonitor) -> StageResult:
        prompt, prompt_id, dropped = queue.pop(number)
        try:
            history = self._follow(prompt, prompt_id, monitor)
        except BaseException:
            self._client.stop(prompt_id)
            raise
        raise_failure(self._client, prompt, history)
        self._dependencies.note_used(prompt.graph)
        images, nodes, is_cached = self._fetch_images(prompt, history)
        actual = facts_of(prompt, nodes) | {"width": images[0].width, "height": images[0].height}
        if is_cached:
            _log.info("the server had made this very image before and gave it again")
            actual["cached"] = True
        notices = (LEFT_OUT.format(dropped),) if dropped else ()
        return StageResult(images, actual, notices=(*prompt.notices, *notices))

    def _follow(self, prompt: ComfyUIPrompt, prompt_id: str, monitor: StageMonitor) -> Mapping[str, Any]:
        """What the history says of a prompt, when it is finished."""
        progress = PromptProgress(prompt.graph, prompt_id, wants_previews=monitor.wants_previews)
        watch = QueueWatch(self._client, prompt_id, self._stall_seconds)
        next_look = time.monotonic() + self._poll_seconds
        while True:
            message = self._socket.receive(min(self._poll_seconds, 0.2))
            if message is not None and progress.take(message):
                watch.note_life()
                monitor.on_progress(progress.fraction, *([progress.preview] if progress.preview else []))
            monitor.cancel.raise_if_cancelled()
            if not progress.is_over and time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + self._poll_seconds
            history = self._client.find_history(prompt_id)
            if history is not None:
                return history
            monitor.on_progress(progress.fraction)
            watch.look()

    def _fetch_images(
        self, prompt: ComfyUIPrompt, history: Mapping[str, Any]
    ) -> tuple[tuple[EngineImage, ...], tuple[str, ...], bool]:
        """The images of a prompt as the server has them, the node of each, and whether it had made all of them before.

        Of the same image in two places one is enough; and where some are new, those that were given before are what a
        cached node reports again.
        """
        files = find_files(history)
        if not files:
            raise EngineError("the workflow made no image; it needs a node such as SaveImage or PreviewImage")
        found: dict[str, tuple[EngineImage, str]] = {}
        for node, address in files:
            data = self._client.download(address)
            found.setdefault(digest_bytes(data), (read_media(data, prompt), node))
        fresh = {digest: image for digest, image in found.items() if digest not in self._seen}
        self._seen.update(found)
        was_kept = {node for node, _ in files} <= cached_nodes(history)
        images, nodes = zip(*(fresh or found).values(), strict=True)
        return images, nodes, was_kept or not fresh
