"""What people think of a run, for the index: read fast where it is written the usual way, else strictly."""

import os
from collections.abc import Sequence
from pathlib import Path

from stablenew.formats.feedback import fold_opinions
from stablenew.index.run_entry import OpinionEntry, build_opinion_entry
from stablenew.store.feedback_log import FeedbackLog
from stablenew.store.plain_feedback import read_plain_events
from stablenew.store.regular_file import read_regular
from stablenew.store.run_folder import MAX_FEEDBACK_BYTES


def read_opinions(run_path: Path, files: Sequence[str]) -> OpinionEntry:
    """What the feedback files of a run come to: those in its folder, and this machine's journal of what it said."""
    try:
        contents = [(os.path.basename(path), read_regular(path, MAX_FEEDBACK_BYTES)) for path in files]
        return build_opinion_entry(fold_opinions(read_plain_events(run_path.name, contents)))
    except (ValueError, OSError):
        return _read_strictly(run_path)


def _read_strictly(run_path: Path) -> OpinionEntry:
    try:
        state = FeedbackLog(run_path).read().build_document().state
    except OSError:
        return OpinionEntry()
    opinions = {("", rater): opinion.to_dict() for rater, opinion in state.run.items()}
    for image, by_rater in state.images.items():
        opinions |= {(image, rater): opinion.to_dict() for rater, opinion in by_rater.items()}
    return build_opinion_entry(opinions)
