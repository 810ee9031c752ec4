"""Scores that programs gave images after the recording: `metrics.<replica>.jsonl` of a run, whoever wrote them.

Of the scores of an image, metric and scorer the one that was computed last counts, of two at one time the greater one;
those in records came before all others. A line or a score that is not valid hides no other.
"""

import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, Final, NamedTuple

from stablenew.disk.line_log import split_lines
from stablenew.errors import FormatError, NewerFormat
from stablenew.formats.digest import DIGEST_PATTERN
from stablenew.formats.documents.metric import MetricBatch
from stablenew.formats.model_base import SLUG_PATTERN, TIMESTAMP_PATTERN
from stablenew.formats.strict_json import parse_json
from stablenew.store.read_problem import NEWER, ReadProblem

UNREADABLE: Final = "metrics-unreadable"
MISMATCH: Final = "metrics-mismatch"

_DIGEST: Final = re.compile(DIGEST_PATTERN)
_SLUG: Final = re.compile(SLUG_PATTERN)
_TIMESTAMP: Final = re.compile(TIMESTAMP_PATTERN)
_LARGEST: Final = 1e308
_ORDER: Final = itemgetter(0, 1)


class Score(NamedTuple):
    """A valid score."""

    scored_at: str
    value: float
    image_id: str | None
    """None is the whole variant, or in a batch the whole run."""
    metric: str
    scorer: str
    """Empty where nobody is named."""


def read_scores(run_id: str, files: Iterable[tuple[str, bytes]]) -> list[Score]:
    """The scores in metrics files of a run (name, bytes), each once; the one that counts is the last."""
    found = {
        score
        for _, data in files
        for _, line, is_whole in split_lines(data)
        if is_whole
        for score in _read_batch(run_id, line)
    }
    return sorted(found, key=lambda score: (*_ORDER(score), score.image_id or "", score[3:]))


def _read_batch(run_id: str, line: bytes) -> Iterator[Score]:
    try:
        batch = parse_json(line)
    except ValueError:
        return
    if not isinstance(batch, dict) or batch.get("kind") != MetricBatch.KIND or batch.get("run_id") != run_id:
        return
    version, at = batch.get("schema_version"), batch.get("scored_at")
    is_known = isinstance(version, str) and version.startswith("1.")
    if is_known and isinstance(at, str) and _TIMESTAMP.fullmatch(at):
        yield from iter_scores(batch.get("scores"), at)


def find_batch_problem(run_id: str, line: bytes) -> ReadProblem | None:
    """Why a whole line is not a valid batch of scores of this run; None if it is one."""
    try:
        batch = MetricBatch.from_dict(parse_json(line))
    except FormatError as error:
        code = NEWER if isinstance(error, NewerFormat) else UNREADABLE
        return ReadProblem("", str(error), code=code)
    if batch.run_id != run_id:
        return ReadProblem("", f"it holds scores of run {batch.run_id}", code=MISMATCH)
    return None


def iter_scores(metrics: Any, scored_at: str) -> Iterator[Score]:
    """The valid ones of some scores as documents write them."""
    for metric in metrics if isinstance(metrics, list) else ():
        if isinstance(metric, dict) and (score := _read_score(metric, scored_at)) is not None:
            yield score


def _read_score(metric: dict[str, Any], scored_at: str) -> Score | None:
    image, name, value = metric.get("image_id"), metric.get("metric"), metric.get("value")
    scorer = metric.get("scorer") or ""
    if not (isinstance(name, str) and _SLUG.fullmatch(name) and isinstance(scorer, str)):
        return None
    if image is not None and not (isinstance(image, str) and _DIGEST.fullmatch(image)):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        return None
    return Score(scored_at, float(value), image, name, scorer)
