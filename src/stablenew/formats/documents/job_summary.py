"""JobSummary: a run in one row, as history lists it. A job is a run."""

from typing import ClassVar, Literal

from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Count,
    Digest,
    Document,
    Name,
    OutputPath,
    Rating,
    RunId,
    SchemaVersion,
    Seconds,
    Seed,
    Slug,
    Timestamp,
    WireModel,
)


class JobOutput(WireModel):
    """One output of a job: enough to show it."""

    path: OutputPath
    digest: Digest


class JobSummary(Document):
    """A run in one row. It says what the run folder says; what is not known is null."""

    KIND: ClassVar[str] = "stablenew.job_summary"

    kind: Literal["stablenew.job_summary"] = "stablenew.job_summary"
    schema_version: SchemaVersion = SCHEMA_VERSION
    run_id: RunId
    created_at: Timestamp | None = None
    status: Slug
    """How the run ended; before it ended, or while parts of it are missing, its `state`."""
    state: Slug
    """`sealed`, `running`, `interrupted` or `incomplete`."""
    packs: Array[Name]
    one_click_action: str | None = None
    engine: str | None = None
    model: str | None = None
    """Of the first variant, as it really ran."""
    prompt: str | None = None
    """Of the first variant."""
    tags: Array[Name]
    """Learning tags, and tags that people gave the run or one of its images."""
    record_count: Count
    """Variants that were executed and can be read."""
    plan_size: Count | None = None
    """Variants that were planned."""
    output_count: Count
    """Final outputs of those variants."""
    duration_seconds: Seconds | None = None
    seed: Seed | None = None
    """The seed that the first variant really ran with."""
    seed_count: Count
    """How many different seeds the variants ran with."""
    rating: Rating | None = None
    """Stars of the job itself: the latest that somebody gave it. Unrated is null, not zero."""
    best_rating: Rating | None = None
    """The best that anybody gave one of its images."""
    rated_count: Count
    """Images that have a rating."""
    pick_count: Count
    reject_count: Count
    note_count: Count
    outputs: Array[JobOutput]
    """The first few final outputs, for thumbnails."""
    problem: str | None = None
    """Why the run's metadata or some of its records cannot be read."""
