"""DatasetLedger: each field of the account of a dataset."""

from stablenew.formats.documents.dataset_ledger import DatasetLedger
from tests.formats.documents.field_contract import (
    COUNT,
    COUNTS,
    DIGEST,
    DIGESTS,
    EXTENSIONS,
    NAME,
    NAMES,
    NUMBER,
    RUN_ID,
    SLUG,
    TEXT,
    TIME,
    WHEN,
    FieldContract,
)

SEEN = (
    "runs_seen", "runs_joined", "runs_left_out", "records", "records_unreadable", "images", "images_rated",
    "feedback_events", "opinions_without_image", "preferences",
)  # fmt: skip
SPLITS = ("train", "validation", "test")


class TestEveryField(FieldContract):
    model = DatasetLedger
    full = {  # noqa: RUF012
        "kind": "stablenew.dataset", "schema_version": "1.0", "software_version": "0.2.0", "built_at": TIME,
        "digest": DIGEST, "columns_version": 1, "source": {"location": "runs", "query": "", "asked_at": TIME},
        "split": {**dict.fromkeys(SPLITS, 0.1), "by": ["prompt"], "salt": ""}, "counts": dict.fromkeys(SEEN, 1),
        "split_counts": dict.fromkeys((*SPLITS, "held_out"), 1), "left_out_by_reason": {"interrupted": 1},
        "left_out": [{"run_id": "run-1", "reason": "interrupted", "detail": "no seal"}],
        "problems": [{"run_id": "run-1", "path": "records.jsonl", "line": 3, "reason": "not JSON"}],
        "exports": [{"name": "csv", "row_count": 1, "left_out": {"held_out": 1}, "columns_left_out": ["eta"]}],
        "files": [{"path": "a", "content": "images", "row_count": 1, "size_bytes": 9, "digest": DIGEST}],
        "columns": [{"name": "steps", "type": "int64", "meaning": "steps"}], "ext": {"org.example": 1},
    }  # fmt: skip
    takes = {  # noqa: RUF012
        "software_version": TEXT, "built_at": WHEN, "digest": DIGESTS, "columns_version": COUNT,
        "source.location": TEXT, "source.query": TEXT, "source.asked_at": WHEN, "split.salt": TEXT,
        "split.by": ([[], ["seed"]], [["Seed"], "seed"]), **{f"split.{name}": NUMBER for name in SPLITS},
        **{f"counts.{name}": COUNT for name in SEEN},
        **{f"split_counts.{name}": COUNT for name in (*SPLITS, "held_out")}, "left_out_by_reason": COUNTS,
        "left_out.0.run_id": RUN_ID, "left_out.0.reason": SLUG, "left_out.0.detail": TEXT,
        "problems.0.run_id": RUN_ID, "problems.0.path": TEXT, "problems.0.line": COUNT, "problems.0.reason": TEXT,
        "exports.0.name": SLUG, "exports.0.row_count": COUNT, "exports.0.left_out": COUNTS,
        "exports.0.columns_left_out": NAMES, "files.0.path": TEXT, "files.0.content": SLUG,
        "files.0.row_count": COUNT, "files.0.size_bytes": COUNT, "files.0.digest": DIGESTS,
        "columns.0.name": NAME, "columns.0.type": TEXT, "columns.0.meaning": TEXT, "ext": EXTENSIONS,
    }  # fmt: skip
    needed = {  # noqa: RUF012
        "": [name for name in full if name != "ext"], "source": ["location", "query", "asked_at"],
        "split": [*SPLITS, "by", "salt"], "counts": [*SEEN], "split_counts": [*SPLITS, "held_out"],
        "left_out.0": ["run_id", "reason", "detail"], "problems.0": ["run_id", "path", "reason"],
        "exports.0": ["name", "row_count", "left_out", "columns_left_out"],
        "files.0": ["path", "content", "row_count", "size_bytes", "digest"], "columns.0": ["name", "type", "meaning"],
    }  # fmt: skip
