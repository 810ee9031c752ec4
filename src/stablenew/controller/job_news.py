"""JobNews: what panels show at once when a run has ended or a rating has changed."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stablenew.recording.side_channel import Hook, SideChannel

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory

JOB_COMPLETED: Final = "job_completed"
RATING_CHANGED: Final = "rating_changed"
_PATIENCE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class JobNews:
    """One change of one job."""

    kind: str
    """`job_completed` or `rating_changed`."""
    run_id: str
    job: dict[str, Any] | None
    """The job as history has it now, in the JSON form of JobSummary; None when history does not have it."""


class JobAnnouncer:
    """Sends news to listeners, each with the job as history shows it then.

    What fails here, a listener or the history itself, is logged once. The run or rating that the news is about is saved
    already, so whoever saved it must not see an error.
    """

    def __init__(self, open_history: "Callable[[], JobHistory]") -> None:
        self._open_history = open_history
        self._to_all: Hook[JobNews] = Hook("a listener to job news")
        self._to_ends: Hook[JobNews] = Hook("a listener to the ends of runs")
        self._channel = SideChannel("looking up job news")

    def subscribe(self, listener: Callable[[JobNews], object], *, only_ends: bool = False) -> None:
        """Call `listener` with each piece of news from now on, or only with those of runs that have ended."""
        (self._to_ends if only_ends else self._to_all).subscribe(listener)

    def announce(self, kind: str, run_ids: Iterable[str]) -> None:
        """Send news of each run. Without listeners nothing is looked up."""
        if self._to_all or (self._to_ends and kind == JOB_COMPLETED):
            self._channel.call(self._announce, kind, tuple(run_ids))

    def announce_unrecorded(self, run_id: str) -> None:
        """Send news of a run that has ended and is not in history, because it was not recorded."""
        self._emit(JobNews(JOB_COMPLETED, run_id, None))

    def _announce(self, kind: str, run_ids: tuple[str, ...]) -> None:
        history = self._open_history()
        history.refresh()
        for run_id in run_ids:
            self._emit(JobNews(kind, run_id, _find_job(history, run_id, is_over=kind == JOB_COMPLETED)))

    def _emit(self, news: JobNews) -> None:
        self._to_all.emit(news)
        if news.kind == JOB_COMPLETED:
            self._to_ends.emit(news)


def _find_job(history: "JobHistory", run_id: str, *, is_over: bool) -> dict[str, Any] | None:
    """The job as history has it. When another thread keeps the index up to date, that may take a moment."""
    from stablenew.errors import RunNotFound  # noqa: PLC0415
    from stablenew.store.run_folder import RUNNING  # noqa: PLC0415

    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        job = None
        with contextlib.suppress(RunNotFound):
            job = history.get(run_id).to_dict()
        is_late = job is None or (is_over and job["state"] == RUNNING)
        if not is_late or time.monotonic() > until:
            return job
        time.sleep(_PAUSE_SECONDS)
        history.refresh()
