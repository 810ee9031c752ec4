"""RunMetadata: what was asked of a run, by whom, with which config; at the end, what came of it."""

from typing import ClassVar, Literal

from pydantic import Field

from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    BigInteger,
    Count,
    Digest,
    Document,
    Extensions,
    JsonObject,
    Name,
    OutputPath,
    RunId,
    SafeJson,
    SchemaVersion,
    Seconds,
    Seed,
    Sha256OrPending,
    Slug,
    Timestamp,
    WireModel,
)

SCHEMA_HINT = "../.stablenew/schemas/v1/run_metadata.schema.json"
"""Relative, so that an editor that opens the file finds the schema wherever the store lies."""


class Source(WireModel):
    """Which program made the run, with which engine, on which machine, for whom."""

    name: Name
    version: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    engine_url: str | None = None
    """The address of the engine's server, without name and password."""
    host_id: str | None = None
    user_id: str | None = None


class Correlation(WireModel):
    """Ids that other systems know this run by."""

    job_id: str | None = None
    session_id: str | None = None
    parent_run_id: RunId | None = None
    """The run that this one runs again, or takes up where it was interrupted."""


class PackReference(WireModel):
    """A prompt pack that was used; the digest is over the bytes of its file."""

    id: Name
    name: Name | None = None
    digest: Digest | None = None


class PlanAxis(WireModel):
    """One thing that varies, and its values in order."""

    name: Name
    values: Array[SafeJson]


class PlanSummary(WireModel):
    """How the variants were chosen: enough to make the same ones again."""

    mode: Slug
    size: Count
    """Variants in the plan, after limits."""
    combinations: BigInteger | None = None
    """Variants there could have been without limits."""
    limit: Count | None = None
    seed: Seed | None = None
    axes: Array[PlanAxis]


class StageOutputs(WireModel):
    """The outputs of one stage over all variants, by path."""

    name: Slug
    outputs: Array[OutputPath]


class UnrecordedVariant(WireModel):
    """A variant, or one image of it, that could not be recorded, and why."""

    index: Count
    image: Count | None = None
    """The place of the image among those of the variant, from 0; without it, the whole variant is missing."""
    reason: str


class ModelFile(WireModel):
    """A file of weights that the run used."""

    name: Name
    kind: Slug | None = None
    """`checkpoint`, `vae`, `lora`, `embedding`, `controlnet` or another word."""
    sha256: Sha256OrPending | None = None
    """`pending` where the file was not hashed when the run was sealed."""
    size_bytes: Count | None = None


class CustomNode(WireModel):
    """An extension of a program: a custom node of ComfyUI, an extension of a WebUI."""

    name: Name
    commit: str | None = None
    version: str | None = None
    url: str | None = None


class Closure(WireModel):
    """What a rerun depends on beside the config."""

    models: Array[ModelFile] | None = None
    versions: dict[str, str] | None = None
    """Of programs, libraries and drivers, by name: `python`, `torch`, `comfyui`, `cuda`."""
    custom_nodes: Array[CustomNode] | None = None
    device: str | None = None
    """Such as `NVIDIA GeForce RTX 4090` or `cpu`."""
    dtype: str | None = None
    """The number type of the weights, such as `float16`."""
    flags: Array[str] | None = None
    """Options that the program was started with, such as `--medvram`."""


class HeldFiles(WireModel):
    """What the seal lists beside the metadata itself: enough to see whether all of it has arrived, without reading."""

    file_count: Count
    size_bytes: Count
    """Of all these files together."""


class RunMetadata(Document):
    """`run_metadata.json`. From `finished_at` on, fields are there once the run has ended."""

    KIND: ClassVar[str] = "stablenew.run_metadata"

    schema_hint: str | None = Field(default=None, alias="$schema", description="A hint for editors; never needed.")
    kind: Literal["stablenew.run_metadata"] = "stablenew.run_metadata"
    schema_version: SchemaVersion = SCHEMA_VERSION
    run_id: RunId
    created_at: Timestamp
    status: Slug
    """`running`, then `completed`, `partial` (some variants failed), `failed`, `cancelled` or `interrupted`."""
    source: Source
    correlation: Correlation | None = None
    packs: Array[PackReference]
    one_click_action: str | None = None
    learning_tags: Array[Name] | None = None
    config: JsonObject
    config_digest: Digest
    """Over the RFC 8785 bytes of `config`."""
    variant_plan: PlanSummary | None = None
    finished_at: Timestamp | None = None
    duration_seconds: Seconds | None = None
    record_count: Count | None = None
    output_count: Count | None = None
    error: ErrorInfo | None = None
    stages: Array[StageOutputs] | None = None
    unrecorded: Array[UnrecordedVariant] | None = None
    """Nothing is dropped silently: the variants and images that could not be recorded."""
    closure: Closure | None = None
    held: HeldFiles | None = None
    """Counted when the run is sealed."""
    odd: dict[str, str] | None = None
    """What did not fit its field, as text, by the name of the field."""
    ext: Extensions | None = None


class StoreMarker(Document):
    """The same bytes on every machine, so that no sync tool ever sees a conflict."""

    KIND: ClassVar[str] = "stablenew.store"

    kind: Literal["stablenew.store"] = "stablenew.store"
    schema_version: SchemaVersion = SCHEMA_VERSION
    ext: Extensions | None = None
