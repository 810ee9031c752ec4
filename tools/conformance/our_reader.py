"""What this program makes of a store, in the form of the conformance suite."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from stablenew.formats.documents.feedback import FeedbackEvent, fold_events, merge_events
from stablenew.formats.documents.feedback_fold import fold_trash
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.store.feedback.feedback_files import FeedbackReading, read_feedback_files
from stablenew.store.metric_files import Score, iter_scores, read_scores
from stablenew.store.run import Run, final_outputs
from stablenew.store.run_folder import MARKER_FILE, MARKER_FOLDER, SEALED, is_feedback, is_metrics
from stablenew.store.run_store import RunStore
from stablenew.store.upkeep.store_files import verify_store_entries, verify_store_files
from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
from stablenew.store.upkeep.verifying.verify_report import CODES, Finding

_LEFT_OUT: Final = ("schema-violation", "image-", "origin-")
_IGNORED: Final = {"file-foreign": "file-ignored", "file-leftover": "file-ignored"}


class RunContents(NamedTuple):
    """A run as it was read."""

    run: Run
    records: list[LearningRecord]
    feedback: FeedbackReading
    scores: list[Score]


def describe_store(root: Path) -> dict[str, Any]:
    """States, folds, joins and findings of a store."""
    contents = [_read(run) for run in RunStore(root).iter_runs()]
    return {
        "runs": {run.run.run_id: _describe(run) for run in contents},
        "images": _join(contents),
        "findings": list_findings(_iter_store_findings(root)),
    }


def _read(run: Run) -> RunContents:
    names = sorted(entry.name for entry in os.scandir(run.path) if entry.is_file(follow_symlinks=False))
    scores = [(name, (run.path / name).read_bytes()) for name in names if is_metrics(name)]
    feedback = read_feedback_files(run.path, filter(is_feedback, names))
    return RunContents(run, run.read_records()[0], feedback, read_scores(run.run_id, scores))


def _describe(contents: RunContents) -> dict[str, Any]:
    run = contents.run
    state = run.state
    events = contents.feedback.events
    return {
        "state": state,
        "status": run.metadata.status if state == SEALED else state,
        "digest": run.digest if run.is_sealed else None,
        "records": [[record.variant.index, record.status, len(record.outputs)] for record in contents.records],
        "events": [event.id for event in events],
        "feedback": fold_events(events).to_dict(),
        "findings": list_findings(RunVerifier(run, deep=True).verify().findings),
    }


def list_findings(findings: Iterator[Finding] | tuple[Finding, ...]) -> list[list[Any]]:
    """Findings as the suite lists them."""
    found = {
        (CODES[finding.code][0], _IGNORED.get(finding.code, finding.code), finding.path, _line_of(finding))
        for finding in findings
        if not finding.code.startswith(_LEFT_OUT)
    }
    return sorted(map(list, found), key=lambda finding: (finding[1], finding[2], finding[3] or 0))


def _line_of(finding: Finding) -> int | None:
    return finding.line if ".jsonl" in finding.path else None


def _iter_store_findings(root: Path) -> Iterator[Finding]:
    yield from verify_store_entries(root).findings
    if (root / MARKER_FOLDER).is_dir():
        yield from (finding for finding in verify_store_files(root).findings if finding.path == MARKER_FILE)


def _join(contents: list[RunContents]) -> dict[str, Any]:
    """What is known of each image over all runs that have an output of its digest."""
    runs: dict[str, list[RunContents]] = {}
    for run in contents:
        for digest in dict.fromkeys(output.digest for record in run.records for output in record.outputs):
            runs.setdefault(digest, []).append(run)
    return {digest: _describe_image(digest, holding) for digest, holding in sorted(runs.items())}


def _describe_image(digest: str, runs: list[RunContents]) -> dict[str, Any]:
    events: tuple[FeedbackEvent, ...] = merge_events(*(run.feedback.events for run in runs))
    opinions = fold_events(events).to_dict()["images"].get(digest, {})
    return {
        "runs": [run.run.run_id for run in runs],
        "opinions": opinions,
        "trashed": digest in fold_trash(events),
        "metrics": _newest_scores(digest, runs),
    }


def _newest_scores(digest: str, runs: list[RunContents]) -> list[list[Any]]:
    scores = [score for run in runs for score in _iter_scores(run, digest)]
    if len(runs) > 1:  # those of one run are in order
        scores.sort(key=lambda score: (score.scored_at, score.value))
    newest = {(score.metric, score.scorer): score.value for score in scores}
    return [[metric, scorer or None, value] for (metric, scorer), value in sorted(newest.items())]


def _iter_scores(run: RunContents, digest: str) -> Iterator[Score]:
    for record in run.records:
        finals = {output.digest for output in final_outputs(record)}
        for score in iter_scores([metric.to_dict() for metric in record.metrics or ()], ""):
            if score.image_id == digest or (score.image_id is None and digest in finals):
                yield score
    yield from (score for score in run.scores if score.image_id in (None, digest))
