"""RunVerifier: is a run still what was recorded?

Every sealed file is read and compared with its SHA-256, every output with the digest in its record, every document with
its format, every feedback event with its id. One flipped bit anywhere in a run is named.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from stablenew.disk.folder_signature import folder_signature
from stablenew.disk.line_log import iter_lines
from stablenew.disk.regular_file import is_gone
from stablenew.errors import FormatError, NewerFormat
from stablenew.formats.clock import latest_sound_clock
from stablenew.formats.documents.feedback import is_state_of
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.image_files import DecodedImage, decode_image
from stablenew.store.feedback.feedback_files import FeedbackReading, read_feedback_files
from stablenew.store.feedback.removals import find_removals
from stablenew.store.metric_files import find_batch_problem
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
)
from stablenew.store.upkeep.verifying.digest_collisions import pack_hashes
from stablenew.store.upkeep.verifying.finding_list import FindingList
from stablenew.store.upkeep.verifying.record_checks import RecordChecks
from stablenew.store.upkeep.verifying.run_files import RunFiles, kind_of, walk
from stablenew.store.upkeep.verifying.seal_checks import check_seal, check_sealed_files
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
        self._files = RunFiles(run.path)
        self._found = FindingList(self._files)
        self._elsewhere = 0
        """How many images in place lie in sources that this machine does not know."""

    def report(self) -> VerifyReport:
        """The findings, also when the folder is gone or cannot be read."""
        try:
            return self._verify()
        except OSError as error:
            reason = str(error.strerror or error)
            code, message = ("run-vanished", None) if is_gone(self._run.path) else ("run-unreadable", reason)
            return VerifyReport(self._run.run_id, (Finding(code, "", message or CODES[code][1]),))

    def _verify(self) -> VerifyReport:
        sums = check_seal(self._files, self._found)
        names = self._list_files()
        feedback = read_feedback_files(self._run.path, sorted(filter(is_feedback, names)))
        removals = find_removals(feedback.events)
        check_sealed_files(self._files, self._found, sums or {}, names, removals)
        metadata = self._check_metadata()
        checks = RecordChecks(self._run, self._files, self._found, removals)
        checks.check()
        # A file of records that is not as it was sealed is reported already.
        is_intact = bool(sums) and self._files.is_as_sealed(RECORDS, sums or {})
        if metadata is not None and sums is not None and is_intact:
            self._check_counts(metadata, checks)
            self._check_held(metadata, sums)
        checks.check_unrecorded(names)
        self._check_feedback(feedback)
        self._check_metrics(names)
        if checks.in_place:
            self._check_in_place(checks)
        if self._deep:
            self._check_deeply(checks, has_all_records=is_intact and not checks.has_bad_lines)
        return self._report(sums, checks)

    def _report(self, sums: dict[str, str] | None, checks: RecordChecks) -> VerifyReport:
        state = self._run.state
        if sums is None and state in _STATE_CODES:
            self._found.add(_STATE_CODES[state], "")
        return VerifyReport(
            subject=self._run.run_id,
            findings=tuple(self._found.items),
            files=len(self._files.hashes),
            size_bytes=sum(hashes.size_bytes for hashes in self._files.hashes.values()),
            digest=self._run.digest if self._run.is_sealed else None,
            hashes=pack_hashes(checks.sha256s),
            state=state,
            images=self._count_images(checks),
        )

    def _count_images(self, checks: RecordChecks) -> ImagePlaces:
        held = sum(path in self._files.hashes for path in checks.recorded)
        removed = sum(path in self._found.removed for path in checks.recorded)
        known = len(checks.in_place) - self._elsewhere
        lost = len({finding.path for finding in self._found.items if finding.code in _LOST})
        return ImagePlaces(
            held=held,
            in_place=known - lost,
            missing=len(checks.recorded) - held - removed + lost,
            removed=removed,
            elsewhere=self._elsewhere,
        )

    def _list_files(self) -> set[str]:
        """Every regular file of the format, by path; what else is there becomes a finding."""
        names = set()
        for path, entry in walk(self._run.path):
            if path == OUTPUTS and entry.is_dir(follow_symlinks=False):
                continue
            kind = kind_of(path)
            if kind in {"leftover", "foreign"}:
                self._found.add(f"file-{kind}", path)
            elif kind == "output" and entry.is_dir(follow_symlinks=False):
                self._found.add("file-foreign", path, "a folder; it is ignored")
            elif entry.is_file(follow_symlinks=False):
                names.add(path)
            else:
                self._found.add("link-refused", path)
        return names

    def _check_metadata(self) -> RunMetadata | None:
        add = self._found.add
        try:
            metadata = self._run.metadata
        except NewerFormat as error:
            add("newer-format", METADATA, str(error))
        except FormatError as error:
            add("metadata-unreadable", METADATA, str(error).removeprefix(f"{self._run.path / METADATA}: "))
        except OSError as error:
            # An unsealed run is incomplete anyway: a sync brings files in any order.
            if os.path.lexists(self._run.path / SEAL):
                add("metadata-missing", METADATA, f"cannot be read: {error.strerror or error}")
        else:
            if metadata.run_id != self._run.run_id:
                add("metadata-mismatch", METADATA, f"says run {metadata.run_id}, the folder {self._run.run_id}")
            return metadata
        return None

    def _check_held(self, metadata: RunMetadata, sums: dict[str, str]) -> None:
        sealed = [name for name in sums if name != METADATA]
        if metadata.held is None or not all(self._files.is_as_sealed(name, sums) for name in sealed):
            return  # what is missing or changed is reported already
        found = (len(sealed), sum(self._files.hashes[name].size_bytes for name in sealed))
        if (said := (metadata.held.file_count, metadata.held.size_bytes)) != found:
            message = f"the run should hold {said[0]} files of {said[1]:,} bytes, but holds {found[0]} of {found[1]:,}"
            self._found.add("metadata-mismatch", METADATA, message)

    def _check_counts(self, metadata: RunMetadata, checks: RecordChecks) -> None:
        outputs = sum(len(record.outputs) for record in checks.records)
        for name, found in (("record_count", len(checks.records)), ("output_count", outputs)):
            said = getattr(metadata, name)
            if said is not None and said != found and not checks.has_newer_lines:
                self._found.add("metadata-mismatch", METADATA, f"{name} is {said}, but the run holds {found}")

    def _check_feedback(self, feedback: FeedbackReading) -> None:
        sound = latest_sound_clock(datetime.now(UTC))
        for file in feedback.files:
            if ahead := [event for event in file.events if event.clock > sound]:
                message = f"the clock of {len(ahead)} events is beyond tomorrow, {ahead[-1].clock} for one"
                self._found.add("feedback-ahead", file.name, message)
            for problem in file.problems:
                self._found.add(problem.code, file.name, problem.reason, problem.line)
            if file.is_conflict_copy and file.events:
                self._found.add("feedback-conflict-copy", file.name)
            if file.document is not None and not is_state_of(file.document.state, file.events):
                self._found.add("feedback-stale", file.name)

    def _check_metrics(self, names: set[str]) -> None:
        for name in sorted(filter(is_metrics, names)):
            try:
                lines = list(iter_lines(self._run.path / name))
            except OSError as error:
                self._found.add("metrics-unreadable", name, f"cannot be read: {error.strerror or error}")
                continue
            for number, line, is_whole in lines:
                if not is_whole:
                    self._found.add("metrics-torn", name, None, number)
                elif (problem := find_batch_problem(self._run.run_id, line)) is not None:
                    self._found.add(problem.code, name, problem.reason, number)

    def _check_in_place(self, checks: RecordChecks) -> None:
        from stablenew.store.upkeep.verifying.origin_checks import (  # noqa: PLC0415
            count_elsewhere,
            iter_origin_findings,
        )

        self._found.items.extend(iter_origin_findings(self._run, checks.in_place, deep=self._deep))
        self._elsewhere = count_elsewhere(self._run, checks.in_place).total()

    def _check_deeply(self, checks: RecordChecks, *, has_all_records: bool) -> None:
        from stablenew.store.upkeep.verifying.deep_checks import (  # noqa: PLC0415
            iter_contradictions,
            iter_image_findings,
            iter_schema_findings,
        )

        findings = self._found.items
        findings.extend(iter_schema_findings(self._run.path))
        findings.extend(iter_contradictions(self._run, has_all_records=has_all_records))
        present = {path: output for path, output in checks.recorded.items() if path in self._files.hashes}
        findings.extend(iter_image_findings(self._run.path, present, self._decode))


_LOST = frozenset({"origin-missing", "origin-changed"})
"""Findings about an image in place that is not to be had."""


def _signature_of(run_path: Path) -> int | None:
    try:
        return folder_signature(os.lstat(run_path))
    except OSError:
        return None
