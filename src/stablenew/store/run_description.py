"""A run as plain JSON: as one row, in full, and the contents of its folder by name and size."""

import contextlib
import os
from dataclasses import dataclass
from typing import Any

from stablenew.disk.atomic_file import is_temporary
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.store.run import Run
from stablenew.store.run_folder import FEEDBACK, OUTPUTS, SEALED, is_feedback, is_feedback_log, is_sync_leftover


def summarise_run(run: Run) -> dict[str, Any]:
    """A run as one row. `problem` is the reason why the metadata cannot be read, or None."""
    try:
        metadata = run.metadata
    except (OSError, ValueError) as error:
        return _summary(run, None, str(error))
    return _summary(run, metadata, None)


def _summary(run: Run, metadata: RunMetadata | None, problem: str | None) -> dict[str, Any]:
    state = run.state
    plan = metadata.variant_plan if metadata else None
    return {
        "run_id": run.run_id,
        "path": str(run.path),
        "state": state,
        "status": metadata.status if metadata and state == SEALED else state,
        "created_at": metadata.created_at if metadata else None,
        "duration_seconds": metadata.duration_seconds if metadata else None,
        "packs": [pack.name or pack.id for pack in metadata.packs] if metadata else [],
        "one_click_action": metadata.one_click_action if metadata else None,
        "engine": metadata.source.engine if metadata else None,
        "plan_size": plan.size if plan else None,
        "record_count": metadata.record_count if metadata else None,
        "output_count": metadata.output_count if metadata else None,
        "problem": problem,
    }


def describe_run(run: Run) -> dict[str, Any]:
    """A run in full: its row, its digest, its documents, and the problems in reading them."""
    records, problems = run.read_records()
    summary = summarise_run(run)
    return summary | {
        "digest": run.digest if run.is_sealed else None,
        "metadata": run.metadata.to_dict() if not summary["problem"] else None,
        "records": [record.to_dict() for record in records],
        "problems": [str(problem) for problem in problems],
    }


@dataclass(frozen=True, slots=True)
class RunSurvey:
    """One run folder."""

    run_id: str
    size_bytes: int
    file_count: int
    conflict_copies: tuple[str, ...]
    """Copies of feedback that a sync tool made because two machines wrote at the same time."""
    leftovers: tuple[str, ...]
    """Temporary files of ours or of a sync tool."""


def survey_run(run: Run) -> RunSurvey:
    """The contents of one run folder. Files that vanish while it is listed are left out."""
    size = count = 0
    copies, leftovers = [], []
    for folder in (run.path, run.path / OUTPUTS):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_file(follow_symlinks=False):
                    continue
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_size
                count += 1
                if is_temporary(entry.name) or (is_sync_leftover(entry.name) and not is_feedback(entry.name)):
                    leftovers.append(entry.name)
                elif is_feedback(entry.name) and entry.name != FEEDBACK and not is_feedback_log(entry.name):
                    copies.append(entry.name)
    return RunSurvey(run.run_id, size, count, tuple(sorted(copies)), tuple(sorted(leftovers)))
