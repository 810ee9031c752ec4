"""RecordingSession: one run while it is being recorded, from the first byte to the seal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from stablenew.disk.group_sync import SyncWork, perform_together
from stablenew.errors import StoreError, WriteFailed
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.documents.run_metadata import Closure, RunMetadata, UnrecordedVariant
from stablenew.formats.documents.stage_event import STAGES, ErrorInfo
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.new_run import RunDescription, build_first_metadata
from stablenew.recording.odd_values import (
    as_text,
)
from stablenew.store.output_store import StoredOutput
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore
from stablenew.store.run_writer import RunWriter


@dataclass(frozen=True, slots=True)
class FinishedVariant:
    """A variant that has run, ready to be recorded."""

    record: LearningRecord
    images: tuple[GeneratedImage, ...]

    @property
    def index(self) -> int:
        """Its place in the plan."""
        return self.record.variant.index


class Written(NamedTuple):
    """What became of variants, by index."""

    records: dict[int, LearningRecord]
    """The records as they stand in the run: with the SHA-256 of outputs, which is known when these are written."""
    failures: dict[int, Exception]
    """Why others could not be recorded."""


class RecordingSession:
    """Writes one run. Methods raise what goes wrong; a caller that must not fail calls them through a SideChannel.

    What does not fit a field of the metadata is kept there as text, under `odd`.
    """

    def __init__(self, store: RunStore, description: RunDescription, clock: Clock = SYSTEM_CLOCK) -> None:
        """Nothing is written before `start`."""
        self._store = store
        self._fields = build_first_metadata(description, clock.timestamp())
        self.metadata = RunMetadata.from_dict(self._fields)
        self._clock = clock
        self._started = clock.monotonic()
        self._opened: RunWriter | None = None
        self._paths_by_stage: dict[str, list[str]] = {}
        self._output_count = 0
        self._unrecorded: list[UnrecordedVariant] = []

    def start(self) -> Self:
        """Make the run's folder with what is known so far.

        Raises:
            RunExists, WriteFailed: see `RunStore.create`.
        """
        self._opened = self._store.create(self.metadata)
        return self

    @property
    def _writer(self) -> RunWriter:
        if self._opened is None:
            raise RuntimeError("the recording was not started, or could not be")
        return self._opened

    @property
    def run(self) -> Run | None:
        """The run as a reader sees it now; None as long as there is no folder."""
        return self._opened.run if self._opened is not None else None

    def check_process(self) -> None:
        """Raise RunLocked in a forked child, where even an import may wait for a thread that only the parent has."""
        self._writer.check_process()

    def add_variant(self, record: LearningRecord, images: Iterable[GeneratedImage]) -> LearningRecord:
        """Store the images that `record` names, then the record. When this returns, both survive a power cut.

        Returns the record as it was written, with the SHA-256 of its outputs.

        Raises:
            WriteFailed: the variant is not recorded; the run's metadata will say so at the end.
        """
        written = self.add_variants([FinishedVariant(record, tuple(images))])
        for failure in written.failures.values():
            raise failure
        return written.records[record.variant.index]

    def add_variants(self, variants: Sequence[FinishedVariant]) -> Written:
        """Store several variants, whose images wait for the disk together, and their records in one write.

        When this returns, they survive a power cut, except those that could not be recorded: the run's metadata will
        say so at the end.
        """
        try:
            failures = self._store_images(variants)
            stored = [variant.record for variant in variants if variant.index not in failures]
            records = [self._writer.with_sums(record) for record in stored]
            failures |= self._append(records)
        except Exception as error:
            for variant in variants:
                self.note_unrecorded(variant.index, str(error))
            raise
        for index, failure in failures.items():
            self.note_unrecorded(index, str(failure))
        by_index = {record.variant.index: record for record in records if record.variant.index not in failures}
        return Written(by_index, failures)

    def note_unrecorded(self, index: int, reason: str, *, image: int | None = None) -> None:
        """Name a variant, or one image of it, that could not be recorded in the metadata of the run."""
        fields = {"index": index, "image": image, "reason": as_text(reason)}
        known = {name: value for name, value in fields.items() if value is not None}
        self._unrecorded.append(UnrecordedVariant.model_validate(known))

    @property
    def unrecorded(self) -> tuple[UnrecordedVariant, ...]:
        """What could not be recorded so far."""
        return tuple(self._unrecorded)

    def _store_images(self, variants: Sequence[FinishedVariant]) -> dict[int, Exception]:
        """Returns what went wrong, by the index of the variant."""
        images = [(variant.index, image) for variant in variants for image in variant.images]
        steps: list[SyncWork[Any]] = [self._image_steps(image) for _, image in images]
        *outcomes, names = perform_together([*steps, self._writer.name_steps()])
        if names is not None:
            raise names
        stored = zip(images, outcomes, strict=True)
        return {index: outcome for (index, _), outcome in stored if isinstance(outcome, Exception)}

    def _image_steps(self, image: GeneratedImage) -> SyncWork[StoredOutput]:
        if image.data is None:
            raise WriteFailed(f"the bytes of {image.reference.path} are not in memory any more")
        stored = yield from self._writer.output_steps(image.data, image.reference)
        return stored

    def _append(self, records: Sequence[LearningRecord]) -> dict[int, Exception]:
        """Returns what went wrong, by the index of the variant."""
        try:
            self._writer.append_records(records)
        except (StoreError, ValueError) as error:
            if isinstance(error, ValueError) and len(records) > 1:  # one of them is wrong, and spoils no other
                return {index: failure for record in records for index, failure in self._append([record]).items()}
            return {record.variant.index: error for record in records}
        for record in records:
            self._output_count += len(record.outputs)
            for output in record.outputs:
                if output.path is not None:
                    self._paths_by_stage.setdefault(output.stage, []).append(output.path)
        return {}

    def finish(self, status: str, error: ErrorInfo | None = None, closure: Closure | None = None) -> Run:
        """Seal the run, with what a rerun depends on. One that is completed, but not all of it recorded, is `partial`.

        Raises:
            WriteFailed: it stays unsealed, and `repair` can finish it.
        """
        fields: dict[str, JsonValue] = {
            "status": "partial" if status == "completed" and self._unrecorded else status,
            "finished_at": self._clock.timestamp(),
            "duration_seconds": round(max(0.0, self._clock.monotonic() - self._started), 6),
            "record_count": self._writer.record_count,
            "output_count": self._output_count,
            "stages": self._stage_outputs(),
        }
        if error is not None:
            fields["error"] = error.to_dict()
        if closure is not None:
            fields["closure"] = closure.to_dict()
        if self._unrecorded:
            lost = sorted(self._unrecorded, key=lambda item: (item.index, -1 if item.image is None else item.image))
            fields["unrecorded"] = [item.to_dict() for item in lost]
        return self._writer.seal(RunMetadata.from_dict(self._fields | fields))

    def _stage_outputs(self) -> list[JsonValue]:
        order = {name: position for position, name in enumerate(STAGES)}
        names = sorted(self._paths_by_stage, key=lambda name: (order.get(name, len(order)), name))
        return [{"name": name, "outputs": self._paths_by_stage[name]} for name in names]

    def abandon(self) -> None:
        """Leave the run as a crash would; `repair` can finish it."""
        self._writer.abandon()
