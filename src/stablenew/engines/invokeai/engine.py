"""The `invokeai` engine: InvokeAI through its API, with a graph of its own for a model or one of the user's.

Each image is an item of the queue with a seed of its own. What the queue says of an item counts; nothing else of the
queue is looked at or touched.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.engines.dependencies import Dependencies, UsedFile, choose_libraries, installed_versions, is_local
from stablenew.engines.engine import EngineCheck, EngineImage, EngineInfo, StageMonitor, StageRequest, StageResult
from stablenew.engines.engine_http import is_out_of_memory, whole_text
from stablenew.engines.image_by_image import run_each, seeds_of
from stablenew.engines.image_reading import read_image
from stablenew.engines.invokeai.client import InvokeAIClient
from stablenew.engines.invokeai.graph import (
    SAMPLING_NAMES,
    Graph,
    build_graph,
    find_places,
    read_graph,
    read_sampling,
    read_value,
    sampling_values,
    with_values,
)
from stablenew.engines.invokeai.items import ENDED, describe_failure, image_names
from stablenew.errors import Cancelled, ConfigError, EngineError
from stablenew.formats.common_names import checkpoint_stem
from stablenew.formats.prompt_text import split_loras
from stablenew.formats.strict_json import JsonValue

_STAGES: Final = ("txt2img",)
_POLL_SECONDS: Final = 0.5
_STALL_SECONDS: Final = 3600.0
_PLAIN: Final = ("steps", "cfg_scale", "width", "height")
_LARGEST_SEED: Final = 2**32


class InvokeAIEngine:
    """Makes images through the API of InvokeAI.

    A graph of the user's own is given by `txt2img.extra.graph`, a file or the graph itself as JSON.
    """

    def __init__(self, url: str = "", *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._client = InvokeAIClient(url)
        self._poll_seconds = poll_seconds
        self._version = ""
        self._used: dict[str, Mapping[str, Any]] = {}
        """The models that images were made with, by key."""
        self._device: str | None = None
        self._libraries: dict[str, str] = {}

    @property
    def info(self) -> EngineInfo:
        """Name, version and abilities. The version is that of the server, where it answers."""
        self._version = self._version or self._client.find_version()
        return EngineInfo(
            name="invokeai",
            version=self._version or "unknown",
            description="InvokeAI, with a graph for a model or yours, through its API",
            stages=_STAGES,
            is_deterministic=False,
            has_own_defaults=True,
            url=self._client.url,
        )

    def check(self) -> EngineCheck:
        """Version and models, and what will not work.

        Raises:
            EngineError: it cannot be reached.
        """
        version = self._client.ask("/api/v1/app/version")
        if not isinstance(version, dict) or "version" not in version:
            raise EngineError(f"{self._client.url} answers, and not as InvokeAI does; is this the right address?")
        models = [model for model in self._client.list_models() if model.get("type") == "main"]
        problems = [] if models else ["it has no model: install one in its model manager"]
        names = {"models": [str(model.get("name")) for model in models], **SAMPLING_NAMES}
        return EngineCheck("invokeai", str(version["version"]), {}, names, problems)

    def find_dependencies(self) -> Dependencies:
        """The models that ran, with InvokeAI's own hashes, its libraries, and the device of the last image.

        Raises:
            EngineError: it does not answer.
        """
        self._libraries = self._libraries or self._find_libraries()
        own = {"invokeai": self.info.version, "stablenew": installed_versions().get("stablenew", "")}
        return Dependencies(
            files=tuple(self._files()),
            versions={name: version for name, version in {**own, **self._libraries}.items() if version},
            device=self._device,
            flags=tuple(f"{model['name']}={model['hash']}" for model in self._used.values() if model.get("hash")),
        )

    def _find_libraries(self) -> dict[str, str]:
        """Asked once: InvokeAI takes about half a second to list its packages, which the end of a run does not wait."""
        packages = self._client.find("/api/v1/app/app_deps")
        packages = packages if isinstance(packages, dict) else {}
        return choose_libraries(f"{name}=={version}" for name, version in packages.items())

    def _files(self) -> Iterator[UsedFile]:
        for model in self._used.values():
            path = Path(str(model.get("path") or ""))
            is_here = is_local(self._client.url) and path.is_absolute() and path.is_file()
            yield UsedFile(str(model.get("name")), "checkpoint", path if is_here else None)

    def run_stage(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        """Make the images of one stage.

        Raises:
            Cancelled: it was asked to stop; the server was told.
            EngineError: the server could not; the message tells a person what to do.
            ConfigError: the user's graph is not valid, or has no place for the prompt.
        """
        request.check("invokeai", _STAGES)
        monitor.cancel.raise_if_cancelled()
        graph, model = self._choose_graph(request)
        seeds = seeds_of(request)
        return run_each(
            len(seeds), lambda number, part: self._make(request, graph, model, seeds[number], part), monitor
        )

    def _choose_graph(self, request: StageRequest) -> tuple[Graph, Mapping[str, Any] | None]:
        given = (request.settings.get("extra") or {}).get("graph")
        if given:
            return _read_own_graph(given), None
        if split_loras(request.prompt)[1]:
            raise EngineError("the built-in graph has no LoRAs; give a graph of your own: txt2img.extra.graph=FILE")
        model = self._find_model(request.settings.get("model"))
        return build_graph(model), model

    def _find_model(self, asked: Any) -> Mapping[str, Any]:
        models = [model for model in self._client.list_models() if model.get("type") == "main"]
        names = [str(model.get("name")) for model in models]
        if not models:
            raise EngineError("InvokeAI has no model; install one in its model manager")
        if not asked:
            return models[0]
        wanted = checkpoint_stem(str(asked)).casefold()
        for model in models:
            if asked == model.get("key") or checkpoint_stem(str(model.get("name"))).casefold() == wanted:
                return model
        raise EngineError(f"InvokeAI has no model {asked!r}; it has {', '.join(names)}")

    def _make(
        self, request: StageRequest, graph: Graph, model: Mapping[str, Any] | None, seed: int, monitor: StageMonitor
    ) -> StageResult:
        places = find_places(graph)
        own_seed = seed % _LARGEST_SEED  # the largest that its nodes take
        filled = with_values(graph, places, {**_values(request), "seed": own_seed})
        item_id = self._client.enqueue(filled)
        try:
            item = self._wait(item_id, monitor)
        except BaseException:
            self._client.cancel(item_id)
            raise
        _raise_failure(self._client, item)
        self._device = str(item["device"]) if item.get("device") else self._device
        if model is not None:
            self._used[str(model.get("key"))] = model
        images = self._fetch_images(item, own_seed if "seed" in places else None)
        actual: dict[str, JsonValue] = {name: read_value(filled, places, name) for name in _PLAIN}
        actual |= {"seed": images[0].seed, "width": images[0].width, "height": images[0].height}
        actual |= read_sampling(filled, places)
        if model is not None:
            actual |= {"model": str(model.get("name")), "model_hash": str(model.get("hash") or "")}
        return StageResult(images, {name: value for name, value in actual.items() if value not in (None, "")})

    def _wait(self, item_id: int, monitor: StageMonitor) -> Mapping[str, Any]:
        """The item, when it is through."""
        until = time.monotonic() + _STALL_SECONDS
        while True:
            item = self._client.read_item(item_id)
            if item["status"] in ENDED:
                return item
            if item["status"] == "in_progress":
                monitor.on_progress(_progress_of(item))
            elif time.monotonic() > until:
                raise self._client.explain_stall(_STALL_SECONDS)
            pause = time.monotonic() + self._poll_seconds
            while time.monotonic() < pause:
                monitor.cancel.raise_if_cancelled()
                time.sleep(min(0.05, self._poll_seconds))

    def _fetch_images(self, item: Mapping[str, Any], seed: int | None) -> tuple[EngineImage, ...]:
        """The images of an item: those that it keeps, or else those that were on the way."""
        names = image_names(item)
        if not names:
            raise EngineError("the graph made no image; it needs a node such as l2i")
        return tuple(read_image(self._client.download(name), seed=seed) for name in names)


def _values(request: StageRequest) -> dict[str, Any]:
    """What was asked, under the names of places."""
    settings = request.settings
    values: dict[str, Any] = {name: settings[name] for name in _PLAIN if settings.get(name) is not None}
    values |= sampling_values(settings)
    values["prompt"] = whole_text(request.prompt)
    if request.negative_prompt:
        values["negative_prompt"] = whole_text(request.negative_prompt)
    return values


def _read_own_graph(given: Any) -> Graph:
    """The user's graph, which has to have a place for the prompt where it draws from text at all."""
    text, place = str(given), "txt2img.extra.graph"
    if not text.lstrip().startswith("{"):
        place = text
        with contextlib.suppress(OSError):
            text = Path(text).expanduser().read_text(encoding="utf-8")
        if text == place:
            raise ConfigError(f"the graph {place} cannot be read")
    graph = read_graph(text, place)
    has_denoise = any("denoise" in node["type"] for node in graph["nodes"].values())
    if has_denoise and "prompt" not in find_places(graph):
        raise ConfigError(f"{place} has no place for the prompt: no text node leads to its denoise node by an edge")
    return graph


def _progress_of(item: Mapping[str, Any]) -> float:
    """The part of the nodes that are through."""
    session = item.get("session") or {}
    total = len((session.get("graph") or {}).get("nodes") or ()) or 1
    return min(0.99, len(session.get("executed_history") or ()) / total)


def _raise_failure(client: InvokeAIClient, item: Mapping[str, Any]) -> None:
    if item["status"] == "canceled":
        raise Cancelled("somebody cancelled the item in InvokeAI's queue")
    if item["status"] == "failed":
        said = describe_failure(item)
        raise EngineError(client.explain_memory(said) if is_out_of_memory(said) else f"InvokeAI failed: {said}")
