"""What people think of a run, for the index: read fast where it is written the usual way, else strictly."""

from collections.abc import Mapping
from pathlib import Path

from stablenew.formats.documents.feedback import fold_opinions
from stablenew.index.reading.run_entry import OpinionEntry, build_opinion_entry
from stablenew.store.feedback.fast_feedback_reader import read_plain_events
from stablenew.store.feedback.feedback_log import FeedbackLog


def read_opinions(run_path: Path, contents: Mapping[str, bytes | OSError]) -> OpinionEntry:
    """What the feedback files of a run come to: what each in its folder, and this machine's journal, was found to hold.

    When one could not be read, only the strict reader knows what the others come to.
    """
    files = [(name, data) for name, data in contents.items() if isinstance(data, bytes)]
    if len(files) < len(contents):
        return _read_strictly(run_path)
    try:
        return build_opinion_entry(fold_opinions(read_plain_events(run_path.name, files)))
    except ValueError:
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
