"""What can happen to a run in the index, as followers hear of it."""

from typing import Final, NamedTuple

RUN_ADDED: Final = "run_added"
RUN_CHANGED: Final = "run_changed"
RUN_REMOVED: Final = "run_removed"
RESET: Final = "reset"
"""So much changed at once that whoever follows should ask for everything again."""


class RunChange(NamedTuple):
    """One thing that happened; the run id is empty for a reset."""

    kind: str
    run_id: str
