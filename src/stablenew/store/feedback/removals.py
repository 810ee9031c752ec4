"""The outputs of a run that were removed on purpose: their bytes are absent, and nothing is wrong with that.

A removal is a note about absent bytes. It never lets anything be deleted, here or elsewhere, and a run that lacks just
these outputs is whole.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from stablenew.formats.documents.event_fields import EventFields
from stablenew.formats.documents.feedback import Removal
from stablenew.formats.documents.feedback_fold import fold_removals
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run_folder import OUTPUTS


class Removals(NamedTuple):
    """The removals of a run that stand."""

    by_sha256: Mapping[str, Removal]
    by_digest: Mapping[str, Removal]

    def find(self, output: OutputReference) -> Removal | None:
        """The removal of this output."""
        removal = self.by_digest.get(output.digest)
        if removal is None or removal.size_bytes != output.size_bytes:
            return None
        return removal if output.sha256 in (None, removal.sha256) else None  # digests alone can be made equal


_REMOVE: Final = b'"remove"'
"""What every event that removes something has in its bytes."""
NO_REMOVALS: Final = Removals({}, {})


def find_removals(events: Iterable[EventFields]) -> Removals:
    """The removals that stand among the events of a run, which are in the order of `merge_events`."""
    found = [Removal.model_validate(fields) for fields in fold_removals(list(events))]
    return Removals({removal.sha256: removal for removal in found}, {removal.digest: removal for removal in found})


def are_removed(run_path: Path, names: Collection[str], sums: Mapping[str, str]) -> bool:
    """Whether all these files of a run, whose seal says `sums`, are outputs that were removed on purpose."""
    if not all(name.startswith(f"{OUTPUTS}/") for name in names) or not FeedbackLog(run_path).may_hold(_REMOVE):
        return False
    removed = read_removals(run_path).by_sha256
    return all(sums[name] in removed for name in names)


def read_removals(run_path: Path) -> Removals:
    """What the feedback of a run says was removed. Feedback that cannot be read removes nothing."""
    try:
        return find_removals(FeedbackLog(run_path).read().events)
    except OSError:
        return NO_REMOVALS
