"""RunRecording: one run while it is being recorded, from the first byte to the seal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_json
from stablenew.formats.i_json import JsonValue, json_safe
from stablenew.formats.learning_record import LearningRecord
from stablenew.formats.pipeline_result import GeneratedImage
from stablenew.formats.run_metadata import SCHEMA_HINT, RunMetadata
from stablenew.formats.stage_event import STAGES, ErrorInfo
from stablenew.formats.wire import SCHEMA_VERSION
from stablenew.store.local_state import host_id, user_id
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
    *, engine: str | None = None, engine_version: str | None = None, name: str = "StableNew", version: str | None = None
) -> dict[str, JsonValue]:
    """Which program, engine, machine and person a run comes from, as `Source` holds it."""
    from stablenew import __version__  # noqa: PLC0415

    fields = {
        "name": name,
        "version": version or (__version__ if name == "StableNew" else None),
        "engine": engine,
        "engine_version": engine_version,
        "host_id": host_id(),
        "user_id": user_id(),
    }
    return {key: value for key, value in fields.items() if value}


class RunRecording:
    """Writes one run. Every method raises what goes wrong; whoever must not fail puts a SideChannel around it."""

    def __init__(self, writer: RunWriter, metadata: RunMetadata, clock: Clock) -> None:
        self._writer = writer
        self._metadata = metadata
        self._clock = clock
        self._started = clock.monotonic()
        self._paths_by_stage: dict[str, list[str]] = {}
        self._output_count = 0
        self._unrecorded: dict[int, str] = {}

    @classmethod
    def start(cls, store: RunStore, description: RunDescription, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Make the run's folder with what is known so far.

        Raises:
            RunExists, WriteFailed: see `RunStore.create`.
        """
        metadata = build_run_metadata(description, clock.timestamp())
        return cls(store.create(metadata), metadata, clock)

    @property
    def run(self) -> Run:
        """The run as a reader sees it now."""
        return self._writer.run

    def add_variant(self, record: LearningRecord, images: Iterable[GeneratedImage]) -> None:
        """Store the images that `record` names, then the record. When this returns, both survive a power cut.

        Raises:
            WriteFailed: the variant is not recorded; the run's metadata will say so at the end.
        """
        try:
            for number, image in enumerate(images):
                self._store_image(image, record.variant.index, number)
            self._writer.append_record(record)
        except Exception as error:
            self._unrecorded[record.variant.index] = str(error)
            raise
        self._output_count += len(record.outputs)
        for output in record.outputs:
            self._paths_by_stage.setdefault(output.stage, []).append(output.path)

    def _store_image(self, image: GeneratedImage, variant: int, number: int) -> None:
        reference = image.reference
        if image.data is None:
            raise ValueError(f"the bytes of {reference.path} are not in memory any more")
        self._writer.write_output(
            image.data,
            variant=variant,
            stage=reference.stage,
            number=output_number(reference.path, number),
            media_type=reference.media_type,
        )

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
        return self._writer.seal(RunMetadata.from_dict(self._metadata.to_dict() | fields))

    def _stage_outputs(self) -> list[JsonValue]:
        order = {name: position for position, name in enumerate(STAGES)}
        names = sorted(self._paths_by_stage, key=lambda name: (order.get(name, len(order)), name))
        return [{"name": name, "outputs": self._paths_by_stage[name]} for name in names]

    def abandon(self) -> None:
        """Leave the run as a crash would; `repair` can finish it."""
        self._writer.abandon()


def output_number(path: str, fallback: int) -> int:
    """The number in an output's name, `0000-txt2img-<number>.<digest>.png`."""
    number = path.rpartition("/")[2].partition(".")[0].rpartition("-")[2]
    return int(number) if number.isdecimal() else fallback


def build_run_metadata(description: RunDescription, created_at: str) -> RunMetadata:
    """The metadata of a run that starts now."""
    config = json_safe(description.config)
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
        "config": config,
        "config_digest": digest_json(config),
        "variant_plan": description.variant_plan,
    }
    return RunMetadata.from_dict(json_safe({key: value for key, value in fields.items() if value is not None}))
