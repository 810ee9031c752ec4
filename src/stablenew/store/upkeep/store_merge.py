"""Merge: take in the runs and the feedback of another store. Doing it twice is the same as once.

Only sealed runs are taken, and only what their seals vouch for: every file is checked against its SHA-256 while it is
copied, and a run appears under its name when it is whole. What is here already is not read again. Two sealed runs of
one id that differ are both kept: ours stays, theirs goes under `.stablenew/divergent/`, and both are reported. Nothing
of ours is overwritten, nothing of theirs is touched.
"""

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from stablenew.disk.regular_file import is_regular, is_surely_regular, read_regular
from stablenew.errors import FormatError, NewerFormat, NotAsSealed, NotAStore, Unreadable, WriteFailed
from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.feedback.removals import read_removals
from stablenew.store.output_store import hash_file
from stablenew.store.run import Run
from stablenew.store.run_folder import MARKER_FOLDER, MAX_RECORDS_BYTES, OUTPUTS, RECORDS, RUNNING, SEAL, check_place
from stablenew.store.run_store import RunStore
from stablenew.store.seal import read_seal, run_digest
from stablenew.store.upkeep.metrics_merge import merge_metrics
from stablenew.store.upkeep.run_archive import UnpackedRuns
from stablenew.store.upkeep.sealed_copy import check_files, copy_files, copy_run, copy_seal, reading_sealed

ADDED: Final = "added"
COMPLETED: Final = "completed"
FEEDBACK: Final = "feedback"
UNCHANGED: Final = "unchanged"
DIVERGENT: Final = "divergent"
SKIPPED: Final = "skipped"
DIVERGENT_FOLDER: Final = f"{MARKER_FOLDER}/divergent"


@dataclass(frozen=True, slots=True)
class MergeItem:
    """What became of one run of the other store."""

    run_id: str
    outcome: str
    """`added`, `completed` (ours lacked files), `feedback` (opinions or scores were new), `unchanged`, `divergent`,
    `skipped`."""
    message: str = ""
    new_events: int = 0
    problems: tuple[str, ...] = ()
    """Feedback that could not be read there and so was not taken."""

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "run_id": self.run_id,
            "outcome": self.outcome,
            "message": self.message,
            "new_events": self.new_events,
            "problems": list(self.problems),
        }


@dataclass(slots=True)
class MergeReport:
    """What became of every run of the other store."""

    items: list[MergeItem] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything in the other store is here now."""
        return all(item.outcome not in {DIVERGENT, SKIPPED} and not item.problems for item in self.items)

    @property
    def counts(self) -> dict[str, int]:
        """How many runs had each outcome."""
        outcomes = (ADDED, COMPLETED, FEEDBACK, UNCHANGED, DIVERGENT, SKIPPED)
        return {outcome: sum(item.outcome == outcome for item in self.items) for outcome in outcomes}


def merge_stores(
    ours: RunStore,
    theirs: RunStore,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], object] | None = None,
) -> MergeReport:
    """Take every sealed run and all feedback of `theirs` into `ours`. One run that fails does not stop the others.

    Raises:
        NotAStore: there is no such folder, it holds no run, or something else is in the place of this store.
        WriteFailed: the disk would not take it; whatever was taken before is whole.
    """
    check_place(ours.root)
    theirs.check_exists()
    report = MergeReport()
    runs = list(theirs.iter_runs())
    if not runs:
        raise NotAStore(f"expected a folder of runs, found no run in it: {theirs.root}")
    unpacking = theirs.problems if isinstance(theirs, UnpackedRuns) else {}
    for number, run in enumerate(runs):
        item = _merge_run(ours, run, dry_run=dry_run)
        if item.outcome == SKIPPED and run.run_id in unpacking:
            item = replace(item, message=unpacking[run.run_id])
        report.items.append(item)
        if on_progress is not None:
            on_progress(number + 1, len(runs))
    return report


def _merge_run(ours: RunStore, theirs: Run, *, dry_run: bool) -> MergeItem:
    target = Run(ours.root / theirs.run_id)
    try:
        outcome, message = _merge_facts(ours, target, theirs, dry_run=dry_run)
        if outcome == SKIPPED and not target.path.is_dir():
            return MergeItem(theirs.run_id, SKIPPED, message)
        new_events, problems = _merge_feedback(target, theirs, dry_run=dry_run)
        new_scores = merge_metrics(target.path, theirs.path, dry_run=dry_run)
    except NewerFormat as error:
        return MergeItem(theirs.run_id, SKIPPED, str(error))
    except WriteFailed:
        raise
    except OSError as error:
        is_gone = not theirs.path.is_dir()
        return MergeItem(theirs.run_id, SKIPPED, "it is not there any more" if is_gone else f"cannot be read: {error}")
    if outcome == UNCHANGED and (new_events or new_scores):
        outcome = FEEDBACK
    return MergeItem(theirs.run_id, outcome, message, new_events, problems)


def _merge_facts(ours: RunStore, target: Run, theirs: Run, *, dry_run: bool) -> tuple[str, str]:
    if not theirs.is_sealed:
        return SKIPPED, f"it has no seal there ({theirs.state}); `stablenew repair` there, then merge again"
    try:
        sums = read_seal(theirs.path)
    except (OSError, FormatError) as error:
        return SKIPPED, f"its seal there cannot be read: {error}"
    try:
        absent = _absent(target, theirs, sums)
        sums = {name: sha256 for name, sha256 in sums.items() if name not in absent}
        if not target.path.is_dir():
            return _add(ours, target, theirs, sums, dry_run=dry_run)
        if is_surely_regular(target.path / SEAL):
            return _merge_sealed(target, theirs, sums, dry_run=dry_run)
        return _complete_unsealed(target, theirs, sums, dry_run=dry_run)
    except NotAsSealed as error:
        return SKIPPED, f"it is not what its seal says there: {error}"


def _absent(target: Run, theirs: Run, sums: dict[str, str]) -> set[str]:
    """Outputs that were removed on purpose and are missing on a side: a merge does not need them, nor bring them back.

    Raises:
        OSError: feedback cannot be read now.
    """
    missing_there = {name for name in sums if not is_regular(theirs.path / name)}
    missing_here = {name for name in sums if not is_regular(target.path / name)} if target.path.is_dir() else set()
    absent = set()
    for run, missing in ((theirs, missing_there), (target, missing_here)):
        if missing:
            removed = read_removals(run.path).by_sha256
            absent |= {name for name in missing if name.startswith(f"{OUTPUTS}/") and sums[name] in removed}
    return absent


def _add(ours: RunStore, target: Run, theirs: Run, sums: dict[str, str], *, dry_run: bool) -> tuple[str, str]:
    if dry_run:
        check_files(theirs.path, sums)
    else:
        ours.prepare()
        copy_run(theirs.path, target.path, sums)
    return ADDED, ""


def _merge_sealed(target: Run, theirs: Run, sums: dict[str, str], *, dry_run: bool) -> tuple[str, str]:
    if run_digest(target.path) != run_digest(theirs.path):
        place = _keep_divergent(target, theirs, sums, dry_run=dry_run)
        return DIVERGENT, f"both are sealed and differ; ours stays, theirs is kept in {place}"
    missing = {
        name: digest for name, digest in sums.items() if _is_missing_or_cut(target.path / name, theirs.path / name)
    }
    _take_files(theirs.path, target.path, missing, dry_run=dry_run)
    return (COMPLETED, f"{len(missing)} files were missing or cut off here") if missing else (UNCHANGED, "")


def _take_files(source: Path, target: Path, sums: dict[str, str], *, dry_run: bool) -> None:
    """Copy these files, or with `dry_run` see whether they could be. Raises: NotAsSealed."""
    if dry_run:
        check_files(source, sums)
    elif sums:
        copy_files(source, target, sums)


def _is_missing_or_cut(ours: Path, theirs: Path) -> bool:
    if not is_regular(ours):
        return True
    return is_regular(theirs) and os.lstat(ours).st_size < os.lstat(theirs).st_size


def _complete_unsealed(target: Run, theirs: Run, sums: dict[str, str], *, dry_run: bool) -> tuple[str, str]:
    """Ours came only in part, or was cut off where theirs went on: it must be the beginning of theirs."""
    if target.state == RUNNING:
        return SKIPPED, "it is being written here"
    if not _is_beginning_of(target.path, theirs.path, sums):
        place = _keep_divergent(target, theirs, sums, dry_run=dry_run)
        return DIVERGENT, f"ours has no seal and holds other things; ours stays, theirs is kept in {place}"
    wanted = {name: digest for name, digest in sums.items() if not _is_same(target.path, name, digest)}
    _take_files(theirs.path, target.path, wanted, dry_run=dry_run)
    if not dry_run:
        copy_seal(theirs.path, target.path)
    return COMPLETED, "it had no seal here"


def _is_beginning_of(target: Path, theirs: Path, sums: dict[str, str]) -> bool:
    if is_regular(target / RECORDS):
        ours = read_regular(target / RECORDS, MAX_RECORDS_BYTES)
        with reading_sealed(RECORDS):
            if RECORDS not in sums or not read_regular(theirs / RECORDS, MAX_RECORDS_BYTES).startswith(ours):
                return False
    outputs = [name for name in sums if name.startswith(f"{OUTPUTS}/") and is_regular(target / name)]
    return all(_is_same(target, name, sums[name]) for name in outputs)


def _is_same(run_path: Path, name: str, expected: str) -> bool:
    return is_regular(run_path / name) and hash_file(run_path / name).sha256 == expected


def _keep_divergent(target: Run, theirs: Run, sums: dict[str, str], *, dry_run: bool) -> str:
    digest = run_digest(theirs.path).partition(":")[2][:12]
    place = f"{DIVERGENT_FOLDER}/{theirs.run_id}.{digest}"
    path = target.path.parent / place
    if path.exists():
        return place
    if dry_run:
        check_files(theirs.path, sums)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        copy_run(theirs.path, path, sums)
    return place


def _merge_feedback(target: Run, theirs: Run, *, dry_run: bool) -> tuple[int, tuple[str, ...]]:
    """Take their events that we do not know into our own log: nobody writes another machine's."""
    reading = FeedbackLog(theirs.path).read()
    problems = tuple(str(problem) for problem in reading.problems if not problem.is_torn)
    if not reading.events or not target.path.is_dir():
        return len(reading.events), problems
    log = FeedbackLog(target.path)
    known = log.read()
    if known.unreadable:
        names = ", ".join(file.name for file in known.unreadable)
        raise Unreadable(errno.EIO, f"{names} cannot be read here now, so no feedback was added", str(target.path))
    new = _unknown(known.events, reading.events)
    if new and not dry_run:
        with log.writing() as own:
            if new := _unknown(own.events, reading.events):  # somebody else may have taken them meanwhile
                log.append(own, new)
    return len(new), problems


def _unknown(known: Iterable[FeedbackEvent], events: Iterable[FeedbackEvent]) -> list[FeedbackEvent]:
    ids = {event.id for event in known}
    return [event for event in events if event.id not in ids]
