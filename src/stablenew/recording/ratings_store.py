"""RatingsStore: a star rating, 0 to 5, of whole jobs. A job is a run; its rating is an event about the run."""

from pathlib import Path

from stablenew.formats.documents.feedback import Opinion
from stablenew.recording.feedback_manager import FeedbackManager
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run_store import RunStore


class RatingsStore:
    """One rater's ratings of the jobs in a store. They survive restarts, because they are in the run folders."""

    def __init__(self, runs: RunStore | Path | str = "runs", *, rater: str | None = None) -> None:
        self._store = runs if isinstance(runs, RunStore) else RunStore(runs)
        self._manager = FeedbackManager(self._store, rater=rater)

    def set_rating(self, job_id: str, rating: int | None) -> None:
        """Rate a job 0 to 5; None takes the rating away.

        Raises:
            RunNotFound: there is no such job.
            InvalidDocument: the rating is out of range; nothing is written.
        """
        self._manager.record_feedback(job_id, None, rating)

    def get_ratings_dict(self) -> dict[str, int]:
        """The rating of every job this rater has rated. Unrated jobs are not in it: unrated is not zero."""
        ratings = {}
        for run in self._store.iter_runs():
            reading = FeedbackLog(run.path).read()
            if reading.events:
                opinion = reading.build_document().state.run.get(self._manager.rater, Opinion())
                if opinion.rating is not None:
                    ratings[run.run_id] = opinion.rating
        return ratings
