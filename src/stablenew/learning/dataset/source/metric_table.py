"""Scores that were added after the recording, joined to the metrics that the records hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stablenew.formats.digest import digest_bytes
from stablenew.learning.dataset.columns import OWN_METRICS
from stablenew.learning.dataset.source.own_settings import name_score
from stablenew.learning.dataset.source.run_source import RunFiles
from stablenew.store.metric_files import Score, read_scores


def digest_metrics(run: RunFiles) -> str | None:
    """Equal for equal scores that were added later; None where there are none."""
    scores = read_scores(run.run_id, run.metrics)
    return digest_bytes("\n".join(map(repr, scores)).encode()) if scores else None


def add_later_metrics(
    recorded: pa.Array, image_ids: pa.Array, origins: npt.NDArray[np.int64], runs: Sequence[RunFiles]
) -> pa.Array:
    """The metrics of images with the scores that were added later; `origins` has for each the index of its run."""
    later = {number: _by_image(read_scores(run.run_id, run.metrics)) for number, run in enumerate(runs) if run.metrics}
    rows = recorded.to_pylist()
    for row in np.flatnonzero(np.isin(origins, list(later))).tolist():
        found, metrics = later[int(origins[row])], _by_name(rows[row])
        for _, score in sorted(found.get(None, []) + found.get(image_ids[row].as_py(), [])):
            metrics[name_score(score)] = score.value
        rows[row] = [{"name": name, "value": value} for name, value in sorted(metrics.items())] or None
    return pa.array(rows, OWN_METRICS)


def _by_image(scores: Sequence[Score]) -> dict[str | None, list[tuple[int, Score]]]:
    """Scores by image, each with its place among all; None is the whole run."""
    found: dict[str | None, list[tuple[int, Score]]] = {}
    for place, score in enumerate(scores):
        found.setdefault(score.image_id, []).append((place, score))
    return found


def _by_name(entries: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    return {entry["name"]: entry["value"] for entry in entries or ()}
