"""What people said of images in all the runs that hold them.

History may still name runs that were moved or synced away a moment ago. They are passed over here, so that one of them
hides no image that other runs hold.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablenew.errors import StoreError
from stablenew.formats.documents.feedback_fold import fold_picture, standing_by_image

if TYPE_CHECKING:
    from stablenew.formats.documents.feedback import FeedbackEvent
    from stablenew.recording.feedback_manager import FeedbackManager


class ImageFeedback:
    """Feedback by image, each run read when it is first needed and then not again: build one for each question."""

    def __init__(self, feedback: "FeedbackManager") -> None:
        self._feedback = feedback
        self._events: dict[str, Sequence[FeedbackEvent] | None] = {}
        self._standing: dict[str, Mapping[str, Sequence[FeedbackEvent]]] = {}

    def events(self, run_id: str) -> "Sequence[FeedbackEvent] | None":
        """All events of a run in the order of `merge_events`, the retracted ones too; None where it cannot be read."""
        if run_id not in self._events:
            self._events[run_id] = None
            with contextlib.suppress(StoreError, OSError):
                self._events[run_id] = self._feedback.read(run_id).events
        return self._events[run_id]

    def standing(self, files: Iterable[str], run_ids: Iterable[str]) -> "Iterator[FeedbackEvent]":
        """The events about images, named by their digests, in some runs, without those that were retracted."""
        wanted = set(files)
        for run_id in dict.fromkeys(run_ids):
            by_image = self._by_image(run_id)
            for file in wanted & by_image.keys():
                yield from by_image[file]

    def opinions(self, files: Iterable[str], run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What every rater thinks of one picture now, by rater, in the form of `Opinion`: see `fold_picture`."""
        return fold_picture(self.standing(files, run_ids))

    def _by_image(self, run_id: str) -> "Mapping[str, Sequence[FeedbackEvent]]":
        if run_id not in self._standing:
            self._standing[run_id] = standing_by_image(self.events(run_id) or ())
        return self._standing[run_id]
