"""RatingsStore: a star rating, 0 to 5, of whole jobs. A job is a run; its rating is an event about the run."""

from pathlib import Path

from stablenew.disk.atomic_file import replace_file
from stablenew.errors import FormatError, InvalidDocument, RunNotFound
from stablenew.formats.documents.feedback import Opinion
from stablenew.formats.documents.feedback_input import FeedbackInput
from stablenew.formats.run_id import is_run_id
from stablenew.formats.strict_json import JsonValue, encode_pretty_json, parse_json
from stablenew.recording.feedback_manager import FeedbackManager
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.local_state import state_folder, store_key
from stablenew.store.run_lock import file_guard
from stablenew.store.run_store import RunStore


class RatingsStore:
    """One rater's ratings of the jobs in a store. They survive restarts, because they are in the run folders.

    A job may be rated before its run is there, for example while it is still on its way from another machine. Such a
    rating waits among the state of this machine, and is saved in the run when ratings are next used.
    """

    def __init__(self, runs: RunStore | Path | str = "runs", *, rater: str | None = None) -> None:
        self._store = runs if isinstance(runs, RunStore) else RunStore(runs)
        self._manager = FeedbackManager(self._store, rater=rater)
        self._early = EarlyRatings(self._store)

    def set_rating(self, job_id: str, rating: int | None) -> None:
        """Rate a job 0 to 5; None takes the rating away.

        Raises:
            RunNotFound: no job can have this id.
            InvalidDocument: the rating is out of range; nothing is written.
        """
        try:
            self._manager.record_feedback(job_id, None, rating)
        except RunNotFound:
            if not is_run_id(job_id):
                raise
            FeedbackInput.build(run_id=job_id, rating=rating)
            self._early.put(job_id, self._manager.rater, rating)
        else:
            self._early.drop(job_id, self._manager.rater)  # an earlier rating must not come after this one

    def get_ratings_dict(self) -> dict[str, int]:
        """The rating of every job this rater has rated. Unrated jobs are not in it: unrated is not zero."""
        rater = self._manager.rater
        early = self._early.read().get(rater, {})
        for job_id in early:
            self._early.save_with(job_id, self._manager)
        ratings = {job_id: rating for job_id, rating in early.items() if rating is not None}
        for run in self._store.iter_runs():
            reading = FeedbackLog(run.path).read()
            if reading.events:
                opinion = reading.build_document().state.run.get(rater, Opinion())
                if opinion.rating is not None:
                    ratings[run.run_id] = opinion.rating
        return ratings


class EarlyRatings:
    """Ratings of runs that are not there yet, kept among the state of this machine: by rater and run id."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._path = state_folder() / "early_ratings" / f"{store_key(store.root)}.json"

    def read(self) -> dict[str, dict[str, int | None]]:
        """All of them; none, if the file cannot be read, and none that no job can have."""
        try:
            found = parse_json(self._path.read_bytes())
        except (OSError, FormatError):
            return {}
        by_rater = found if isinstance(found, dict) else {}
        return {rater: _choose_ratings(jobs) for rater, jobs in by_rater.items() if isinstance(jobs, dict)}

    def put(self, job_id: str, rater: str, rating: int | None) -> None:
        """Keep a rating until its run is there."""
        with file_guard(self._path):
            ratings = self.read()
            self._write({**ratings, rater: {**ratings.get(rater, {}), job_id: rating}})

    def drop(self, job_id: str, rater: str) -> None:
        """Forget a rating that has been replaced."""
        if not self._path.exists():
            return
        with file_guard(self._path):
            ratings = self.read()
            self._write(
                {**ratings, rater: {key: value for key, value in ratings.get(rater, {}).items() if key != job_id}}
            )

    def save_with(self, job_id: str, manager: FeedbackManager) -> None:
        """Save the ratings of a run in the run, if it is there by now, and forget them here."""
        for rater, jobs in self.read().items():
            if job_id not in jobs:
                continue
            try:
                manager.record_feedback(job_id, None, jobs[job_id], rater=rater)
            except RunNotFound:
                return
            except InvalidDocument:  # somebody has edited the file
                pass
            self.drop(job_id, rater)

    def _write(self, ratings: dict[str, dict[str, int | None]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, encode_pretty_json(ratings))


def _choose_ratings(jobs: dict[str, JsonValue]) -> dict[str, int | None]:
    """Of what stands in the file, which somebody may have edited, the ratings that jobs can have."""
    return {
        job_id: rating
        for job_id, rating in jobs.items()
        if is_run_id(job_id) and (rating is None or (type(rating) is int and rating in range(6)))
    }
