"""What the index reads of a run's documents, checked and without building models of them: that takes half the time.

Only the fields named here are looked at. A document that is not written the usual way (a number as `1.0` where an
integer belongs, a newer version, something broken) raises ValueError, and the strict reader decides what it is.
"""

import functools
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, cast

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from stablenew.formats.model_base import BIG_INTEGER_PATTERN, Digest, OutputPath, SchemaVersion, Slug, Timestamp
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from stablenew.store.feedback.fast_feedback_reader import NeedsStrictReader

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

PlainInteger = Annotated[int, Field(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
PlainCount = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
PlainNumber = Annotated[float, Field(allow_inf_nan=False)]
PlainSeed = Annotated[
    PlainInteger | Annotated[str, Field(pattern=BIG_INTEGER_PATTERN)] | None, Field(union_mode="left_to_right")
]


class PlainPack(TypedDict):
    """See `PackReference`."""

    id: str
    name: NotRequired[str | None]


class PlainSource(TypedDict):
    """See `Source`."""

    engine: NotRequired[str | None]


class PlainPlan(TypedDict):
    """See `PlanSummary`."""

    size: PlainCount


class PlainMetadata(TypedDict):
    """See `RunMetadata`."""

    kind: Literal["stablenew.run_metadata"]
    schema_version: SchemaVersion
    created_at: Timestamp
    status: Slug
    source: PlainSource
    packs: list[PlainPack]
    one_click_action: NotRequired[str | None]
    learning_tags: NotRequired[list[str] | None]
    variant_plan: NotRequired[PlainPlan | None]
    duration_seconds: NotRequired[PlainNumber | None]
    record_count: NotRequired[PlainCount | None]


class PlainVariant(TypedDict):
    """See `VariantInfo`."""

    index: PlainCount


class PlainLora(TypedDict):
    """See `Lora`."""

    name: str


class PlainPrompt(TypedDict):
    """See `PromptContext`."""

    positive: str
    negative: NotRequired[str | None]
    pack_id: NotRequired[str | None]
    pack_name: NotRequired[str | None]
    loras: NotRequired[list[PlainLora] | None]
    embeddings: NotRequired[list[str] | None]


class PlainSettings(TypedDict, total=False):
    """See `GenerationSettings`."""

    model: str | None
    sampler: str | None
    scheduler: str | None
    vae: str | None
    steps: PlainInteger | None
    clip_skip: PlainInteger | None
    width: PlainInteger | None
    height: PlainInteger | None
    cfg_scale: PlainNumber | None
    denoising_strength: PlainNumber | None
    seed: PlainSeed


class PlainOutput(TypedDict):
    """See `OutputReference`."""

    path: OutputPath
    digest: Digest
    size_bytes: PlainCount
    role: NotRequired[str | None]


class PlainRecord(TypedDict):
    """See `LearningRecord`."""

    kind: Literal["stablenew.learning_record"]
    schema_version: SchemaVersion
    variant: PlainVariant
    started_at: Timestamp
    duration_seconds: NotRequired[PlainNumber | None]
    status: Slug
    prompt: PlainPrompt
    requested: PlainSettings
    actual: NotRequired[PlainSettings | None]
    outputs: list[PlainOutput]


def read_plain_metadata(data: bytes) -> PlainMetadata:
    """The bytes of a `run_metadata.json`. Raises: ValueError."""
    return cast("PlainMetadata", _read(_metadata_validator(), data))


def read_plain_record(line: bytes) -> PlainRecord:
    """A line of `records.jsonl`. Raises: ValueError."""
    return cast("PlainRecord", _read(_record_validator(), line))


def _read(validator: "SchemaValidator", data: bytes) -> Any:
    if b"NaN" in data or b"Infinity" in data:  # where no field is looked at, they would pass
        raise NeedsStrictReader("perhaps no number, perhaps a word")
    return validator.validate_json(data, strict=True)


@functools.cache
def _metadata_validator() -> "SchemaValidator":
    return cast("SchemaValidator", TypeAdapter(PlainMetadata).validator)


@functools.cache
def _record_validator() -> "SchemaValidator":
    return cast("SchemaValidator", TypeAdapter(PlainRecord).validator)
