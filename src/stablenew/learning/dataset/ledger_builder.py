"""The ledger of a dataset, from what was assembled. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetExport, DatasetFile, DatasetLedger
from stablenew.formats.strict_json import canonical_bytes
from stablenew.learning.dataset.columns import COLUMNS, COLUMNS_VERSION, SPLITS, text_of
from stablenew.learning.dataset.source.run_source import UNSELECTED
from stablenew.learning.dataset.source.run_tables import Problem
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.store.run_folder import RECORDS


@dataclass(frozen=True)
class BuildFacts:
    """What a build was asked and by whom."""

    software_version: str
    location: str
    query: str
    asked_at: str
    split: SplitPlan


def build_ledger(
    facts: BuildFacts,
    built_at: str,
    runs: pa.Table,
    digest: str,
    splits: Iterable[npt.NDArray[np.int8]],
    problems: Sequence[Problem],
    files: Sequence[DatasetFile],
    exports: Sequence[DatasetExport] = (),
) -> DatasetLedger:
    """The ledger of a dataset of these `runs` (`RUNS_SCHEMA`), whose digest is known."""
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
            "counts": _count(runs, joined, left_out, problems),
            "split_counts": _count_splits(splits),
            "left_out_by_reason": {one["values"]: one["counts"] for one in reasons},
            "left_out": _name_left_out(left_out),
            "problems": [
                {name: value for name, value in one._asdict().items() if value is not None} for one in problems
            ],
            "exports": tuple(exports),
            "files": tuple(files),
            "columns": [{"name": one.name, "type": str(one.type), "meaning": one.meaning} for one in COLUMNS],
        }
    )


def digest_dataset(texts: Iterable[bytes], plan: SplitPlan) -> str:
    """The digest of a dataset of the runs with these `text_of_joined`, in the order of their ids.

    It is equal wherever and however the dataset is built.
    """
    head = {"columns_version": COLUMNS_VERSION, "split": plan.to_dict()}
    return digest_bytes(canonical_bytes(head) + (b"".join(texts) or b"\n"))


def text_of_joined(runs: pa.Table) -> bytes:
    """For each run that is joined, after a newline, a line that is another one when its facts or its feedback are."""
    joined = _joined(runs)
    starts = pc.binary_join_element_wise("", joined["run_id"], "\n")
    lines = pc.binary_join_element_wise(starts, joined["digest"], joined["feedback_digest"], " ")
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
        "records_unreadable": sum(one.path == RECORDS for one in problems),
        "images": total("image_count"),
        "images_rated": total("rated_image_count"),
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
    """All but those that the query did not find, which the table of runs names."""
    named = left_out.filter(pc.not_equal(left_out["left_out"], UNSELECTED))
    return [
        {"run_id": one["run_id"], "reason": one["left_out"], "detail": one["detail"]}
        for one in named.select(["run_id", "left_out", "detail"]).to_pylist()
    ]
