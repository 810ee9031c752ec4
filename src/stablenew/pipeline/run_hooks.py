"""Hook: whoever wants to hear of something subscribes; a subscriber that fails is logged and harms nobody."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from stablenew.engines.engine import EngineImage
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.stage_event import StageEvent
from stablenew.recording.side_channel import SideChannel

Payload = TypeVar("Payload")

RUN_STARTED: Final = "run_started"
VARIANT_STARTED: Final = "variant_started"
STAGE_STARTED: Final = "stage_started"
STAGE_PROGRESS: Final = "stage_progress"
STAGE_FINISHED: Final = "stage_finished"
VARIANT_FINISHED: Final = "variant_finished"
VARIANT_RECORDED: Final = "variant_recorded"
"""Record and images of a finished variant are on the disk."""
RUN_FINISHED: Final = "run_finished"


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened in a run, as it happens: for progress bars and live pages."""

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
    """With `stage_progress` a preview, with `stage_finished` what the stage made."""


class Hook(Generic[Payload]):
    """A list of subscribers. All get the same instance, in the order in which they subscribed."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._subscribers: list[tuple[Callable[[Payload], object], SideChannel]] = []

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, function: Callable[[Payload], object] | None) -> None:
        """Call `function` from now on; None is nobody."""
        if function is not None:
            self._subscribers.append((function, SideChannel(self._purpose)))

    def clear(self) -> None:
        """Forget every subscriber."""
        self._subscribers.clear()

    def emit(self, payload: Payload) -> None:
        """Call every subscriber. One that raises is logged once, and the others are called all the same."""
        for function, channel in tuple(self._subscribers):
            channel.call(function, payload)
