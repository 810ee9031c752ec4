"""Recording what InvokeAI makes, whoever queued it: its queue is watched, and each item that ends becomes a run.

InvokeAI calls nobody when it saves an image, and its queue remembers every item with its graph and its results.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from stablenew.engines.invokeai.client import ORIGIN, InvokeAIClient
from stablenew.engines.invokeai.engine import InvokeAIEngine
from stablenew.engines.invokeai.graph import find_places, read_sampling, read_value
from stablenew.engines.invokeai.items import ENDED, describe_failure, image_names, times_of
from stablenew.errors import EngineError
from stablenew.formats.clock import format_timestamp
from stablenew.formats.settings import BY_NAME
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.metadata import Generation
from stablenew.image_metadata.reading import read_image_metadata
from stablenew.pipeline.run_closure import build_closure
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import SideChannel, attempt
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore

_log = logging.getLogger(__name__)
_PLAIN: Final = ("steps", "cfg_scale", "seed", "width", "height")
_PROGRAM: Final = "invokeai"
_CANCELLED: Final = "the item was cancelled in InvokeAI's queue"


class InvokeAIQueueRecorder:
    """Records the items of one InvokeAI that end while it watches, those that StableNew queued itself left out."""

    def __init__(self, store: RunStore, url: str = "") -> None:
        self._store = store
        self._client = InvokeAIClient(url)
        self._engine = InvokeAIEngine(url)
        self._ended: set[int] | None = None
        self._channel = SideChannel("recording InvokeAI's queue")

    @property
    def url(self) -> str:
        """The address that is watched."""
        return self._client.url

    def look(self) -> list[Run]:
        """The runs of the items that have ended since the last look; the first look finds out what ended before.

        Raises:
            EngineError: InvokeAI does not answer.
        """
        ids = self._client.list_items()
        ended = self._ended
        fresh = {
            item_id: item
            for item_id in ids
            if (ended is None or item_id not in ended) and (item := self._read_ended(item_id)) is not None
        }
        self._ended = (ended or set()) & set(ids) | fresh.keys()
        if ended is None:
            return []
        found = (self._channel.call(self._record, item) for item in fresh.values() if item.get("origin") != ORIGIN)
        return [run for run in found if run is not None]

    def watch(self, stop: threading.Event, show: Callable[[Run], None], seconds: float = 1.0) -> None:
        """Look again and again until `stop` is set. An InvokeAI that does not answer is waited for."""
        is_there = True
        while True:
            try:
                for run in self.look():
                    show(run)
                is_there = True
            except EngineError as error:
                if is_there:
                    _log.error("%s; waiting for it", error)
                is_there = False
            if stop.wait(seconds):
                return

    def _read_ended(self, item_id: int) -> Mapping[str, Any] | None:
        with contextlib.suppress(EngineError):  # it was removed from the queue meanwhile
            item = self._client.read_item(item_id)
            return item if item["status"] in ENDED else None
        return None

    def _record(self, item: Mapping[str, Any]) -> Run | None:
        images = [self._client.download(name) for name in image_names(item)]
        graph = (item.get("session") or {}).get("graph") or {}
        version = self._client.find_version() or None
        run = RunRecorder(self._store, config={"graph": graph}, name=_PROGRAM, engine=_PROGRAM, engine_version=version)
        run.start()
        every: list[bytes | None] = [*images] or [None]
        for image in every:
            _record_image(run, item, graph, image)
        found, _ = attempt(self._engine.find_dependencies)
        if found is not None:
            run.closure = build_closure(replace(found, device=item.get("device")), run.run_id)
        run.finish(ENDED[item["status"]])
        return run.run


def _record_image(run: RunRecorder, item: Mapping[str, Any], graph: Mapping[str, Any], image: bytes | None) -> None:
    said = read_image_metadata(image).generation if image else Generation()
    settings = _facts_of_graph(graph) | _facts_of(said)
    seed = settings.get("seed")
    began, ended = times_of(item)
    status = ENDED[item["status"]]
    run.record_variant(
        prompt=said.prompt if said.prompt is not None else _text_of(graph, "prompt"),
        negative_prompt=said.negative_prompt
        if said.negative_prompt is not None
        else _text_of(graph, "negative_prompt"),
        images=[] if image is None else [image],
        settings=settings,
        actual=settings if image is not None else None,
        seeds=[seed] if image is not None and isinstance(seed, int) else None,
        started_at=format_timestamp(began) if began else None,
        finished_at=format_timestamp(ended) if ended else None,
        duration_seconds=(ended - began).total_seconds() if began and ended and ended >= began else None,
        status=None if status == "completed" else status,
        error={"failed": describe_failure(item), "cancelled": _CANCELLED}.get(status),
    )


def _facts_of(said: Generation) -> dict[str, JsonValue]:
    """What the image says of itself."""
    found: dict[str, JsonValue] = {name: value for name, value in said.settings.items() if name in BY_NAME}
    if said.loras:
        found["loras"] = [{"name": lora.name, "weight": lora.weight} for lora in said.loras]
    return found


def _facts_of_graph(graph: Mapping[str, Any]) -> dict[str, JsonValue]:
    """What stands in the graph, for images that say nothing."""
    if not graph.get("nodes"):
        return {}
    places = find_places(dict(graph))
    found = {name: read_value(dict(graph), places, name) for name in _PLAIN}
    return {name: value for name, value in found.items() if value is not None} | read_sampling(dict(graph), places)


def _text_of(graph: Mapping[str, Any], name: str) -> str:
    if not graph.get("nodes"):
        return ""
    text = read_value(dict(graph), find_places(dict(graph)), name)
    return text if isinstance(text, str) else ""
