"""RunVerifier: is a run still what was recorded?

Every sealed file is read and compared with its SHA-256, every output with the digest in its record, every document with
its format, every feedback event with its id. One flipped bit anywhere in a run is named.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from stablenew.disk.folder_signature import folder_signature
from stablenew.disk.line_log import iter_lines
from stablenew.disk.regular_file import is_gone, is_plain_folder, is_surely_regular
from stablenew.disk.temporary_name import is_temporary
from stablenew.errors import FormatError, NewerFormat
from stablenew.formats.clock import latest_sound_clock
from stablenew.formats.digest import DoubleHash
from stablenew.formats.documents.feedback import Removal, is_state_of
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.image_files import DecodedImage, decode_image
from stablenew.formats.output_path import is_output_path
from stablenew.store.feedback.feedback_files import read_feedback_files
from stablenew.store.feedback.removals import Removals, find_removals
from stablenew.store.metric_files import find_batch_problem
from stablenew.store.output_store import hash_file
from stablenew.store.read_problem import NEWER
from stablenew.store.run import Run
from stablenew.store.run_folder import (
    INCOMPLETE,
    INTERRUPTED,
    METADATA,
    OUTPUTS,
    RECORDS,
    RUNNING,
    SEAL,
    is_feedback,
    is_metrics,
    is_sync_leftover,
    is_unsealed,
)
from stablenew.store.seal import read_seal
from stablenew.store.upkeep.verifying.digest_collisions import pack_hashes
from stablenew.store.upkeep.verifying.verify_report import CODES, Finding, ImagePlaces, VerifyReport

_MOST_ATTEMPTS = 3
_STATE_CODES = {RUNNING: "run-running", INTERRUPTED: "run-interrupted", INCOMPLETE: "run-incomplete"}


class RunVerifier:
    """Checks one run. `verify` reads every byte; with `deep` it also decodes the images and asks the JSON Schemas."""

    def __init__(self, run: Run, *, deep: bool = False, decode: Callable[[bytes], DecodedImage] = decode_image) -> None:
        self._path = run.path
        self._deep = deep
        self._decode = decode

    def verify(self) -> VerifyReport:
        """Check everything and report what was found. Nothing is changed.

        In a folder that changed meanwhile, because it was moved or synced, a finding may never have been true; then the
        check is repeated.
        """
        for _ in range(_MOST_ATTEMPTS):
            before = _signature_of(self._path)
            report = _Verification(Run(self._path), self._decode, deep=self._deep).report()
            if not report.findings or _signature_of(self._path) == before:
                break
        return report


class _Verification:
    """One pass through a run."""

    def __init__(self, run: Run, decode: Callable[[bytes], DecodedImage], *, deep: bool) -> None:
        self._run = run
        self._decode = decode
        self._deep = deep
        self._findings: list[Finding] = []
        self._hashes: dict[str, DoubleHash] = {}
        self._unreadable: dict[str, str] = {}
        """Files that are there and cannot be read, and why."""
        self._recorded: dict[str, OutputReference] = {}
        self._has_newer_records = self._has_bad_records = False
        self._sha256s: dict[str, str] = {}
        """SHA-256 of the first output with each digest."""
        self._removed: set[str] = set()
        """Paths of outputs that are not there because they were removed on purpose."""
        self._in_place: list[OutputReference] = []
        self._elsewhere = 0
        """How many of those lie in sources that this machine does not know."""
        self._raw_paths: set[str] = set()

    def report(self) -> VerifyReport:
        """The findings, also when the folder is gone or cannot be read."""
        try:
            return self._verify()
        except OSError as error:
            reason = str(error.strerror or error)
            code, message = ("run-vanished", None) if is_gone(self._run.path) else ("run-unreadable", reason)
            return VerifyReport(self._run.run_id, (Finding(code, "", message or CODES[code][1]),))

    def _verify(self) -> VerifyReport:
        sums = self._read_seal()
        names = self._list_files()
        self._reading = read_feedback_files(self._run.path, sorted(filter(is_feedback, names)))
        self._check_sealed_files(sums, names)
        metadata = self._check_metadata()
        records = self._check_records()
        is_intact = bool(sums) and self._is_as_sealed(RECORDS, sums or {})  # otherwise it is reported already
        if metadata is not None and sums is not None and is_intact:
            self._check_counts(metadata, records)
            self._check_held(metadata, sums)
        self._check_outputs(names)
        self._check_feedback()
        self._check_metrics(names)
        if self._in_place:
            self._check_in_place()
        if self._deep:
            self._check_deeply(has_all_records=is_intact and not self._has_bad_records)
        return self._report(sums)

    def _report(self, sums: dict[str, str] | None) -> VerifyReport:
        state = self._run.state
        if sums is None and state in _STATE_CODES:
            self._add(_STATE_CODES[state], "")
        return VerifyReport(
            subject=self._run.run_id,
            findings=tuple(self._findings),
            files=len(self._hashes),
            size_bytes=sum(hashes.size_bytes for hashes in self._hashes.values()),
            digest=self._run.digest if self._run.is_sealed else None,
            hashes=pack_hashes(self._sha256s),
            state=state,
            images=self._count_images(),
        )

    def _count_images(self) -> ImagePlaces:
        held = sum(path in self._hashes for path in self._recorded)
        removed = sum(path in self._removed for path in self._recorded)
        known = len(self._in_place) - self._elsewhere
        lost = len({finding.path for finding in self._findings if finding.code in {"origin-missing", "origin-changed"}})
        return ImagePlaces(
            held=held,
            in_place=known - lost,
            missing=len(self._recorded) - held - removed + lost,
            removed=removed,
            elsewhere=self._elsewhere,
        )

    def _add(self, code: str, path: str, message: str | None = None, line: int | None = None) -> None:
        """Note a finding; without a message it says what its code means."""
        self._findings.append(Finding(code, path, message or CODES[code][1], line))

    def _read_seal(self) -> dict[str, str] | None:
        if not os.path.lexists(self._run.path / SEAL):
            return None
        try:
            return read_seal(self._run.path)
        except FormatError as error:
            self._add("seal-unreadable", SEAL, str(error))
        except OSError as error:
            self._add("link-refused", SEAL, f"cannot be read: {error.strerror or error}")
        return {}

    def _list_files(self) -> set[str]:
        """Every regular file of the format, by path; what else is there becomes a finding."""
        names = set()
        for path, entry in _walk(self._run.path):
            if path == OUTPUTS and entry.is_dir(follow_symlinks=False):
                continue
            kind = _kind_of(path)
            if kind in {"leftover", "foreign"}:
                self._add(f"file-{kind}", path)
            elif kind == "output" and entry.is_dir(follow_symlinks=False):
                self._add("file-foreign", path, "a folder; it is ignored")
            elif entry.is_file(follow_symlinks=False):
                names.add(path)
            else:
                self._add("link-refused", path)
        return names

    def _check_sealed_files(self, sums: dict[str, str] | None, names: set[str]) -> None:
        for path in sorted(sums or ()):
            if (hashes := self._hash(path)) is None:
                if not self._add_removed(path, self._removals.by_sha256.get((sums or {})[path])):
                    self._add_lost("file-missing", path, "listed in the seal, but not there")
            elif sums and hashes.sha256 != sums[path]:
                self._add("file-changed", path, f"SHA-256 is {hashes.sha256[:12]}…, the seal says {sums[path][:12]}…")
        if sums:
            originals = {sums[path]: path for path in sums if path.startswith(f"{OUTPUTS}/")}
            for path in sorted(names - sums.keys() - {SEAL}):
                if not is_unsealed(path):
                    self._add_unlisted(path, originals)

    def _add_unlisted(self, path: str, originals: dict[str, str]) -> None:
        """Note a file that the seal does not list. One with the bytes of a sealed output cannot deceive anybody."""
        hashes = self._hash(path)
        if hashes is not None and hashes.sha256 in originals:
            self._add("file-leftover", path, f"a copy of {originals[hashes.sha256]}; it is ignored")
        else:
            self._add("file-unlisted", path, "not there when the run was sealed")

    def _is_as_sealed(self, path: str, sums: dict[str, str]) -> bool:
        """Whether a file is as the seal says, or as it is where the seal does not name it."""
        hashes = self._hash(path)
        if hashes is None:
            return path not in sums and not os.path.lexists(self._run.path / path)
        return sums.get(path, hashes.sha256) == hashes.sha256

    def _hash(self, path: str) -> DoubleHash | None:
        if path not in self._hashes:
            if path.startswith(f"{OUTPUTS}/") and not is_plain_folder(self._run.path / OUTPUTS):
                return None
            try:
                self._hashes[path] = hash_file(self._run.path / path)
            except OSError as error:
                if _may_be_file(self._run.path / path):
                    self._unreadable[path] = str(error.strerror or error)
                return None
        return self._hashes[path]

    @cached_property
    def _removals(self) -> Removals:
        return find_removals(self._reading.events)

    def _add_removed(self, path: str, removal: Removal | None) -> bool:
        """Note an output that was removed on purpose, and is not there. Returns whether it was."""
        if removal is None or not path.startswith(f"{OUTPUTS}/") or path in self._unreadable:
            return False
        if path not in self._removed:
            self._removed.add(path)
            self._add("output-removed", path, f"removed on purpose on {removal.replica}: {removal.reason}")
        return True

    def _add_lost(self, code: str, path: str, message: str) -> None:
        """Note a file that gave no bytes: it is not there, or a permission or a bad disk keeps them."""
        if path not in self._unreadable:
            self._add(code, path, message)
        elif not any(finding.path == path for finding in self._findings):
            self._add("file-unreadable", path, f"cannot be read: {self._unreadable[path]}")

    def _check_metadata(self) -> RunMetadata | None:
        try:
            metadata = self._run.metadata
        except NewerFormat as error:
            self._add("newer-format", METADATA, str(error))
        except FormatError as error:
            self._add("metadata-unreadable", METADATA, str(error).removeprefix(f"{self._run.path / METADATA}: "))
        except OSError as error:
            if os.path.lexists(
                self._run.path / SEAL
            ):  # an unsealed run is incomplete anyway: a sync brings files in any order
                self._add("metadata-missing", METADATA, f"cannot be read: {error.strerror or error}")
        else:
            if metadata.run_id != self._run.run_id:
                self._add("metadata-mismatch", METADATA, f"says run {metadata.run_id}, the folder {self._run.run_id}")
            return metadata
        return None

    def _check_records(self) -> list[LearningRecord]:
        records = []
        for line in self._run.iter_record_lines():
            if line.problem is not None:
                self._add(line.problem.code, RECORDS, line.problem.reason, line.number)
                self._has_newer_records |= line.problem.code == NEWER
                self._has_bad_records = True
            elif line.record is not None:
                records.append(line.record)
                self._check_record(line.record, line.number)
        return records

    def _check_record(self, record: LearningRecord, number: int) -> None:
        if record.run_id != self._run.run_id:
            self._add("record-mismatch", RECORDS, f"belongs to run {record.run_id}", number)
        if record.reconstructed is not None and record.reconstructed.raw_path is not None:
            self._raw_paths.add(record.reconstructed.raw_path)
        for output in record.outputs:
            self._check_collision(output, number)
            if output.path is None:
                self._in_place.append(output)
                continue
            self._recorded[output.path] = output
            hashes = self._hash(output.path)
            if hashes is None:
                if not self._add_removed(output.path, self._removals.find(output)):
                    self._add_lost("output-missing", output.path, f"named by line {number} of {RECORDS}, but not there")
            elif (hashes.digest, hashes.size_bytes) != (output.digest, output.size_bytes):
                found = f"{hashes.digest[:19]}…, {hashes.size_bytes:,} bytes"
                self._add("output-changed", output.path, f"is {found}; its record says {output.digest[:19]}…", number)
            elif output.sha256 not in (None, hashes.sha256):
                said = f"SHA-256 is {hashes.sha256[:12]}…, its record says {output.sha256[:12]}…"
                self._add("output-changed", output.path, said, number)

    def _check_collision(self, output: OutputReference, number: int) -> None:
        sha256 = output.sha256
        if sha256 is not None and self._sha256s.setdefault(output.digest, sha256) != sha256:
            place = output.path or (output.origin.path if output.origin else "")
            self._add("digest-collision", place, f"{output.digest} is the digest of other bytes too", number)

    def _check_held(self, metadata: RunMetadata, sums: dict[str, str]) -> None:
        sealed = [name for name in sums if name != METADATA]
        if metadata.held is None or not all(self._is_as_sealed(name, sums) for name in sealed):
            return  # what is missing or changed is reported already
        found = (len(sealed), sum(self._hashes[name].size_bytes for name in sealed))
        if (said := (metadata.held.file_count, metadata.held.size_bytes)) != found:
            message = f"the run should hold {said[0]} files of {said[1]:,} bytes, but holds {found[0]} of {found[1]:,}"
            self._add("metadata-mismatch", METADATA, message)

    def _check_counts(self, metadata: RunMetadata, records: list[LearningRecord]) -> None:
        outputs = sum(len(record.outputs) for record in records)
        for name, found in (("record_count", len(records)), ("output_count", outputs)):
            said = getattr(metadata, name)
            if said is not None and said != found and not self._has_newer_records:
                self._add("metadata-mismatch", METADATA, f"{name} is {said}, but the run holds {found}")

    def _check_outputs(self, names: set[str]) -> None:
        for path in sorted(name for name in names if name.startswith(f"{OUTPUTS}/")):
            if path not in self._recorded and path not in self._raw_paths:
                self._add("output-unrecorded", path)

    def _check_feedback(self) -> None:
        sound = latest_sound_clock(datetime.now(UTC))
        for file in self._reading.files:
            if ahead := [event for event in file.events if event.clock > sound]:
                message = f"the clock of {len(ahead)} events is beyond tomorrow, {ahead[-1].clock} for one"
                self._add("feedback-ahead", file.name, message)
            for problem in file.problems:
                self._add(problem.code, file.name, problem.reason, problem.line)
            if file.is_conflict_copy and file.events:
                self._add("feedback-conflict-copy", file.name)
            if file.document is not None and not is_state_of(file.document.state, file.events):
                self._add("feedback-stale", file.name)

    def _check_metrics(self, names: set[str]) -> None:
        for name in sorted(filter(is_metrics, names)):
            try:
                lines = list(iter_lines(self._run.path / name))
            except OSError as error:
                self._add("metrics-unreadable", name, f"cannot be read: {error.strerror or error}")
                continue
            for number, line, is_whole in lines:
                if not is_whole:
                    self._add("metrics-torn", name, None, number)
                elif (problem := find_batch_problem(self._run.run_id, line)) is not None:
                    self._add(problem.code, name, problem.reason, number)

    def _check_in_place(self) -> None:
        from stablenew.store.upkeep.verifying.origin_checks import count_elsewhere, iter_origin_findings  # noqa: PLC0415

        self._findings.extend(iter_origin_findings(self._run, self._in_place, deep=self._deep))
        self._elsewhere = count_elsewhere(self._run, self._in_place).total()

    def _check_deeply(self, *, has_all_records: bool) -> None:
        from stablenew.store.upkeep.verifying.deep_checks import (  # noqa: PLC0415
            iter_contradictions,
            iter_image_findings,
            iter_schema_findings,
        )

        self._findings.extend(iter_schema_findings(self._run.path))
        self._findings.extend(iter_contradictions(self._run, has_all_records=has_all_records))
        present = {path: output for path, output in self._recorded.items() if path in self._hashes}
        self._findings.extend(iter_image_findings(self._run.path, present, self._decode))


def _signature_of(run_path: Path) -> int | None:
    try:
        return folder_signature(os.lstat(run_path))
    except OSError:
        return None


def _walk(run_path: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Everything in a run folder and in `outputs/`, nothing deeper, by POSIX path."""
    with os.scandir(run_path) as entries:
        top = sorted(entries, key=lambda entry: entry.name)
    for entry in top:
        yield entry.name, entry
        if entry.name == OUTPUTS and entry.is_dir(follow_symlinks=False):
            with os.scandir(entry.path) as outputs:
                for output in sorted(outputs, key=lambda entry: entry.name):
                    yield f"{OUTPUTS}/{output.name}", output


def _kind_of(path: str) -> str:
    name = path.rpartition("/")[2]
    if path in {METADATA, RECORDS, SEAL, OUTPUTS}:
        return "format"
    if "/" not in path and is_unsealed(name):  # before leftovers: a conflict copy is both
        return "unsealed"
    if is_temporary(name) or is_sync_leftover(name):
        return "leftover"
    return "output" if is_output_path(path) else "foreign"


def _may_be_file(path: Path) -> bool:
    """Whether a file is at `path`, as far as that can be examined now."""
    try:
        return is_surely_regular(path)
    except OSError:
        return True
