"""What lies in run folders: how much, and what should not be there. Names and sizes only; no file is opened."""

import contextlib
import os
from dataclasses import dataclass

from stablenew.disk.temporary_name import is_temporary
from stablenew.store.run import Run
from stablenew.store.run_folder import FEEDBACK, OUTPUTS, is_feedback, is_feedback_log, is_sync_leftover


@dataclass(frozen=True, slots=True)
class RunSurvey:
    """One run folder."""

    run_id: str
    size_bytes: int
    file_count: int
    conflict_copies: tuple[str, ...]
    """Copies of feedback that a sync tool made when two machines wrote at once."""
    leftovers: tuple[str, ...]
    """Temporary files of ours or of a sync tool."""


def survey_run(run: Run) -> RunSurvey:
    """A look at one run folder; what vanishes meanwhile is left out."""
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
