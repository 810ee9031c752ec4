"""ImportedRun: a run of at most a hundred images that were made before, written whole and sealed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_bytes, digest_json
from stablenew.formats.documents.run_metadata import SCHEMA_HINT, RunMetadata
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.run_id import new_run_id
from stablenew.formats.strict_json import JsonValue
from stablenew.importing.file_reading import ReadFile
from stablenew.importing.record_building import (
    LONGEST_RAW,
    UNKNOWN,
    build_record,
    engine_name,
    raw_text,
)
from stablenew.store.local_state import host_id, user_id
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore
from stablenew.store.run_writer import RunWriter
from stablenew.store.source_roots import SourceRoot

MOST_IMAGES: Final = 100
"""A rating costs several times as much in a run of a thousand images as in one of a hundred."""
IMPORTER: Final = "StableNew import"
"""`source.name` of imported runs."""
_METADATA_STAGE: Final = "metadata"


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """Writes one run of images that lie beneath a root."""

    store: RunStore
    root: SourceRoot
    import_id: str
    is_copied: bool = False
    """Whether the run takes the bytes in; otherwise the images stay where they are."""
    clock: Clock = SYSTEM_CLOCK

    def write(self, files: Sequence[ReadFile]) -> Run:
        """Write and seal a run of `files`, in their order.

        Raises:
            WriteFailed: the disk would not take it; what of it is there, `repair` finishes.
        """
        metadata = self._describe(files)
        writer = self.store.create(metadata)
        try:
            self._write_records(writer, files, metadata)
            return writer.seal(self._finish(metadata, writer))
        except BaseException:
            writer.abandon()
            raise

    def _describe(self, files: Sequence[ReadFile]) -> RunMetadata:
        now = self.clock.timestamp()
        config: dict[str, JsonValue] = {"import": {"id": self.import_id, "root": self.root.id}}
        fields: dict[str, JsonValue] = {
            "$schema": SCHEMA_HINT,
            "kind": RunMetadata.KIND,
            "schema_version": SCHEMA_VERSION,
            "run_id": new_run_id(self.clock.now()),
            "created_at": now,
            "status": "running",
            "source": _source_of(files),
            "correlation": {"session_id": self.import_id},
            "packs": [],
            "config": config,
            "config_digest": digest_json(config),
        }
        return RunMetadata.from_dict(fields)

    def _write_records(self, writer: RunWriter, files: Sequence[ReadFile], metadata: RunMetadata) -> None:
        raw_paths: dict[str, str] = {}
        source = metadata.source.to_dict()
        records = []
        for index, read in enumerate(files):
            records.append(
                build_record(
                    read,
                    run_id=metadata.run_id,
                    index=index,
                    total=len(files),
                    root_id=self.root.id,
                    source=source,
                    raw_path=self._write_raw(writer, read, index, raw_paths),
                    held_path=self._copy(writer, read, index) if self.is_copied else None,
                )
            )
        writer.append_records(records)

    def _write_raw(self, writer: RunWriter, read: ReadFile, index: int, known: dict[str, str]) -> str | None:
        """The file with metadata that is too long for a record, once for all images that share it."""
        assert read.metadata is not None  # noqa: S101
        data = json.dumps(raw_text(read.metadata), ensure_ascii=False).encode("utf-8", "replace")
        if len(data) <= LONGEST_RAW:
            return None
        digest = digest_bytes(data)
        if digest not in known:
            stored = writer.write_output(
                data, variant=index, stage=_METADATA_STAGE, number=0, media_type="application/json"
            )
            known[digest] = stored.path
        return known[digest]

    def _copy(self, writer: RunWriter, read: ReadFile, index: int) -> str:
        assert read.metadata is not None  # noqa: S101
        path = self.root.path.joinpath(*read.file.path.split("/"))
        with path.open("rb") as opened:
            stored = writer.write_output(
                opened.read(), variant=index, stage="imported", number=0, media_type=read.metadata.media_type
            )
        if stored.digest != read.digest:
            raise OSError(f"{path} changed while it was imported")
        return stored.path

    def _finish(self, metadata: RunMetadata, writer: RunWriter) -> RunMetadata:
        fields = {
            "status": "completed",
            "finished_at": self.clock.timestamp(),
            "record_count": writer.record_count,
            "output_count": writer.record_count,
            "stages": _stages_of([stored.path for stored in writer.outputs]),
        }
        return RunMetadata.from_dict({**metadata.to_dict(), **fields})


def _stages_of(paths: Sequence[str]) -> list[JsonValue]:
    stages: dict[str, list[JsonValue]] = {}
    for path in paths:
        stages.setdefault(path.rpartition("/")[2].split("-")[1], []).append(path)
    return [{"name": name, "outputs": outputs} for name, outputs in stages.items()]


def _source_of(files: Sequence[ReadFile]) -> dict[str, JsonValue]:
    """Who imported the images, and the tool that made them where it is one."""
    from stablenew import __version__  # noqa: PLC0415

    tools = {str(read.metadata.tool or UNKNOWN) for read in files if read.metadata}
    engine = engine_name(tools.pop()) if len(tools) == 1 else None
    fields = {
        "name": IMPORTER,
        "version": __version__,
        "engine": engine,
        "host_id": host_id(),
        "user_id": user_id(),
    }
    return {key: value for key, value in fields.items() if value}
