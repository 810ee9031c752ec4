"""Evidence against a metric: which settings a program's scores are better with, by the statistics made for stars.

Those know a scale from 0 to 5 with differences of about a third. So scores are put on it, one standard deviation to a
star, and what comes out is put back into the units of the metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.errors import ConfigError
from stablenew.learning.dataset.columns import whole
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.evidence import Comparison, Evidence
from stablenew.learning.evidence.evidence_table import EvidenceTable, build_evidence_table, image_columns
from stablenew.learning.evidence.pictures import keep_first_rows
from stablenew.learning.evidence.rating_order import EARLIER
from stablenew.learning.evidence.rating_statistics import MOST_STARS, Interval
from stablenew.learning.evidence.value_evidence import ValueEvidence

PREFIX: Final = "metric."
"""How the names of metrics begin, as in a query."""


@dataclass(frozen=True)
class MetricScale:
    """Where the stars of a metric lie: `centre` is 2.5 stars, and `spread` is one."""

    metric: str
    centre: float
    spread: float

    def to_stars(self, scores: Any) -> Any:
        """Scores as stars; what is farther off than anybody could rate is at the end of the scale."""
        return np.clip((scores - self.centre) / self.spread + MOST_STARS / 2, 0.0, MOST_STARS)

    def mean(self, stars: Interval) -> Interval:
        """A mean in the units of the metric."""
        return Interval(*(self.centre + (bound - MOST_STARS / 2) * self.spread for bound in stars))

    def difference(self, stars: Interval) -> Interval:
        """A difference in the units of the metric."""
        return Interval(*(bound * self.spread for bound in stars))


def read_metric_table(dataset: Dataset, metric: str) -> tuple[EvidenceTable, MetricScale]:
    """The final images that have this metric, with it in place of ratings, and how to put results back.

    Raises:
        ConfigError: no image has it; the message names those there are.
    """
    images = dataset.read_images([*image_columns(), "metrics"])
    is_final = pc.fill_null(pc.equal(images["role"], "final"), True)
    images = images.filter(is_final)
    scores, names = _read_scores(images["metrics"], metric)
    if np.isnan(scores).all():
        known = ", ".join(f"{PREFIX}{name}" for name in names) or "none"
        raise ConfigError(f"no image has a metric {metric!r}; there are {known}")
    images = keep_first_rows(images.filter(pa.array(~np.isnan(scores))), dataset.pictures)
    scores, _ = _read_scores(images["metrics"], metric)
    spread = float(scores.std())
    scale = MetricScale(metric, float(scores.mean()), spread if spread > 0 else 1.0)
    return build_evidence_table(_with_stars(images, scale.to_stars(scores), PREFIX + metric)), scale


def _read_scores(column: pa.ChunkedArray, metric: str) -> tuple[Any, Sequence[str]]:
    """The score of each image, NaN where it has none, and the names of all metrics."""
    lists = whole(column)
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    entries = pc.list_flatten(lists)
    names = pc.struct_field(entries, 0)
    here = pc.equal(names, metric).to_numpy(zero_copy_only=False).astype(bool)
    scores = np.full(len(lists), np.nan)
    scores[parents[here]] = pc.struct_field(entries, 1).to_numpy(zero_copy_only=False)[here]
    return scores, sorted(pc.unique(names).to_pylist())


def _with_stars(images: pa.Table, stars: Any, rater: str) -> pa.Table:
    fields = {"rater": [rater] * len(stars), "rating": stars, "rated_at": np.zeros(len(stars), np.int64)}
    ratings = pa.StructArray.from_arrays([pa.array(values) for values in fields.values()], list(fields))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(len(stars) + 1), pa.int32()), ratings)
    for name, column in (("rating", pa.array(stars)), ("ratings", lists)):
        images = images.set_column(images.schema.get_field_index(name), name, pa.chunked_array([column]))
    return images.drop_columns([EARLIER] if EARLIER in images.column_names else [])


def in_units(evidence: Evidence, scale: MetricScale) -> Evidence:
    """The same in the units of the metric."""
    return replace(
        evidence,
        values=[_value_in_units(value, scale) for value in evidence.values],
        comparisons=[_comparison_in_units(comparison, scale) for comparison in evidence.comparisons],
    )


def _value_in_units(value: ValueEvidence, scale: MetricScale) -> ValueEvidence:
    raw = scale.mean(Interval(value.raw_mean, value.raw_mean, value.raw_mean)).estimate
    return replace(value, mean=scale.mean(value.mean), raw_mean=raw)


def _comparison_in_units(comparison: Comparison, scale: MetricScale) -> Comparison:
    difference = comparison.difference
    return replace(comparison, difference=difference._replace(interval=scale.difference(difference.interval)))
