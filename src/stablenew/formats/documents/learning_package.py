"""LearningPackage: what runs taught, in a bundle small enough to be given to a language model or a colleague."""

from typing import ClassVar, Literal

from stablenew.formats.model_base import (
    SCHEMA_VERSION,
    Array,
    Count,
    Digest,
    Document,
    JsonObject,
    Name,
    Number,
    SafeJson,
    SchemaVersion,
    Slug,
    WireModel,
)


class PackagedValue(WireModel):
    """What images with one value of a setting were rated."""

    value: SafeJson
    image_count: Count
    mean: Number
    low: Number
    high: Number
    """The mean is shrunken, and lies between `low` and `high` with the package's confidence."""


class PackagedComparison(WireModel):
    """How many stars better one value was than another where all else was alike."""

    value: SafeJson
    other: SafeJson
    evidence: Slug
    """`controlled` or `observational`."""
    place_count: Count
    difference: Number
    low: Number
    high: Number


class PackagedSetting(WireModel):
    """One setting that was varied."""

    name: Name
    values: Array[PackagedValue]
    comparisons: Array[PackagedComparison]
    warnings: Array[str]


class PackagedProposal(WireModel):
    """What the evidence says about changing a setting."""

    name: Name
    current: SafeJson
    proposed: SafeJson
    is_supported: bool
    reason: str


class PackagedExample(WireModel):
    """An image, told by its prompt and settings."""

    prompt: str
    settings: JsonObject
    rating: Number


class LearningPackage(Document):
    """Everything is counted; nothing calls anybody."""

    KIND: ClassVar[str] = "stablenew.learning_package"

    kind: Literal["stablenew.learning_package"] = "stablenew.learning_package"
    schema_version: SchemaVersion = SCHEMA_VERSION
    software_version: str
    dataset_digest: Digest
    guide: str
    """How to read the package, in words."""
    confidence: Number
    rated_image_count: Count
    rater_count: Count
    agreement: Number | None = None
    """Krippendorff's alpha of the raters."""
    settings: Array[PackagedSetting]
    proposals: Array[PackagedProposal]
    together: JsonObject | None = None
    """What one model of all settings says; None where too few images are rated.

    `settings` are those that it expects to be rated best, `gain` the stars by which they are better than what most
    rated images had, from `low` to `high`, with a `probability` that they are better at all; `is_supported` and
    `reason`; and `influences`, each with `name`, `effect` in stars and `best`.
    """
    best: Array[PackagedExample]
    worst: Array[PackagedExample]
    left_out: dict[str, Count]
    """What of each list did not fit into the package."""
