"""ImportedRun: a run of at most a hundred images that were made before, written whole and sealed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stablenew.disk.regular_file import open_regular
from stablenew.errors import InvalidDocument, WriteFailed
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_bytes, digest_json
from stablenew.formats.documents.learning_record import LearningRecord
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
from stablenew.store.upkeep.run_removal import remove_run

MOST_IMAGES: Final = 100
"""A rating costs several times as much in a run of a thousand images as in one of a hundred."""
IMPORTER: Final = "StableNew import"
"""`source.name` of imported runs."""
METADATA_STAGE: Final = "metadata"
_MOST_JSON_BYTES: Final = 6
"""Bytes that JSON takes at most for a character."""


class ImportedRun:
    """One run of images that lie beneath a root: written whole, or image by image while a folder is watched."""

    def __init__(
        self,
        store: RunStore,
        root: SourceRoot,
        import_id: str,
        *,
        is_copied: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """With `is_copied` the run takes the bytes in; otherwise the images stay where they are."""
        self._store = store
        self._root = root
        self._import_id = import_id
        self._is_copied = is_copied
        self._clock = clock
        self._metadata: RunMetadata | None = None
        self._writer: RunWriter | None = None
        self._raw_paths: dict[str, str] = {}
        self._named: dict[str, None] = {}
        """The outputs that records name."""
        self.refused: list[tuple[ReadFile, str]] = []
        """Files that could not be taken in, each with the reason."""

    def write(self, files: Sequence[ReadFile]) -> Run | None:
        """Write and seal a run of `files`, in their order; None where none of them could be taken.

        Raises:
            WriteFailed: the disk would not take it; what of it is there, `repair` finishes.
        """
        try:
            self.add(files)
            return self.seal()
        except BaseException:
            self.abandon()
            raise

    @property
    def count(self) -> int:
        """How many images it has so far."""
        return self._writer.record_count if self._writer else 0

    def add(self, files: Sequence[ReadFile]) -> None:
        """Append images; the first ones make the run. When this returns, their records survive a power cut.

        One that is not what it was when it was read, or cannot be read any more, is left out: see `refused`.

        Raises:
            WriteFailed: none of them was taken.
        """
        if self._writer is None or self._metadata is None:
            self._metadata = self._describe(files)
            self._writer = self._store.create(self._metadata)
        self._write_records(self._writer, files, self._metadata)

    def seal(self) -> Run | None:
        """Finish the run; one without an image leaves no trace, and gives None.

        Raises:
            WriteFailed: the disk would not take it; `repair` finishes it.
        """
        writer, metadata = self._writer, self._metadata
        if writer is None or metadata is None:
            return None
        if writer.record_count:
            run = writer.seal(self._finish(metadata, writer))
            self._writer = None
            return run
        self._writer = None
        writer.abandon()
        remove_run(writer.run)
        return None

    def abandon(self) -> None:
        """Leave an unfinished run as a crash would."""
        if self._writer is not None:
            self._writer.abandon()

    def _describe(self, files: Sequence[ReadFile]) -> RunMetadata:
        now = self._clock.timestamp()
        config: dict[str, JsonValue] = {"import": {"id": self._import_id, "root": self._root.id}}
        fields: dict[str, JsonValue] = {
            "$schema": SCHEMA_HINT,
            "kind": RunMetadata.KIND,
            "schema_version": SCHEMA_VERSION,
            "run_id": new_run_id(self._clock.now()),
            "created_at": now,
            "status": "running",
            "source": _source_of(files),
            "correlation": {"session_id": self._import_id},
            "packs": [],
            "config": config,
            "config_digest": digest_json(config),
        }
        return RunMetadata.from_dict(fields)

    def _write_records(self, writer: RunWriter, files: Sequence[ReadFile], metadata: RunMetadata) -> None:
        first = writer.record_count
        source = metadata.source.to_dict()
        records: list[LearningRecord] = []
        for read in files:
            index = first + len(records)
            try:
                record = build_record(
                    read,
                    run_id=metadata.run_id,
                    index=index,
                    total=first + len(files),
                    root_id=self._root.id,
                    source=source,
                    raw_path=self._write_raw(writer, read, index),
                    held_path=self._copy(writer, read, index) if self._is_copied else None,
                )
            except (_NotTaken, InvalidDocument) as error:  # it spoils no other
                self.refused.append((read, str(error)))
                continue
            records.append(record)
        if records:
            writer.append_records(records)
        for record in records:
            paths = [output.path for output in record.outputs]
            paths.append(record.reconstructed.raw_path if record.reconstructed else None)
            self._named.update(dict.fromkeys(path for path in paths if path is not None))

    def _write_raw(self, writer: RunWriter, read: ReadFile, index: int) -> str | None:
        """The file with metadata that is too long for a record, once for all images that share it."""
        assert read.metadata is not None  # noqa: S101
        texts = raw_text(read.metadata)
        if sum(_MOST_JSON_BYTES * (len(name) + len(text) + 2) for name, text in texts.items()) <= LONGEST_RAW:
            return None
        data = json.dumps(texts, ensure_ascii=False).encode("utf-8", "replace")
        if len(data) <= LONGEST_RAW:
            return None
        digest = digest_bytes(data)
        known = self._raw_paths
        if digest not in known:
            stored = writer.write_output(
                data, variant=index, stage=METADATA_STAGE, number=0, media_type="application/json"
            )
            known[digest] = stored.path
        return known[digest]

    def _copy(self, writer: RunWriter, read: ReadFile, index: int) -> str:
        assert read.metadata is not None  # noqa: S101
        path = self._root.path.joinpath(*read.file.path.split("/"))
        _check_readable(path)
        try:
            stored = writer.write_output(
                path, variant=index, stage="imported", number=0, media_type=read.metadata.media_type
            )
        except WriteFailed:
            _check_readable(path)  # whose fault it is decides whether the others can go on
            raise
        if stored.digest != read.digest:
            raise _NotTaken("it changed while it was imported")
        return stored.path

    def _finish(self, metadata: RunMetadata, writer: RunWriter) -> RunMetadata:
        fields = {
            "status": "completed",
            "finished_at": self._clock.timestamp(),
            "record_count": writer.record_count,
            "output_count": writer.record_count,
            "stages": stages_of(list(self._named)),
        }
        return RunMetadata.from_dict({**metadata.to_dict(), **fields})


class _NotTaken(Exception):
    """A file cannot be taken in; the message says why."""


def _check_readable(path: Path) -> None:
    try:
        open_regular(path).close()
    except OSError as error:
        raise _NotTaken(error.strerror or str(error)) from None


def stages_of(paths: Sequence[str]) -> list[JsonValue]:
    """What `run_metadata.json` says of the stages whose outputs a run holds."""
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
