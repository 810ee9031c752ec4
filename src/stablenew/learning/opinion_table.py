"""What people think of the images of many runs, as columns that are joined to the images by run and image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from stablenew.formats.digest import digest_bytes
from stablenew.formats.feedback import FeedbackEvent, fold_opinions, fold_preferences
from stablenew.learning.dataset_columns import FEEDBACK_COLUMNS
from stablenew.learning.run_source import RunFiles
from stablenew.learning.run_tables import Problem
from stablenew.store.feedback_files import parse_feedback
from stablenew.store.plain_feedback import read_plain_events

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_UNSAID: dict[str, Any] = {}
_NO_COMPARISONS = {"win_count": 0, "loss_count": 0, "tie_count": 0}
_CLOCK_TIME = len("2026-11-21T08:00:00.000Z")
_JOB_COLUMNS = ("job_rating", "job_rating_count", "job_tags")


@dataclass
class RunOpinions:
    """Everything people said of one run."""

    events: Sequence[FeedbackEvent] = ()
    by_image: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Opinions by image id and rater; the image id of the whole run is empty."""
    preferences: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def subjects(self) -> set[str]:
        """Every image that anybody spoke of."""
        return {*self.by_image, *(one[side] for one in self.preferences for side in ("winner", "loser"))}

    @property
    def digest(self) -> str:
        """Equal for equal sets of events."""
        return digest_bytes("\n".join(sorted(event.id for event in self.events)).encode())


def read_run_opinions(run: RunFiles) -> RunOpinions:
    """What the feedback files of a run come to, merged and folded."""
    if not run.feedback:
        return RunOpinions()
    problems: list[Problem] = []
    try:
        events: Sequence[FeedbackEvent] = read_plain_events(run.run_id, run.feedback)
    except ValueError:
        events, found = parse_feedback(run.run_id, run.feedback)
        problems = [Problem(run.run_id, one.path, one.line, one.reason) for one in found]
    by_image: dict[str, dict[str, dict[str, Any]]] = {}
    for (image, rater), opinion in fold_opinions(events).items():
        if opinion:
            by_image.setdefault(image, {})[rater] = opinion
    return RunOpinions(events, by_image, fold_preferences(events), problems)


def build_image_columns(images: Iterable[tuple[RunOpinions, str]]) -> dict[str, pa.Array]:
    """For each image (what is said of its run, image id) a value of every feedback column about images."""
    rows = [_describe_image(run, image) if image in run.subjects else _UNSAID for run, image in images]
    wanted = [column for column in FEEDBACK_COLUMNS if column.name not in _JOB_COLUMNS]
    return {column.name: pa.array([row.get(column.name) for row in rows], column.type) for column in wanted}


def build_job_columns(runs: Iterable[RunOpinions]) -> dict[str, pa.Array]:
    """For each run a value of every feedback column about whole runs."""
    rows = [_describe_job(run) for run in runs]
    wanted = [column for column in FEEDBACK_COLUMNS if column.name in _JOB_COLUMNS]
    return {column.name: pa.array([row.get(column.name) for row in rows], column.type) for column in wanted}


def _describe_job(run: RunOpinions) -> dict[str, Any]:
    own = run.by_image.get("", {}).values()
    stars = [one["rating"] for one in own if "rating" in one]
    return {
        "job_rating": sum(stars) / len(stars) if stars else None,
        "job_rating_count": len(stars),
        "job_tags": sorted({tag for one in own for tag in one.get("tags", ())}),
    }


def _describe_image(run: RunOpinions, image: str) -> dict[str, Any]:
    said = sorted(run.by_image.get(image, {}).items())
    stars = [one["rating"] for _, one in said if "rating" in one]
    flags = [one.get("flag") for _, one in said]
    return {
        "rating": sum(stars) / len(stars) if stars else None,
        "rating_count": len(stars),
        "ratings": [
            {"rater": rater, "rating": one["rating"], "rated_at": _moment(one["rated_at"])}
            for rater, one in said
            if "rating" in one
        ],
        "aspects": [
            {"rater": rater, "aspect": aspect, "rating": rating}
            for rater, one in said
            for aspect, rating in sorted(one.get("aspects", {}).items())
        ],
        "tags": sorted({tag for _, one in said for tag in one.get("tags", ())}),
        "pick_count": flags.count("pick"),
        "reject_count": flags.count("reject"),
        "notes": [note["text"] for _, one in said for note in one.get("notes", ())],
        **(_count_comparisons(run.preferences, image) if run.preferences else _NO_COMPARISONS),
    }


def _moment(clock: str) -> int:
    """Milliseconds since 1970 of a clock's wall time."""
    return (datetime.fromisoformat(clock[:_CLOCK_TIME]) - _EPOCH) // _MILLISECOND


def _count_comparisons(preferences: list[dict[str, Any]], image: str) -> dict[str, int]:
    counts = dict(_NO_COMPARISONS)
    for one in preferences:
        if image in (one["winner"], one["loser"]):
            is_win = one["outcome"] == "win"
            counts["tie_count" if not is_win else "win_count" if image == one["winner"] else "loss_count"] += 1
    return counts
