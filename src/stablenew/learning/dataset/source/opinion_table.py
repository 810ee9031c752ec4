"""What people think of the images of many runs, as columns that are joined to the images by run and image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.event_fields import EventFields
from stablenew.formats.documents.feedback_fold import (
    fold_earlier_ratings,
    fold_opinions,
    fold_preferences,
    fold_removals,
    fold_trash,
    standing_events,
)
from stablenew.learning.dataset.columns import ASPECTS, FEEDBACK_COLUMNS, MOMENT, RATINGS
from stablenew.learning.dataset.source.run_source import Problem, RunFiles
from stablenew.store.feedback.fast_feedback_reader import read_events
from stablenew.store.feedback.feedback_files import parse_feedback

_CLOCK_TIME = len("2026-11-21T08:00:00.000Z")
_JOB_COLUMNS = ("job_rating", "job_rating_count", "job_tags")
_UNSAID: Final[dict[str, int | bool]] = {
    **dict.fromkeys(("rating_count", "pick_count", "reject_count", "win_count", "loss_count", "tie_count"), 0),
    **dict.fromkeys(("trashed", "removed"), False),
}
"""What columns hold that are never null, where nobody said anything."""
_TYPES = {column.name: column.type for column in FEEDBACK_COLUMNS}


@dataclass
class RunOpinions:
    """Everything people said of one run."""

    events: Sequence[EventFields] = ()
    by_image: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Opinions by image id and rater; the image id of the whole run is empty."""
    earlier: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    """Stars that were given before others, with their clocks, by image id and rater."""
    preferences: list[dict[str, Any]] = field(default_factory=list)
    trashed: frozenset[str] = frozenset()
    """Images that are in the trash."""
    removed: frozenset[str] = frozenset()
    """Images whose bytes were removed on purpose, on some machine."""
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def subjects(self) -> set[str]:
        """Every image that anybody spoke of."""
        compared = (preference[side] for preference in self.preferences for side in ("winner", "loser"))
        return {*self.by_image, *compared, *self.trashed, *self.removed}

    @property
    def digest(self) -> str:
        """Equal for equal sets of events."""
        return digest_bytes("\n".join(sorted([event.id for event in self.events])).encode())


def read_run_opinions(run: RunFiles) -> RunOpinions:
    """What the feedback files of a run come to, merged and folded."""
    return fold_run_opinions(*read_run_events(run)) if run.feedback else RunOpinions()


def read_run_events(run: RunFiles) -> tuple[Sequence[EventFields], list[Problem]]:
    """The events in the feedback files of a run, in the order of `merge_events`, and what could not be read."""
    try:
        return read_events(run.run_id, run.feedback), []
    except ValueError:
        events, found = parse_feedback(run.run_id, run.feedback)
        return events, [Problem(run.run_id, problem.path, problem.line, problem.reason) for problem in found]


def fold_run_opinions(events: Sequence[EventFields], problems: Sequence[Problem] = ()) -> RunOpinions:
    """What these events mean, which are in the order of `merge_events`."""
    standing = standing_events(events)
    by_image: dict[str, dict[str, dict[str, Any]]] = {}
    for (image, rater), opinion in fold_opinions(standing).items():
        if opinion:
            by_image.setdefault(image, {})[rater] = opinion
    removed = frozenset(removal["digest"] for removal in fold_removals(standing))
    return RunOpinions(
        events,
        by_image,
        fold_earlier_ratings(standing),
        fold_preferences(standing),
        fold_trash(standing),
        removed,
        list(problems),
    )


def build_feedback_columns(judged: Sequence[tuple[int, RunOpinions, str]], count: int) -> dict[str, pa.Array]:
    """The feedback columns of `count` images; `judged` are those that anybody spoke of: row, what is said, image id."""
    described = build_image_columns((opinions, image) for _, opinions, image in judged)
    places = np.full(count, -1, np.int64)
    places[[row for row, _, _ in judged]] = np.arange(len(judged))
    take = pa.array(places, mask=places < 0)
    columns = {name: column.take(take) for name, column in described.items()}
    return columns | {name: pc.fill_null(columns[name], value) for name, value in _UNSAID.items()}


def build_image_columns(images: Iterable[tuple[RunOpinions, str]]) -> dict[str, pa.Array]:
    """For each image that anybody spoke of (what is said of its run, image id) its feedback columns."""
    rows: list[_ImageRow] = []
    ratings, earlier, aspects = _Lists(RATINGS), _Lists(RATINGS), _Lists(ASPECTS)
    for run, image in images:
        said = sorted(run.by_image.get(image, {}).items())
        rated = [(rater, opinion["rating"], opinion["rated_at"]) for rater, opinion in said if "rating" in opinion]
        ratings.append(rated)
        earlier.append((rater, *word) for rater, *_ in rated for word in run.earlier.get((image, rater), ()))
        aspects.append(
            [
                (rater, *pair)
                for rater, opinion in said
                if "aspects" in opinion
                for pair in sorted(opinion["aspects"].items())
            ]
        )
        row = _describe_image(
            [opinion for _, opinion in said], [stars for _, stars, _ in rated], run.preferences, image
        )
        rows.append(row._replace(trashed=image in run.trashed, removed=image in run.removed))
    columns = zip(*rows, strict=True) if rows else ([] for _ in _ImageRow._fields)
    arrays = {name: pa.array(column, _TYPES[name]) for name, column in zip(_ImageRow._fields, columns, strict=True)}
    lists = {"ratings": ratings, "earlier_ratings": earlier, "aspects": aspects}
    return arrays | {name: column.build() for name, column in lists.items()}


class _ImageRow(NamedTuple):
    """What is thought of an image; the fields are columns."""

    rating: float | None
    rating_count: int
    tags: list[str]
    pick_count: int
    reject_count: int
    notes: list[str]
    win_count: int = 0
    loss_count: int = 0
    tie_count: int = 0
    trashed: bool = False
    removed: bool = False


def _describe_image(
    said: list[dict[str, Any]], stars: list[int], preferences: list[dict[str, Any]], image: str
) -> _ImageRow:
    flags = [opinion["flag"] for opinion in said if "flag" in opinion]
    return _ImageRow(
        sum(stars) / len(stars) if stars else None,
        len(stars),
        sorted({tag for opinion in said if "tags" in opinion for tag in opinion["tags"]}),
        flags.count("pick"),
        flags.count("reject"),
        [note["text"] for opinion in said if "notes" in opinion for note in opinion["notes"]],
        *(_count_comparisons(preferences, image) if preferences else ()),
    )


class _Lists:
    """A column of lists of structs under way, each a tuple: much faster than from a dict each."""

    def __init__(self, kind: pa.ListType) -> None:
        self._kind = kind
        self._rows: list[tuple[Any, ...]] = []
        self._ends = [0]

    def append(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add the next entry's list."""
        self._rows.extend(rows)
        self._ends.append(len(self._rows))

    def build(self) -> pa.ListArray:
        """The column, with an entry for each list that was added."""
        fields = list(self._kind.value_type)
        columns = zip(*self._rows, strict=True) if self._rows else ([] for _ in fields)
        arrays = [
            _moments(values) if field.type == MOMENT else pa.array(values, field.type)
            for values, field in zip(columns, fields, strict=True)
        ]
        structs = pa.StructArray.from_arrays(arrays, fields=fields)
        return pa.ListArray.from_arrays(pa.array(self._ends, pa.int32()), structs, type=self._kind)


def _moments(clocks: Iterable[str]) -> pa.Array:
    """The wall time of hybrid clocks."""
    return pc.cast(pa.array([clock[:_CLOCK_TIME] for clock in clocks], pa.string()), MOMENT)


def build_job_columns(runs: Iterable[RunOpinions]) -> dict[str, pa.Array]:
    """For each run a value of every feedback column about whole runs."""
    rows = [_describe_job(run) for run in runs]
    return {name: pa.array([row[name] for row in rows], _TYPES[name]) for name in _JOB_COLUMNS}


def _describe_job(run: RunOpinions) -> dict[str, Any]:
    own = run.by_image.get("", {}).values()
    stars = [opinion["rating"] for opinion in own if "rating" in opinion]
    return {
        "job_rating": sum(stars) / len(stars) if stars else None,
        "job_rating_count": len(stars),
        "job_tags": sorted({tag for opinion in own for tag in opinion.get("tags", ())}),
    }


def _count_comparisons(preferences: list[dict[str, Any]], image: str) -> tuple[int, int, int]:
    """How often an image won, lost, and neither."""
    own = [comparison for comparison in preferences if image in (comparison["winner"], comparison["loser"])]
    decided = [comparison["winner"] == image for comparison in own if comparison["outcome"] == "win"]
    wins = sum(decided)
    return wins, len(decided) - wins, len(own) - len(decided)
