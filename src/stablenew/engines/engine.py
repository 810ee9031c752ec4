"""Engine: whatever turns a stage's settings and inputs into images."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from stablenew.errors import Cancelled, EngineError
from stablenew.formats.strict_json import JsonValue


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says about itself."""

    name: str
    version: str
    description: str
    stages: tuple[str, ...]
    is_deterministic: bool
    """Whether equal requests with a given seed give equal bytes."""
    has_own_defaults: bool = False
    """Whether the program has defaults of its own: then it is sent only what was asked for, and none of ours."""
    url: str | None = None
    """Where its server is, without name and password."""


@dataclass(frozen=True, slots=True)
class EngineImage:
    """One image as an engine takes or gives it: the exact bytes of its file."""

    data: bytes
    media_type: str
    width: int
    height: int
    seed: int | None = None
    """The seed this very image came from, not the first of its batch."""
    pixel_digest: str | None = None
    """Over the 8-bit RGB rows, where the engine has them."""
    parent: int | None = None
    """Position of the input it was made from."""


@dataclass(frozen=True, slots=True)
class StageRequest:
    """One stage of one variant."""

    stage: str
    settings: Mapping[str, JsonValue]
    """As requested; a seed of -1 leaves the choice to the engine."""
    prompt: str
    negative_prompt: str = ""
    inputs: tuple[EngineImage, ...] = ()
    """What the stage before made; empty for txt2img."""

    def check(self, engine: str, stages: Collection[str]) -> None:
        """Do nothing, if `engine` can go on with it.

        Raises:
            EngineError: it has no such stage, or the stage has nothing to start from.
        """
        if self.stage not in stages:
            raise EngineError(f"the engine {engine} has no stage {self.stage!r}; it has {', '.join(stages)}")
        if self.stage != "txt2img" and not self.inputs:
            raise EngineError(f"the stage {self.stage} needs an image to start from; let txt2img run before it")
        moving = next((image for image in self.inputs if image.media_type.startswith("video/")), None)
        if moving is not None:
            raise EngineError(
                f"the stage {self.stage} starts from an image, and the one before made {moving.media_type}"
            )


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage came to."""

    images: tuple[EngineImage, ...]
    actual: Mapping[str, JsonValue] = field(default_factory=dict)
    """Settings that really ran, as far as the engine knows them."""
    failure: EngineError | None = None
    """Why it ended before all images were made; those that were finished are kept."""
    notices: tuple[str, ...] = ()
    """What a person should know although it worked, such as a part of the workflow that the server left out."""


class CancelToken:
    """A request to stop, that any thread or signal handler may make."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop. Asking twice is the same as once."""
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Do nothing, unless somebody asked.

        Raises:
            Cancelled: somebody did.
        """
        if self.is_cancelled:
            raise Cancelled("stopped on request")


class ProgressReport(Protocol):
    """Hears how far a stage is."""

    def __call__(self, fraction: float, preview: EngineImage | None = None) -> None:
        """Take the part of the stage that is done, from 0 to 1, never less than before; and what it looks like."""


def _no_progress(fraction: float, preview: EngineImage | None = None) -> None:
    pass


@dataclass(frozen=True, slots=True)
class StageMonitor:
    """How an engine is told to stop, and reports its progress."""

    cancel: CancelToken = field(default_factory=CancelToken)
    on_progress: ProgressReport = _no_progress
    wants_previews: bool = False
    """Whether somebody looks: without that, a preview is not worth making."""


@runtime_checkable
class Engine(Protocol):
    """Makes images. One engine serves one pipeline at a time."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and abilities."""
        ...

    def run_stage(self, request: StageRequest, monitor: StageMonitor) -> StageResult:
        """Make the images of one stage.

        Raises:
            Cancelled: `monitor.cancel` was asked to stop.
            EngineError: it could not; the message tells a person what to do. With some images finished, an engine
                gives a result with both instead, `StageResult.failure`.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """The state of an engine."""

    name: str
    version: str
    facts: dict[str, str] = field(default_factory=dict)
    """What it says of itself, such as the program and the checkpoint that is loaded."""
    names: dict[str, list[str]] = field(default_factory=dict)
    """What it knows: models, samplers, schedulers, upscalers, scripts."""
    problems: list[str] = field(default_factory=list)
    """What will not work, and what to do about it."""


@runtime_checkable
class Checkable(Protocol):
    """An engine that can be asked."""

    def check(self) -> EngineCheck:
        """What is there.

        Raises:
            EngineError: it cannot be reached; the message says what to do.
        """
        ...
