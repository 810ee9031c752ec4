"""DatasetLedger: `dataset.json`, the account of a dataset. What was seen, joined and left out, and from what."""

from typing import ClassVar, Literal

from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Count,
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


class DatasetSource(WireModel):
    """What the dataset was built from."""

    location: str
    """The run store as it was given: a folder, or an address of object storage."""
    query: str
    """The search of history that chose the runs; empty for all."""
    asked_at: Timestamp
    """When the query was asked: what its ages (`since:7d`) count from."""


class SplitShares(WireModel):
    """How images were split."""

    train: Number
    validation: Number
    test: Number
    by: Array[Slug]
    """What never stands in two splits: prompt (family), seed, lineage."""
    salt: str


class SplitCounts(WireModel):
    """Images in each split."""

    train: Count
    validation: Count
    test: Count
    held_out: Count
    """In none, because seed or lineage tie them to another split than their prompt."""


class DatasetCounts(WireModel):
    """Everything that was seen, and what became of it."""

    runs_seen: Count
    runs_joined: Count
    runs_left_out: Count
    records: Count
    records_unreadable: Count
    images: Count
    images_rated: Count
    feedback_events: Count
    opinions_without_image: Count
    """Images that people spoke of and that no record of their run names."""
    preferences: Count


class LeftOutRun(WireModel):
    """A run that is not in the dataset though the query found it."""

    run_id: RunId
    reason: Slug
    detail: str


class DatasetProblem(WireModel):
    """Something that could not be read in a run that is in the dataset."""

    run_id: RunId
    path: str
    line: Count | None = None
    reason: str


class DatasetFile(WireModel):
    """One file of the dataset."""

    path: str
    """In the dataset's folder."""
    content: Slug
    """`images`, `preferences`, `runs`, or the name of an export."""
    row_count: Count
    size_bytes: Count
    digest: Digest


class DatasetExport(WireModel):
    """One export of the images, and what it does not hold of them."""

    name: Slug
    row_count: Count
    left_out: dict[str, Count]
    """Images of the dataset that are not in the export, by reason."""
    columns_left_out: Array[Name]
    """Numbers that are not known of any image of one split: readers could not tell their type."""


class DatasetColumn(WireModel):
    """One column of the images."""

    name: Name
    type: str
    meaning: str


class DatasetLedger(Document):
    """`dataset.json`. Datasets with the same `digest` have the same rows."""

    KIND: ClassVar[str] = "stablenew.dataset"

    kind: Literal["stablenew.dataset"] = "stablenew.dataset"
    schema_version: SchemaVersion = SCHEMA_VERSION
    software_version: str
    built_at: Timestamp
    digest: Digest
    """Over the digests of all runs and of their sets of feedback events, the split, and the version of the columns."""
    columns_version: Count
    source: DatasetSource
    split: SplitShares
    counts: DatasetCounts
    split_counts: SplitCounts
    left_out_by_reason: dict[str, Count]
    """Runs left out, by reason; those that the query did not find are counted here and named in the table of runs."""
    left_out: Array[LeftOutRun]
    problems: Array[DatasetProblem]
    exports: Array[DatasetExport]
    files: Array[DatasetFile]
    columns: Array[DatasetColumn]
    ext: Extensions | None = None
    """Extensions under reverse-DNS keys."""
