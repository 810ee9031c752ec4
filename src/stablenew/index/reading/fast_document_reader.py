"""A fast reader of run documents: it validates what the index needs and builds no models, in half the time.

Only the fields named here are validated. A document in an unusual notation (a number as `1.0` where an integer belongs,
a newer version, something broken) raises ValueError; then the strict reader decides.
"""

import functools
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias, cast

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from stablenew.formats.model_base import BIG_INTEGER_PATTERN, Digest, OutputPath, SchemaVersion, Sha256, Slug, Timestamp
from stablenew.formats.settings import INDEXED
from stablenew.formats.strict_json import MAX_SAFE_INTEGER, is_too_deep
from stablenew.store.feedback.fast_feedback_reader import NeedsStrictReader

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

FastInteger = Annotated[int, Field(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
FastCount = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
FastNumber = Annotated[float, Field(allow_inf_nan=False)]
FastSeed = Annotated[
    FastInteger | Annotated[str, Field(pattern=BIG_INTEGER_PATTERN)] | None, Field(union_mode="left_to_right")
]


class FastPack(TypedDict):
    """See `PackReference`."""

    id: str
    name: NotRequired[str | None]


class FastSource(TypedDict):
    """See `Source`."""

    name: str
    engine: NotRequired[str | None]


class FastPlan(TypedDict):
    """See `PlanSummary`."""

    size: FastCount


class FastMetadata(TypedDict):
    """See `RunMetadata`."""

    kind: Literal["stablenew.run_metadata"]
    schema_version: SchemaVersion
    created_at: Timestamp
    status: Slug
    source: FastSource
    packs: list[FastPack]
    one_click_action: NotRequired[str | None]
    learning_tags: NotRequired[list[str] | None]
    variant_plan: NotRequired[FastPlan | None]
    duration_seconds: NotRequired[FastNumber | None]
    record_count: NotRequired[FastCount | None]


class FastVariant(TypedDict):
    """See `VariantInfo`."""

    index: FastCount
    overrides: NotRequired[dict[str, Any] | None]


class FastLora(TypedDict):
    """See `Lora`."""

    name: str


class FastPrompt(TypedDict):
    """See `PromptContext`."""

    positive: str
    negative: NotRequired[str | None]
    pack_id: NotRequired[str | None]
    pack_name: NotRequired[str | None]
    loras: NotRequired[list[FastLora] | None]
    embeddings: NotRequired[list[str] | None]


if TYPE_CHECKING:
    FastSettings: TypeAlias = dict[str, Any]
    """See `GenerationSettings`; by the names of the table of settings."""
else:
    _VALUE_TYPES = {"text": str, "integer": FastInteger, "number": FastNumber, "seed": FastSeed}
    FastSettings = TypedDict(
        "FastSettings", {setting.name: _VALUE_TYPES[setting.type] | None for setting in INDEXED}, total=False
    )
    FastSettings.__pydantic_config__ = ConfigDict(extra="allow")  # engines add their own settings


class FastOutput(TypedDict):
    """See `OutputReference`."""

    path: NotRequired[OutputPath | None]
    digest: Digest
    size_bytes: FastCount
    role: NotRequired[str | None]
    media_type: str
    width: NotRequired[FastCount | None]
    height: NotRequired[FastCount | None]
    stage: Slug
    sha256: NotRequired[Sha256 | None]


class FastRecord(TypedDict):
    """See `LearningRecord`."""

    kind: Literal["stablenew.learning_record"]
    schema_version: SchemaVersion
    variant: FastVariant
    started_at: Timestamp
    finished_at: NotRequired[Timestamp | None]
    duration_seconds: NotRequired[FastNumber | None]
    status: Slug
    prompt: FastPrompt
    requested: FastSettings
    actual: NotRequired[FastSettings | None]
    outputs: list[FastOutput]
    reconstructed: NotRequired[dict[str, Any] | None]
    metrics: NotRequired[Any]
    """Checked one by one: a score that is not valid hides no record."""


def read_metadata_fast(data: bytes) -> FastMetadata:
    """The bytes of a `run_metadata.json`. Raises: ValueError."""
    return cast("FastMetadata", _read(_metadata_validator(), data))


def read_record_fast(line: bytes) -> FastRecord:
    """A line of `records.jsonl`. Raises: ValueError."""
    return cast("FastRecord", _read(_record_validator(), line))


def _read(validator: "SchemaValidator", data: bytes) -> Any:
    # The validator skips fields that it does not know, and would let these pass inside them.
    if b"NaN" in data or b"Infinity" in data:
        raise NeedsStrictReader("possibly not a number, possibly a word")
    if is_too_deep(data):
        raise NeedsStrictReader("nested deeper than a document may be")
    return validator.validate_json(data, strict=True)


@functools.cache
def _metadata_validator() -> "SchemaValidator":
    return cast("SchemaValidator", TypeAdapter(FastMetadata).validator)


@functools.cache
def _record_validator() -> "SchemaValidator":
    return cast("SchemaValidator", TypeAdapter(FastRecord).validator)
