"""Holding: images in place are copied into the store, as a run that describes them once more and has their bytes.

The sealed runs that described them stay as they are. An image in several runs is one image, with all that was said.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stablenew.errors import OutputNotFound, StableNewError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import SCHEMA_HINT, RunMetadata
from stablenew.formats.image_files import MAX_IMAGE_BYTES
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.run_id import new_run_id
from stablenew.importing.imported_run import IMPORTER, METADATA_STAGE, MOST_IMAGES, stages_of
from stablenew.store.local_state import host_id, user_id
from stablenew.store.output_access import open_output
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore
from stablenew.store.run_writer import RunWriter


@dataclass(slots=True)
class HoldReport:
    """What was copied into the store."""

    held: int = 0
    """Images that runs hold now."""
    size_bytes: int = 0
    already: int = 0
    """Images that a run held before."""
    run_ids: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Images that could not be copied, and why."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        problems = [{"image": image, "reason": reason} for image, reason in self.problems]
        return {
            "held": self.held,
            "size_bytes": self.size_bytes,
            "already": self.already,
            "runs": self.run_ids,
            "problems": problems,
        }


@dataclass(frozen=True, slots=True)
class _Place:
    run: Run
    record: LearningRecord
    output: OutputReference


def hold_images(
    store: RunStore,
    digests: Iterable[str],
    *,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    clock: Clock = SYSTEM_CLOCK,
) -> HoldReport:
    """Copy images in place into new runs, whose bytes are checked against their records.

    Raises:
        WriteFailed: the disk would not take it; runs before it are sealed.
    """
    wanted, report = dict.fromkeys(digests), HoldReport()
    places = _find_places(store, wanted, report)
    done = 0
    for start in range(0, len(places), MOST_IMAGES):
        group = places[start : start + MOST_IMAGES]
        _write_run(store, group, report, clock)
        done += len(group)
        progress(done, len(places))
    return report


def _find_places(store: RunStore, wanted: dict[str, None], report: HoldReport) -> list[_Place]:
    """One place in a source for each wanted image that no run holds."""
    found: dict[str, _Place] = {}
    held: set[str] = set()
    for run in store.iter_runs():
        try:
            for record, output in run.iter_outputs():
                if output.digest in wanted:
                    if output.is_held:
                        held.add(output.digest)
                    else:
                        found.setdefault(output.digest, _Place(run, record, output))
        except (OSError, StableNewError) as error:
            report.problems.append((run.run_id, str(error)))
    report.already = len(held)
    return [place for digest, place in found.items() if digest not in held]


def _write_run(store: RunStore, group: Sequence[_Place], report: HoldReport, clock: Clock) -> None:
    readable = list(_read_all(group, report))
    if not readable:
        return
    metadata = _describe(group[0].run, clock)
    writer = store.create(metadata)
    try:
        records = [_write(writer, place, data, index, len(readable)) for index, (place, data) in enumerate(readable)]
        writer.append_records(records)
        finished = {
            "status": "completed",
            "finished_at": clock.timestamp(),
            "record_count": writer.record_count,
            "output_count": writer.record_count,
            "stages": stages_of([stored.path for stored in writer.outputs]),
        }
        writer.seal(RunMetadata.from_dict({**metadata.to_dict(), **finished}))
    except BaseException:
        writer.abandon()
        raise
    report.run_ids.append(metadata.run_id)
    report.held += len(readable)
    report.size_bytes += sum(place.output.size_bytes for place, _ in readable)


def _read_all(group: Sequence[_Place], report: HoldReport) -> Iterator[tuple[_Place, bytes]]:
    for place in group:
        try:
            with open_output(place.run, place.output) as file:
                yield place, file.read(MAX_IMAGE_BYTES)
        except (OutputNotFound, OSError) as error:
            report.problems.append((place.output.digest, str(error)))


def _describe(run: Run, clock: Clock) -> RunMetadata:
    from stablenew import __version__  # noqa: PLC0415

    config: dict[str, Any] = {"hold": {"of": run.run_id}}
    source = {
        "name": IMPORTER,
        "version": __version__,
        "engine": run.metadata.source.engine,
        "host_id": host_id(),
        "user_id": user_id(),
    }
    return RunMetadata.from_dict(
        {
            "$schema": SCHEMA_HINT,
            "kind": RunMetadata.KIND,
            "schema_version": SCHEMA_VERSION,
            "run_id": new_run_id(clock.now()),
            "created_at": clock.timestamp(),
            "status": "running",
            "source": {key: value for key, value in source.items() if value},
            "packs": [],
            "config": config,
            "config_digest": digest_json(config),
        }
    )


def _write(writer: RunWriter, place: _Place, data: bytes, index: int, total: int) -> LearningRecord:
    output = place.output
    stored = writer.write_output(data, variant=index, stage=output.stage, number=0, media_type=output.media_type)
    fields = place.record.to_dict()
    reference = {key: value for key, value in output.to_dict().items() if key != "origin"} | {"path": stored.path}
    fields |= {"run_id": writer.run_id, "variant": {"index": index, "total": total}, "outputs": [reference]}
    made = fields.get("reconstructed")
    if isinstance(made, dict) and made.get("raw_path"):
        fields["reconstructed"] = made | {"raw_path": _copy_raw(writer, place.run, str(made["raw_path"]), index)}
    return LearningRecord.from_dict(fields)


def _copy_raw(writer: RunWriter, run: Run, path: str, index: int) -> str:
    """The file with long metadata, which a run has beside its images."""
    data = (run.path / path).read_bytes()
    return writer.write_output(data, variant=index, stage=METADATA_STAGE, number=0, media_type="application/json").path
