"""Metric and MetricBatch: scores of images by programs.

A score that is given while a variant is recorded stands in its record. Later ones are lines of
`metrics.<replica>.jsonl` in the run, outside the seal; one machine writes a file, one line per batch. They are not
feedback: nobody undoes them, and there may be millions.
"""

from collections.abc import Iterable
from operator import itemgetter
from typing import ClassVar, Final, Literal, TypeAlias

from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Digest,
    Document,
    Extensions,
    Name,
    Number,
    RunId,
    SchemaVersion,
    Slug,
    Timestamp,
    WireModel,
)

_AGE: Final = itemgetter(0, 1)

MetricKey: TypeAlias = tuple[str | None, str, str | None]
"""Image, metric and scorer."""


class Metric(WireModel):
    """A score of one image: how beautiful, how near to the prompt, how safe."""

    image_id: Digest | None = None
    """The digest of the image; null is the whole variant, or in a batch the whole run."""
    metric: Slug
    """What was measured, such as `aesthetic` or `clip_similarity`."""
    value: Number
    scorer: Name | None = None
    """The program or model that measured it, with its version: scores of different scorers do not compare."""


class MetricBatch(Document):
    """Scores of images of one run that were computed together."""

    KIND: ClassVar[str] = "stablenew.metric_batch"

    kind: Literal["stablenew.metric_batch"] = "stablenew.metric_batch"
    schema_version: SchemaVersion = SCHEMA_VERSION
    run_id: RunId
    replica: Name
    """The machine whose file it was first written to."""
    scored_at: Timestamp
    scores: Array[Metric]
    ext: Extensions | None = None


def fold_metrics(batches: Iterable[MetricBatch]) -> dict[MetricKey, Metric]:
    """The scores that count: of each image, metric and scorer the newest, and of two at one time the greater one."""
    scores = [(batch.scored_at, score.value, score) for batch in batches for score in batch.scores]
    return {(score.image_id, score.metric, score.scorer): score for *_, score in sorted(scores, key=_AGE)}
