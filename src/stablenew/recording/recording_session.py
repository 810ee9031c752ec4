"""RecordingSession: one run while it is being recorded, from the first byte to the seal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from stablenew.disk.group_sync import SyncWork, perform_together
from stablenew.errors import StoreError, WriteFailed
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.documents.run_metadata import SCHEMA_HINT, RunMetadata
from stablenew.formats.documents.stage_event import STAGES, ErrorInfo
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.strict_json import JsonValue, json_safe
from stablenew.store.local_state import host_id, user_id
from stablenew.store.output_store import StoredOutput
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore
from stablenew.store.run_writer import RunWriter


@dataclass(frozen=True, slots=True)
class RunDescription:
    """What is known of a run before it starts."""

    run_id: str
    config: Mapping[str, JsonValue]
    source: Mapping[str, JsonValue]
    packs: Sequence[Mapping[str, JsonValue]] = ()
    one_click_action: str | None = None
    learning_tags: Sequence[str] = ()
    correlation: Mapping[str, JsonValue] = field(default_factory=dict)
    variant_plan: Mapping[str, JsonValue] | None = None


def build_source(
    *,
    engine: str | None = None,
    engine_version: str | None = None,
    engine_url: str | None = None,
    name: str = "StableNew",
    version: str | None = None,
) -> dict[str, JsonValue]:
    """Which program, engine, machine and person a run comes from, as `Source` holds it."""
    from stablenew import __version__  # noqa: PLC0415

    fields = {
        "name": name,
        "version": version or (__version__ if name == "StableNew" else None),
        "engine": engine,
        "engine_version": engine_version,
        "engine_url": engine_url,
        "host_id": host_id(),
        "user_id": user_id(),
    }
    return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class FinishedVariant:
    """A variant that has run, ready to be recorded."""

    record: LearningRecord
    images: tuple[GeneratedImage, ...]

    @property
    def index(self) -> int:
        """Its place in the plan."""
        return self.record.variant.index


class RecordingSession:
    """Writes one run. Every method raises what goes wrong; whoever must not fail puts a SideChannel around it."""

    def __init__(self, store: RunStore, description: RunDescription, clock: Clock = SYSTEM_CLOCK) -> None:
        """Nothing is written before `start`. Raises InvalidDocument: the description says what metadata cannot hold."""
        self._store = store
        self._fields = _describe(description, clock.timestamp())
        self._metadata = RunMetadata.from_dict(self._fields)
        self._clock = clock
        self._started = clock.monotonic()
        self._opened: RunWriter | None = None
        self._paths_by_stage: dict[str, list[str]] = {}
        self._output_count = 0
        self._unrecorded: dict[int, str] = {}

    def start(self) -> Self:
        """Make the run's folder with what is known so far.

        Raises:
            RunExists, WriteFailed: see `RunStore.create`.
        """
        self._opened = self._store.create(self._metadata)
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

    def add_variant(self, record: LearningRecord, images: Iterable[GeneratedImage]) -> None:
        """Store the images that `record` names, then the record. When this returns, both survive a power cut.

        Raises:
            WriteFailed: the variant is not recorded; the run's metadata will say so at the end.
        """
        for failure in self.add_variants([FinishedVariant(record, tuple(images))]).values():
            raise failure

    def add_variants(self, variants: Sequence[FinishedVariant]) -> dict[int, Exception]:
        """Store several variants, whose images wait for the disk together, and their records in one write.

        When this returns, they survive a power cut, but for those that could not be recorded: why not is returned by
        the variant's index, and the run's metadata will say so at the end.
        """
        try:
            failures = self._store_images(variants)
            failures |= self._append([one.record for one in variants if one.index not in failures])
        except Exception as error:
            self._unrecorded |= {one.index: str(error) for one in variants}
            raise
        self._unrecorded |= {index: str(error) for index, error in failures.items()}
        return failures

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
                return {index: failure for one in records for index, failure in self._append([one]).items()}
            return {record.variant.index: error for record in records}
        for record in records:
            self._output_count += len(record.outputs)
            for output in record.outputs:
                if output.path is not None:
                    self._paths_by_stage.setdefault(output.stage, []).append(output.path)
        return {}

    def finish(self, status: str, error: ErrorInfo | None = None) -> Run:
        """Seal the run.

        Raises:
            WriteFailed: it stays unsealed, and `repair` can finish it.
        """
        fields: dict[str, JsonValue] = {
            "status": status,
            "finished_at": self._clock.timestamp(),
            "duration_seconds": round(max(0.0, self._clock.monotonic() - self._started), 6),
            "record_count": self._writer.record_count,
            "output_count": self._output_count,
            "stages": self._stage_outputs(),
        }
        if error is not None:
            fields["error"] = error.to_dict()
        if self._unrecorded:
            fields["unrecorded"] = [{"index": one, "reason": why} for one, why in sorted(self._unrecorded.items())]
        return self._writer.seal(RunMetadata.from_dict(self._fields | fields))

    def _stage_outputs(self) -> list[JsonValue]:
        order = {name: position for position, name in enumerate(STAGES)}
        names = sorted(self._paths_by_stage, key=lambda name: (order.get(name, len(order)), name))
        return [{"name": name, "outputs": self._paths_by_stage[name]} for name in names]

    def abandon(self) -> None:
        """Leave the run as a crash would; `repair` can finish it."""
        self._writer.abandon()


def _describe(description: RunDescription, created_at: str) -> dict[str, JsonValue]:
    """The metadata of a run that starts now, as JSON."""
    fields: dict[str, JsonValue] = {
        "$schema": SCHEMA_HINT,
        "kind": RunMetadata.KIND,
        "schema_version": SCHEMA_VERSION,
        "run_id": description.run_id,
        "created_at": created_at,
        "status": "running",
        "source": description.source,
        "correlation": description.correlation or None,
        "packs": list(description.packs),
        "one_click_action": description.one_click_action,
        "learning_tags": list(description.learning_tags) or None,
        "config": description.config,
        "variant_plan": description.variant_plan,
    }
    safe = {key: json_safe(value) for key, value in fields.items() if value is not None}
    return safe | {"config_digest": digest_json(safe["config"])}
