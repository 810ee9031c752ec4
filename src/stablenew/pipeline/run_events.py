"""RunEvent: what happens in a run, as it happens."""

from dataclasses import dataclass
from typing import Final

from stablenew.engines.engine import EngineImage
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.stage_event import StageEvent

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
    stage_event: StageEvent | None = None
    record: LearningRecord | None = None
    status: str | None = None
    label: str | None = None
    images: tuple[EngineImage, ...] = ()
    """With `stage_progress` a preview; with `stage_finished` the images that the stage made."""
