"""Scoring the images of a query in child processes, and keeping the scores beside them.

What is scored stays scored, also when the work is stopped in the middle; the next call goes on with the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from stablenew.controller.scoring.scorers import Scorer, load_scorer
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.documents.metric import Metric, MetricBatch
from stablenew.index.job_history import JobHistory
from stablenew.store.feedback.score_log import append_scores
from stablenew.store.local_state import replica_id
from stablenew.worker_pool import iter_answers, processor_count

Progress = Callable[[int, int], None]
_WORKER: Final = "stablenew.controller.scoring.score_worker"
_PAGE: Final = 500
_IMAGES_A_TASK: Final = 16
_FACTS: Final = ("digest", "run_id", "name", "prompt", "negative", "settings", "stage", "width", "height")
"""What a scorer is told of an image."""


@dataclass
class ScoringReport:
    """What a scoring did."""

    scorer: str
    scored: int = 0
    """Images with new scores."""
    known: int = 0
    """Images that this scorer had scored before."""
    metrics: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    """Why some images have no score."""


def score_images(
    history: JobHistory,
    query: str,
    name: str,
    *,
    workers: int | None = None,
    again: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> ScoringReport:
    """Score the images that fit `query` with the scorer called `name`; with `again` also those that it has scored.

    Raises:
        ConfigError: there is no such scorer.
        InvalidQuery: the query cannot be parsed.
        ChildProcessError: a worker died; what was scored before is kept.
        WriteFailed: a score could not be written.
    """
    scorer = load_scorer(name)  # here first: an error is clearer from one process than from several
    images = history.image_snapshot(query, sort="oldest").images.tolist()
    known = set() if again else history.scored_by(scorer.identity)
    wanted = [image for image in images if image not in known]
    report = ScoringReport(scorer.identity, known=len(images) - len(wanted))
    if not wanted:
        return report
    asked: list[Mapping[str, Any]] = []
    arguments = [str(history.root.absolute()), _absolute(name)]
    count = min(workers or processor_count(), len(wanted))
    done = 0
    for number, answer in enumerate(iter_answers(_WORKER, arguments, _iter_tasks(history, wanted, asked), count=count)):
        _keep(history.root, asked[number]["run_id"], scorer, answer, report)
        asked[number] = {"run_id": ""}
        done += len(answer)
        progress(done, len(wanted))
    return report


def _absolute(name: str) -> str:
    """The scorer's name as every process understands it."""
    place, colon, function = name.rpartition(":")
    return f"{Path(place).absolute()}:{function}" if colon and place.endswith(".py") else name


def _iter_tasks(history: JobHistory, images: Sequence[int], asked: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The images by run, a few at a time; each task is also appended to `asked`."""
    for start in range(0, len(images), _PAGE):
        rows = history.image_rows(images[start : start + _PAGE])
        for run_id, group in groupby(rows, lambda row: str(row["run_id"])):
            facts = [{name: row[name] for name in _FACTS} for row in group]
            for first in range(0, len(facts), _IMAGES_A_TASK):
                task = {"run_id": run_id, "images": facts[first : first + _IMAGES_A_TASK]}
                asked.append(task)
                yield task


def _keep(
    root: Path,
    run_id: str,
    scorer: Scorer,
    answer: Sequence[tuple[str, dict[str, float], str | None]],
    report: ScoringReport,
) -> None:
    """Write the scores of a task as one batch."""
    scores = [
        Metric(image_id=digest, metric=metric, value=value, scorer=scorer.identity)
        for digest, found, _ in answer
        for metric, value in found.items()
    ]
    if scores:
        replica, at = replica_id(), SYSTEM_CLOCK.timestamp()
        append_scores(root / run_id, MetricBatch(run_id=run_id, replica=replica, scored_at=at, scores=tuple(scores)))
    report.scored += sum(bool(found) for _, found, _ in answer)
    report.metrics.update(score.metric for score in scores)
    report.problems += [f"{run_id} {digest}: {problem}" for digest, _, problem in answer if problem is not None]
