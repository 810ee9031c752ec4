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

    path: OutputPath | None = None
    """Null for an image that is not in the run's folder."""
    digest: Digest


class JobSummary(Document):
    """A run in one row, as its folder has it; what is not known is null."""

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
    """The model of the first variant, as it really ran."""
    prompt: str | None = None
    """The prompt of the first variant."""
    tags: Array[Name]
    """Learning tags, and tags that people gave the run or one of its images."""
    record_count: Count
    """Variants that were executed and can be read."""
    plan_size: Count | None = None
    """Variants that were planned."""
    output_count: Count
    """Final outputs of those variants: those with the role `final`, or all of a variant that has none."""
    duration_seconds: Seconds | None = None
    seed: Seed | None = None
    """The seed that the first variant really ran with."""
    seed_count: Count
    """How many different seeds the variants ran with: the actual one, else the requested one unless that is -1."""
    rating: Rating | None = None
    """The latest rating of the job, of two at one clock the higher; a job with one image shares it with the image.
    Unrated is null, not zero."""
    best_rating: Rating | None = None
    """The highest rating that anybody gave one of its images."""
    rated_count: Count
    """The number of images with a rating."""
    pick_count: Count
    """How often somebody's `pick` stands on one of its images, or on the job."""
    reject_count: Count
    note_count: Count
    outputs: Array[JobOutput]
    """The first few final outputs, for thumbnails."""
    fitting: Array[JobOutput] | None = None
    """The first images that fit the query that found the job; null where there was no query."""
    problem: str | None = None
    """Why the run's metadata or some of its records cannot be read."""
