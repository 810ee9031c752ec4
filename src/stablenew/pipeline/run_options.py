"""RunOptions: how a run is carried out, apart from what it makes; and the events that it reports meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stablenew.errors import ConfigError

if TYPE_CHECKING:
    from stablenew.engines.engine import CancelToken, EngineImage
    from stablenew.formats.documents.learning_record import LearningRecord
    from stablenew.formats.documents.stage_event import StageEvent

CONTINUE: Final = "continue"
STOP: Final = "stop"

RUN_STARTED: Final = "run_started"
VARIANT_STARTED: Final = "variant_started"
STAGE_STARTED: Final = "stage_started"
STAGE_PROGRESS: Final = "stage_progress"
STAGE_FINISHED: Final = "stage_finished"
VARIANT_FINISHED: Final = "variant_finished"
VARIANT_RECORDED: Final = "variant_recorded"
"""The record and images of a finished variant are on the disk."""
RUN_FINISHED: Final = "run_finished"


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened in a run: for progress bars and live pages."""

    kind: str
    run_id: str
    variant: int | None = None
    total: int | None = None
    stage: str | None = None
    fraction: float | None = None
    """Of the stage, from 0 to 1."""
    stage_event: "StageEvent | None" = None
    record: "LearningRecord | None" = None
    status: str | None = None
    label: str | None = None
    images: "tuple[EngineImage, ...]" = ()
    """With `stage_progress` a preview; with `stage_finished` the images that the stage made."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of one run. The defaults suit a script that wants its images.

    Raises:
        ConfigError: `on_variant_error` is neither `continue` nor `stop`.
    """

    on_event: Callable[[RunEvent], object] | None = None
    """Called with every event of the run as it happens; if it raises, the run goes on."""
    wants_previews: bool = False
    """Whether events carry images that are still being made, where the engine can show them."""
    on_variant_error: str = CONTINUE
    """`continue` with the next variant after one has failed, or `stop`."""
    keep_images: bool = True
    """Whether the result holds the bytes of the images, in memory."""
    learning: bool | None = None
    """Whether the run is recorded; None leaves that to the settings. A PipelineRunner records whatever it has a store
    or a listener for."""
    cancel: "CancelToken | None" = None
    """Ends the run as cancelled when it is asked to, with every finished variant kept."""

    def __post_init__(self) -> None:
        if self.on_variant_error not in {CONTINUE, STOP}:
            raise ConfigError(f"on_variant_error is {CONTINUE!r} or {STOP!r}, found {self.on_variant_error!r}")
