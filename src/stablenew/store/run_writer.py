"""Writing a run: create, outputs, records, seal. One writer, from the first byte to the last."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

from stablenew.disk.atomic_file import (
    naming_failures,
    replace_then_write_once,
    sync_folder_steps,
    temporary_name,
    write_unseen_steps,
)
from stablenew.disk.group_sync import SyncWork, perform, perform_together, results_of
from stablenew.disk.line_log import append_steps
from stablenew.disk.locks import ThreadLock
from stablenew.disk.regular_file import StrPath, folder_of, status_at
from stablenew.errors import InvalidDocument, RunExists, RunLocked, RunSealed, SyncFailed, WriteFailed
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import HeldFiles, RunMetadata
from stablenew.store.change_hints import note_change
from stablenew.store.output_store import Content, StoredOutput, hash_file, write_output_steps
from stablenew.store.run import Run
from stablenew.store.run_folder import (
    MAX_METADATA_BYTES,
    MAX_RECORD_BYTES,
    MAX_RECORDS_BYTES,
    METADATA,
    OUTPUTS,
    RECORDS,
    SEAL,
    output_name,
)
from stablenew.store.run_lock import RunLock
from stablenew.store.seal import encode_seal

_READ_ONLY = 0o444


class RunWriter:
    """A run that is being written. It holds the run's lock until it is sealed, abandoned, or its process dies."""

    def __init__(self, root: Path, metadata: RunMetadata) -> None:
        self.path = root / metadata.run_id
        self.run_id = metadata.run_id
        self.record_count = 0
        self._lock = RunLock(root, metadata.run_id)
        self._outputs: dict[str, StoredOutput] = {}
        self._records_hash: hashlib._Hash | None = hashlib.sha256()
        """Over the lines so far; None once an append failed, because what it left is unknown."""
        self._unsynced: dict[str, object] = {}
        """Folders with names that a power cut could still take, each with a token that every new name replaces."""
        self._is_open = False
        self._is_broken = False
        self._process = os.getpid()
        self._records_bytes = 0
        self._guard = ThreadLock()

    @classmethod
    def create(cls, root: Path, metadata: RunMetadata) -> Self:
        """Make the folder of a new run with its metadata. It survives a power cut from its first record on.

        Raises:
            RunExists: a run with this id is there; it stays as it is.
            RunLocked: another process is making it.
            WriteFailed: the disk would not take it.
        """
        writer = cls(root, metadata)
        writer._make_folder(metadata)
        writer._is_open = True
        return writer

    def _make_folder(self, metadata: RunMetadata) -> None:
        """Make the folder under a temporary name and rename it: no reader ever sees a run without metadata."""
        root = folder_of(self.path)
        temporary = os.path.join(root, temporary_name(self.run_id, secrets.token_hex(4)))
        try:
            with naming_failures(self.path):
                os.mkdir(temporary)
                os.mkdir(os.path.join(temporary, OUTPUTS))
            writing = write_unseen_steps(os.path.join(temporary, METADATA), encode_metadata(metadata))
            results_of(perform_together([writing, self._claim_steps()]))
            with naming_failures(self.path):
                os.rename(temporary, self.path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            self._lock.release(forget=True)
            raise
        self._unsynced[root] = object()
        note_change(self.path)

    def _claim_steps(self) -> SyncWork[None]:
        """Acquire the run's lock, which needs no disk, while the disk writes something else."""
        self._lock.acquire()
        if status_at(self.path) is not None:
            raise RunExists(f"run {self.run_id} is there already ({self.path}); a run is recorded once")
        yield from ()

    @property
    def run(self) -> Run:
        """The run as a reader sees it now."""
        return Run(self.path)

    @property
    def outputs(self) -> tuple[StoredOutput, ...]:
        """The outputs written so far, in order."""
        return tuple(self._outputs.values())

    def write_output(self, content: Content, *, variant: int, stage: str, number: int, media_type: str) -> StoredOutput:
        """Add an output whose digest is not known yet: its path follows from what it turns out to be.

        Raises: see `output_steps`.
        """

        def place(digest: str) -> str:
            return output_name(variant, stage, number, digest, media_type)

        return perform(self._output_steps(content, place))

    def output_steps(self, content: Content, reference: OutputReference) -> SyncWork[StoredOutput]:
        """Add an output at the path of its `reference`, whose digest was just computed from `content`.

        It counts once a record that names it is appended.

        Raises:
            RunSealed: the run is finished.
            WriteFailed: the disk refused it; nothing of it is left.
        """
        return self._output_steps(content, lambda _: reference.path_in_run, reference.digest)

    def _output_steps(
        self, content: Content, place: Callable[[str], str], digest: str | None = None
    ) -> SyncWork[StoredOutput]:
        self._check_open()
        stored = yield from write_output_steps(self.path, content, place, digest=digest)
        with self._guard:
            self._outputs[stored.path] = stored
            self._unsynced[self._place(OUTPUTS)] = object()
        return stored

    def with_sums(self, record: LearningRecord) -> LearningRecord:
        """`record` with the SHA-256 of the outputs that were written here: it was computed while they were."""
        stored = [self._outputs.get(output.path) if output.path is not None else None for output in record.outputs]
        outputs = tuple(
            output if known is None else output.model_copy(update={"sha256": known.sha256})
            for output, known in zip(record.outputs, stored, strict=True)
        )
        return record.model_copy(update={"outputs": outputs})

    def append_record(self, record: LearningRecord) -> int:
        """Add `record` as the last line of this run, as `append_records` does. Returns its number, from 0."""
        return self.append_records([record]) - 1

    def append_records(self, records: Sequence[LearningRecord]) -> int:
        """Add `records` as the last lines; when this returns, they and their outputs survive a power cut.

        Returns how many records there are. Lines already there never change.

        Raises:
            RunSealed: the run is finished.
            ValueError: one is of another run, or names an output that was not written like that; none is added.
            WriteFailed: none of the lines is there. After a failed fsync nothing more is appended to this run.
        """
        self._check_open()
        for record in records:
            self._check_belongs(record)
        lines = [_check_length(record.encode_line(), MAX_RECORD_BYTES, "record") for record in records]
        if not lines:
            return self.record_count
        with self._guard:
            self._check_open()
            self._check_unsealed()
            self._check_room(lines)
            self._sync_names()
            self._append(lines)
            self.record_count += len(lines)
            self._records_bytes += sum(map(len, lines)) + len(lines)
            return self.record_count

    def _append(self, lines: Sequence[bytes]) -> None:
        known, self._records_hash = self._records_hash, None
        try:
            perform(append_steps(self._place(RECORDS), lines))
        except SyncFailed:
            self._is_broken = True
            raise
        if known is not None:
            known.update(b"".join(line + b"\n" for line in lines))
        self._records_hash = known

    def name_steps(self) -> SyncWork[None]:
        """Sync the folders that have new names, as a record requires. Together with outputs it takes no extra time.

        Raises:
            WriteFailed: the disk refused. What it holds is unknown; do not append the record.
        """
        for folder, newest in tuple(self._unsynced.items()):
            yield from sync_folder_steps(folder)
            with self._guard:
                if self._unsynced.get(folder) is newest:  # no name came meanwhile
                    del self._unsynced[folder]

    def _sync_names(self) -> None:
        perform(self.name_steps())

    def _check_belongs(self, record: LearningRecord) -> None:
        if record.run_id != self.run_id:
            raise ValueError(f"expected a record of run {self.run_id}, found one of {record.run_id}")
        for output in record.outputs:
            if output.path is None:
                continue
            stored = self._outputs.get(output.path)
            if stored is None or stored.digest != output.digest or stored.size_bytes != output.size_bytes:
                raise ValueError(
                    f"the record names {output.path}, which was not written to run {self.run_id} like that"
                )

    def seal(self, metadata: RunMetadata) -> Run:
        """Finish the run: final metadata, then `SHA256SUMS`, last. From here on only `feedback*` changes.

        Raises:
            RunSealed: it is finished already.
            WriteFailed: the disk would not take it; the run stays unsealed and `repair` can finish it.
        """
        with self._guard:
            self._check_open()
            self._check_unsealed()
            self._sync_names()
            sums = self._sums()
            document = encode_metadata(with_held_files(metadata, len(sums), self._held_bytes(sums)))
            sums[METADATA] = hashlib.sha256(document).hexdigest()
            replace_then_write_once((self._place(METADATA), document), (self._place(SEAL), encode_seal(sums)))
            self._is_open = False
        make_read_only(self.path, [*sums, SEAL])
        self._lock.release(forget=True)
        note_change(self.path)
        return self.run

    def _sums(self) -> dict[str, str]:
        """The hashes are those of the bytes that were written, so the seal also shows what the disk did to them."""
        sums = {stored.path: stored.sha256 for stored in self._outputs.values()}
        with naming_failures(self._place(RECORDS)):
            if status_at(self._place(RECORDS)) is not None:
                known = self._records_hash
                sums[RECORDS] = known.hexdigest() if known is not None else hash_file(self._place(RECORDS)).sha256
        return sums

    def _held_bytes(self, sums: Iterable[str]) -> int:
        with naming_failures(self._place(RECORDS)):
            return sum(
                self._outputs[name].size_bytes if name in self._outputs else os.lstat(self._place(name)).st_size
                for name in sums
            )

    def _place(self, name: str) -> str:
        return os.path.join(self.path, name)

    def abandon(self) -> None:
        """Release the run without sealing it, as a crash would; `repair` can finish it."""
        with self._guard:
            self._is_open = False
        self._lock.release()

    def check_process(self) -> None:
        """Refuse a forked child: counters, hashes and the lock are its parent's, and two writers damage a run.

        Raises:
            RunLocked: this is a child of the process that writes the run.
        """
        if os.getpid() != self._process:
            raise RunLocked(
                f"run {self.run_id} is written by process {self._process}, from which this one was forked; "
                "record in that process, or start a run of its own here"
            )

    def _check_open(self) -> None:
        self.check_process()
        if self._is_broken:
            raise WriteFailed(f"run {self.run_id} takes no more records, because the disk failed on an earlier one")
        if not self._is_open:
            raise RunSealed(f"run {self.run_id} is finished; start a new run that names it as its parent")

    def _check_room(self, lines: Sequence[bytes]) -> None:
        size = self._records_bytes + sum(map(len, lines)) + len(lines)
        if size > MAX_RECORDS_BYTES:
            reason = f"{RECORDS} would take {size:,} bytes, and no reader takes more than {MAX_RECORDS_BYTES:,}"
            raise WriteFailed(errno.EFBIG, f"{reason}; start a new run", self._place(RECORDS))

    def _check_unsealed(self) -> None:
        """Somebody else may have sealed the run: `repair --force`, or a program without our lock."""
        with naming_failures(self._place(SEAL)):
            is_sealed = status_at(self._place(SEAL)) is not None
        if is_sealed:
            raise RunSealed(f"run {self.run_id} was sealed by another process; start a new run")


def with_held_files(metadata: RunMetadata, file_count: int, size_bytes: int) -> RunMetadata:
    """`metadata` that says how many files the seal lists beside it, and how long they are together."""
    return metadata.model_copy(update={"held": HeldFiles(file_count=file_count, size_bytes=size_bytes)})


def encode_metadata(metadata: RunMetadata) -> bytes:
    """The bytes of a run's metadata, if every reader takes a document of that length.

    The paths of very many outputs alone can be too long. They are left out then, because the records have them too.

    Raises:
        InvalidDocument: the rest is too long.
    """
    document = metadata.encode_document()
    if len(document) > MAX_METADATA_BYTES and metadata.stages:
        fields = {name: value for name, value in metadata.to_dict().items() if name != "stages"}
        document = RunMetadata.from_dict(fields).encode_document()
    return _check_length(document, MAX_METADATA_BYTES, "run's metadata")


def _check_length(data: bytes, most: int, what: str) -> bytes:
    if len(data) > most:
        raise InvalidDocument(f"expected at most {most:,} bytes for a {what}, found {len(data):,}")
    return data


def make_read_only(run_path: StrPath, names: Iterable[str]) -> None:
    """Take the write permission off sealed files. Where a file system has none, the seal alone must do."""
    for name in names:
        with contextlib.suppress(OSError):
            os.chmod(os.path.join(run_path, name), _READ_ONLY)
