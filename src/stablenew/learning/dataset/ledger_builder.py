"""The ledger of a dataset, from the assembled parts. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetExport, DatasetFile, DatasetLedger
from stablenew.formats.strict_json import canonical_bytes
from stablenew.learning.dataset.columns import COLUMNS, COLUMNS_VERSION, SPLITS, Column, text_of
from stablenew.learning.dataset.source.run_source import UNSELECTED, Problem
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.store.run_folder import RECORDS


@dataclass(frozen=True)
class BuildFacts:
    """What a build was asked to do."""

    software_version: str
    """The version of StableNew that builds."""
    location: str
    """Where the runs are."""
    query: str
    """The query that chose the runs."""
    asked_at: str
    """When the query was evaluated."""
    split: SplitPlan
    """How to split the images."""


def build_ledger(
    facts: BuildFacts,
    built_at: str,
    runs: pa.Table,
    digest: str,
    splits: Iterable[npt.NDArray[np.int8]],
    problems: Sequence[Problem],
    files: Sequence[DatasetFile],
    exports: Sequence[DatasetExport] = (),
    own_columns: Sequence[Column] = (),
    *,
    rated_count: int,
) -> DatasetLedger:
    """The ledger of a dataset of these `runs` (`RUNS_SCHEMA`), whose digest is given."""
    joined = _joined(runs)
    left_out = runs.filter(pc.is_valid(runs["left_out"]))
    reasons = pc.value_counts(left_out["left_out"]).to_pylist()
    return DatasetLedger.model_validate(
        {
            "software_version": facts.software_version,
            "built_at": built_at,
            "digest": digest,
            "columns_version": COLUMNS_VERSION,
            "source": {"location": facts.location, "query": facts.query, "asked_at": facts.asked_at},
            "split": facts.split.to_dict(),
            "counts": _count(runs, joined, left_out, problems) | {"images_rated": rated_count},
            "split_counts": _count_splits(splits),
            "left_out_by_reason": {reason["values"]: reason["counts"] for reason in reasons},
            "left_out": _name_left_out(left_out),
            "problems": [
                {name: value for name, value in problem._asdict().items() if value is not None} for problem in problems
            ],
            "exports": tuple(exports),
            "files": tuple(files),
            "columns": [
                {"name": column.name, "type": str(column.type), "meaning": column.meaning}
                for column in (*COLUMNS, *own_columns)
            ],
        }
    )


def digest_dataset(texts: Iterable[bytes], plan: SplitPlan) -> str:
    """The digest of a dataset of the runs with these `text_of_joined`, in the order of their ids.

    It is equal wherever and however the dataset is built.
    """
    head = {"columns_version": COLUMNS_VERSION, "split": plan.to_dict()}
    return digest_bytes(canonical_bytes(head) + (b"".join(texts) or b"\n"))


def text_of_joined(runs: pa.Table) -> bytes:
    """For each joined run, after a newline, a line that changes when its records, its feedback or its scores do."""
    joined = _joined(runs)
    starts = pc.binary_join_element_wise("", joined["run_id"], "\n")
    metrics = pc.fill_null(joined["metrics_digest"], "")
    if "chosen_digest" in joined.column_names:  # else an earlier version built it
        chosen = pc.binary_join_element_wise(metrics, joined["chosen_digest"], " ")
        metrics = pc.coalesce(chosen, metrics)
    lines = pc.binary_join_element_wise(starts, joined["digest"], joined["feedback_digest"], metrics, " ")
    return b"".join(text_of(chunk) for chunk in lines.chunks)


def _joined(runs: pa.Table) -> pa.Table:
    return runs.filter(pc.is_null(runs["left_out"]))


def _count(runs: pa.Table, joined: pa.Table, left_out: pa.Table, problems: Sequence[Problem]) -> dict[str, int]:
    def total(name: str) -> int:
        return pc.sum(joined[name]).as_py() or 0

    return {
        "runs_seen": len(runs),
        "runs_joined": len(joined),
        "runs_left_out": len(left_out),
        "records": total("record_count"),
        "records_unreadable": sum(problem.path == RECORDS for problem in problems),
        "images": total("image_count"),
        "feedback_events": total("event_count"),
        "opinions_without_image": total("lost_opinion_count"),
        "preferences": total("preference_count"),
    }


def _count_splits(splits: Iterable[npt.NDArray[np.int8]]) -> dict[str, int]:
    counts = np.zeros(len(SPLITS) + 1, np.int64)
    for part in splits:
        counts += np.bincount(part + 1, minlength=len(SPLITS) + 1)
    return dict(zip(("held_out", *SPLITS), counts.tolist(), strict=True))


def _name_left_out(left_out: pa.Table) -> list[dict[str, str]]:
    """The runs that are left out, except those that the query did not find; the table of runs names these."""
    named = left_out.filter(pc.not_equal(left_out["left_out"], UNSELECTED))
    return [
        {"run_id": run["run_id"], "reason": run["left_out"], "detail": run["detail"]}
        for run in named.select(["run_id", "left_out", "detail"]).to_pylist()
    ]
