"""Repair: finish what a crash left, without losing any complete line or output.

An interrupted run is sealed as `interrupted` with every complete record and every output that is there. A line that a
crash cut off was never acknowledged; it is removed and reported. Our own temporary files are deleted. Conflict copies
of feedback are deleted once all their events are in `feedback.json`. A run that is being written, or that comes from
another machine, is left alone.
"""

import contextlib
import hashlib
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import is_temporary, replace_file, replace_then_write_once, sync_folder
from stablenew.disk.regular_file import (
    is_gone,
    is_plain_folder,
    is_regular,
    is_surely_regular,
    read_regular,
    status_at,
)
from stablenew.errors import FormatError, RunLocked, StableNewError, WriteFailed
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.output_store import hash_file
from stablenew.store.run import Run
from stablenew.store.run_folder import (
    FEEDBACK,
    INCOMPLETE,
    MARKER_FOLDER,
    MAX_RECORDS_BYTES,
    METADATA,
    OUTPUTS,
    RECORDS,
    RUNNING,
    SEAL,
)
from stablenew.store.run_lock import RunLock
from stablenew.store.run_store import RunStore
from stablenew.store.run_writer import encode_metadata, make_read_only, with_held_files
from stablenew.store.seal import encode_seal
from stablenew.store.upkeep.store_files import iter_mended

SEALED_RUN: Final = "sealed"
TORN_LINE: Final = "torn-line-removed"
TEMPORARY: Final = "temporary-removed"
CONFLICT_COPY: Final = "conflict-copy-merged"
FEEDBACK_REBUILT: Final = "feedback-rebuilt"
STORE_FILE: Final = "store-file-written"
SKIPPED: Final = "skipped"


@dataclass(frozen=True, slots=True)
class RepairAction:
    """One thing that was done, or would be without `dry_run`."""

    code: str
    path: str
    message: str


@dataclass(slots=True)
class RepairReport:
    """What repairing one run, or the store around the runs, did."""

    subject: str
    actions: list[RepairAction] = field(default_factory=list)

    def add(self, code: str, path: str, message: str) -> None:
        """Note an action."""
        self.actions.append(RepairAction(code, path, message))

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        actions = [{"code": action.code, "path": action.path, "message": action.message} for action in self.actions]
        return {"run_id": self.subject, "actions": actions}


def repair_run(run: Run, *, dry_run: bool = False, force: bool = False, clock: Clock = SYSTEM_CLOCK) -> RepairReport:
    """Bring one run into order; see the module. `force` also finishes a run that another machine began.

    Raises:
        WriteFailed: the disk would not take it; the run is as it was, or a step further.
    """
    report = RepairReport(run.run_id)
    _repair(run, report, dry_run=dry_run, force=force, clock=clock)
    return report


def repair_or_explain(run: Run, *, dry_run: bool = False, force: bool = False) -> RepairReport:
    """As `repair_run`, for one of many runs: an error becomes part of its report and does not stop the others."""
    report = RepairReport(run.run_id)
    try:
        _repair(run, report, dry_run=dry_run, force=force, clock=SYSTEM_CLOCK)
    except (OSError, StableNewError) as error:
        report.add(SKIPPED, "", f"cannot be repaired: {error}")
    if is_gone(run.path):
        report.actions = [RepairAction(SKIPPED, "", "the run is not there any more")]
    return report


def _repair(run: Run, report: RepairReport, *, dry_run: bool, force: bool, clock: Clock) -> None:
    if not _is_sealed(run):
        _finish_unsealed(run, report, dry_run=dry_run, force=force, clock=clock)
    else:
        _remove_temporaries(run.path, report, dry_run=dry_run)
    _repair_feedback(run, report, dry_run=dry_run)


def _is_sealed(run: Run) -> bool:
    """As `Run.is_sealed`, but raises OSError when nobody knows: a sealed run must not be sealed again."""
    return is_surely_regular(run.path / SEAL)


def _finish_unsealed(run: Run, report: RepairReport, *, dry_run: bool, force: bool, clock: Clock) -> None:
    state = run.state
    if state == RUNNING:
        report.add(SKIPPED, "", "the run is being written now")
        return
    if state == INCOMPLETE and not force:
        report.add(
            SKIPPED, "", "the run began on another machine, which may still have the rest; --force finishes it here"
        )
        return
    lock = RunLock(run.path.parent, run.run_id)
    try:
        lock.acquire()
    except RunLocked:
        report.add(SKIPPED, "", "the run is being written now")
        return
    try:
        _remove_temporaries(run.path, report, dry_run=dry_run)
        if not _is_sealed(run):  # its writer may have finished before the lock was ours
            _remove_torn_line(run.path, report, dry_run=dry_run)
            _seal_as_interrupted(run, report, dry_run=dry_run, clock=clock)
    finally:
        lock.release(forget=not dry_run)


def _remove_temporaries(run_path: Path, report: RepairReport, *, dry_run: bool) -> None:
    for folder in (run_path, run_path / OUTPUTS):
        if not is_plain_folder(folder):
            continue
        for path in sorted(folder.iterdir()):
            if is_temporary(path.name) and is_regular(path):
                report.add(TEMPORARY, path.relative_to(run_path).as_posix(), "a file that a crash left unfinished")
                if not dry_run:
                    path.unlink()


def _remove_torn_line(run_path: Path, report: RepairReport, *, dry_run: bool) -> None:
    path = run_path / RECORDS
    if not is_surely_regular(path):
        return
    data = read_regular(path, MAX_RECORDS_BYTES)
    whole, newline, torn = data.rpartition(b"\n")
    if not torn:
        return
    line = whole.count(b"\n") + len(newline) + 1
    report.add(TORN_LINE, RECORDS, f"line {line}, {len(torn)} bytes; it was never acknowledged")
    if not dry_run:
        replace_file(path, whole + newline)


def _seal_as_interrupted(run: Run, report: RepairReport, *, dry_run: bool, clock: Clock) -> None:
    try:
        metadata = Run(run.path).metadata
    except (OSError, FormatError) as error:
        report.add(SKIPPED, METADATA, f"cannot be sealed without its metadata: {error}")
        return
    records, problems = run.read_records()
    # A torn line is gone by now; a damaged one stays and is sealed in, for `verify` to report. But a file that could
    # not be read may be sound, and the run could never be sealed again with what it holds.
    if unreadable := next((problem for problem in problems if problem.is_unreadable), None):
        report.add(SKIPPED, RECORDS, f"cannot be read now, so nothing was sealed: {unreadable.reason}")
        return
    outputs = _output_paths(run.path)
    report.add(SEALED_RUN, SEAL, f"as interrupted, with {len(records)} records and {len(outputs)} outputs")
    if not dry_run:
        _write_seal(run.path, _as_interrupted(metadata, records, clock), [RECORDS, *outputs])


def _as_interrupted(metadata: RunMetadata, records: Sequence[LearningRecord], clock: Clock) -> RunMetadata:
    by_stage: dict[str, list[str]] = {}
    for record in records:
        for output in record.outputs:
            if output.path is not None:
                by_stage.setdefault(output.stage, []).append(output.path)
    return RunMetadata.from_dict(
        metadata.to_dict()
        | {
            "status": "interrupted",
            "finished_at": clock.timestamp(),
            "record_count": len(records),
            "output_count": sum(len(record.outputs) for record in records),
            "stages": [{"name": name, "outputs": paths} for name, paths in by_stage.items()],
        }
    )


def _write_seal(run_path: Path, metadata: RunMetadata, files: Sequence[str]) -> None:
    """Complete the metadata and seal it with those of `files` that are there."""
    hashes = {name: hash_file(run_path / name) for name in files if is_surely_regular(run_path / name)}
    sums = {name: found.sha256 for name, found in hashes.items()}
    size = sum(found.size_bytes for found in hashes.values())
    document = encode_metadata(with_held_files(metadata, len(hashes), size))
    sums[METADATA] = hashlib.sha256(document).hexdigest()
    replace_then_write_once((run_path / METADATA, document), (run_path / SEAL, encode_seal(sums)))
    make_read_only(run_path, [*sums, SEAL])


def _output_paths(run_path: Path) -> list[str]:
    folder = run_path / OUTPUTS
    status = status_at(folder)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return []
    files = [path.name for path in folder.iterdir() if path.name[0] != "." and is_surely_regular(path)]
    return sorted(f"{OUTPUTS}/{name}" for name in files)


def _repair_feedback(run: Run, report: RepairReport, *, dry_run: bool) -> None:
    log = FeedbackLog(run.path)
    reading = log.read()
    for file in reading.unreadable:
        report.add(SKIPPED, file.name, f"cannot be read now: {file.problems[0].reason}")
    if reading.unreadable or (not reading.events and not reading.is_damaged):
        return
    if reading.is_newer:
        report.add(SKIPPED, FEEDBACK, "a later version wrote it")
        return
    if reading.is_damaged:
        report.add(FEEDBACK_REBUILT, FEEDBACK, f"set aside; {len(reading.events)} events come from the other files")
    if reading.unlogged:
        report.add(
            FEEDBACK_REBUILT, FEEDBACK, f"{len(reading.unlogged)} events that an older copy had replaced are back"
        )
    for name in log.consolidate(dry_run=dry_run):
        report.add(CONFLICT_COPY, name, f"all it says is in {FEEDBACK}")


def repair_store(store: RunStore, *, dry_run: bool = False) -> RepairReport:
    """Remove run folders that a crash left before they had a name, and mend the store's own files.

    Such folders are ours, and nothing in them was acknowledged.
    """
    report = RepairReport("")
    if not store.root.is_dir():
        return report
    for path in sorted(store.root.iterdir()):
        if is_temporary(path.name) and is_plain_folder(path):
            run_id = path.name[1:].rsplit(".", 2)[0]
            if not RunLock(store.root, run_id).is_held():
                report.add(TEMPORARY, path.name, "a run or a copy that never came to be")
                if not dry_run:
                    shutil.rmtree(path, ignore_errors=True)
    if is_plain_folder(store.root / MARKER_FOLDER):
        for name, reason in iter_mended(store.root, dry_run=dry_run):
            report.add(STORE_FILE, f"{MARKER_FOLDER}/{name}", f"written again: it {reason}")
    if report.actions and not dry_run:
        with contextlib.suppress(WriteFailed):
            sync_folder(store.root)
    return report
