"""BackgroundRecording: writes a run in a thread while the pipeline goes on.

A pipeline that waited for the disk after each variant would leave its GPU idle for as long: milliseconds on a quick
disk, half a second on a slow or distant one. Variants that come faster than the disk writes them are written together.
"""

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.documents.run_metadata import Closure
from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.recording.recording_session import FinishedVariant, RecordingSession, Written
from stablenew.recording.side_channel import SideChannel
from stablenew.store.run import Run

MOST_BYTES: Final = 256 << 20
"""Images that may wait in memory; beyond that, adding a variant blocks."""


class Settled(NamedTuple):
    """A variant that was written, or could not be."""

    record: LearningRecord
    is_recorded: bool


class BackgroundRecording:
    """Writes one run in a thread of its own, from its folder on. What fails there is logged by `channel`."""

    def __init__(self, recording: RecordingSession, channel: SideChannel) -> None:
        self._recording = recording
        self._channel = channel
        self._changed = threading.Condition()
        self._waiting: list[FinishedVariant] = []
        self._waiting_bytes = 0
        self._settled: list[Settled] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._write, name="stablenew-recording", daemon=True)
        self._thread.start()

    @property
    def run(self) -> Run | None:
        """The run as a reader sees it now; None as long as there is no folder."""
        return self._recording.run

    def add_variant(self, record: LearningRecord, images: Sequence[GeneratedImage]) -> None:
        """Queue a variant for writing, in order."""
        variant = FinishedVariant(record, tuple(images))
        with self._changed:
            self._changed.wait_for(lambda: self._waiting_bytes <= MOST_BYTES)
            self._waiting.append(variant)
            self._waiting_bytes += _size_of(variant)
            self._changed.notify_all()

    def note_unrecorded(self, index: int, reason: str) -> None:
        """Name a variant that could not be recorded in the metadata of the run."""
        self._recording.note_unrecorded(index, reason)

    def pop_settled(self) -> list[Settled]:
        """Remove and return the variants that were written or refused since the last call, in order."""
        with self._changed:
            settled, self._settled = self._settled, []
            return settled

    def finish(self, status: str, error: ErrorInfo | None = None, closure: Closure | None = None) -> Run | None:
        """Wait until all variants are written, then seal the run; None if its folder could not be made.

        Raises:
            WriteFailed: see `RecordingSession.finish`.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        return self._recording.finish(status, error, closure) if self.run is not None else None

    def _write(self) -> None:
        self._channel.call(self._recording.start)
        while variants := self._pop_waiting():
            recorded = self._write_together(variants) if self.run is not None else {}
            with self._changed:
                self._settled += [
                    Settled(recorded.get(variant.index, variant.record), variant.index in recorded)
                    for variant in variants
                ]
                self._waiting_bytes -= sum(map(_size_of, variants))
                self._changed.notify_all()

    def _pop_waiting(self) -> list[FinishedVariant]:
        """Wait for the variants to write next; none when the run is finished."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            variants, self._waiting = self._waiting, []
            return variants

    def _write_together(self, variants: Sequence[FinishedVariant]) -> dict[int, LearningRecord]:
        """Write variants; returns the records that are on the disk, by index."""
        written: Written | None = self._channel.call(self._recording.add_variants, variants)
        if written is None:  # an unexpected kind of failure, which was logged
            return {}
        for failure in written.failures.values():
            self._channel.note(failure)
        return written.records


def _size_of(variant: FinishedVariant) -> int:
    return sum(len(image.data or b"") for image in variant.images)
