"""How a document points at an output: by its place, digest, size and media type."""

from typing import Any, Self

from pydantic import ConfigDict, model_validator

from stablenew.formats.model_base import (
    Array,
    Base64,
    Count,
    Digest,
    MediaType,
    Name,
    OriginPath,
    OutputPath,
    Seed,
    Sha256,
    Slug,
    Timestamp,
    WireModel,
)


class Origin(WireModel):
    """Where an image lies that the run describes but does not hold: beneath a folder that one machine knows by an id.

    Nothing opens such a path because a record says so. A root counts only on the machine where somebody added it, and
    the file must be a regular one whose size and SHA-256 are those of the record.
    """

    root: Name
    """The id of a source root, as the machine that imported the image knows it."""
    path: OriginPath
    """Beneath the root, with `/` between names, exactly as the file system writes it: NFC may not open an NFD name."""
    path_bytes: Base64 | None = None
    """The bytes of `path` in base64, only where they are not UTF-8; then `path` is only to be shown."""
    name: str
    """The name to show."""
    modified_at: Timestamp | None = None
    """When the file was last changed, at import."""


def _one_place(schema: dict[str, Any]) -> None:
    none = {"type": "null"}
    schema["oneOf"] = [
        {"required": ["path"], "properties": {"path": {"type": "string"}, "origin": none}},
        {"required": ["origin"], "properties": {"origin": {"type": "object"}, "path": none}},
    ]


class OutputReference(WireModel):
    """One output of a variant. `digest` is also its image id: feedback and datasets find it by that.

    It has exactly one place: `path` where the run holds it, `origin` where it stays elsewhere.
    """

    model_config = ConfigDict(json_schema_extra=_one_place)

    path: OutputPath | None = None
    """In the run."""
    origin: Origin | None = None
    """Where an image lies that an imported run left in its place."""
    digest: Digest
    sha256: Sha256 | None = None
    """Needed with `origin`: digests of 128 bits are no defence, and no seal covers a file outside the run."""
    size_bytes: Count
    media_type: MediaType
    width: Count | None = None
    height: Count | None = None
    stage: Slug
    role: Slug | None = None
    """`final` for the images of the last stage, `intermediate` for those that a later stage took as its input."""
    seed: Seed | None = None
    node: Name | None = None
    """The node of a workflow that the image came from."""
    pixel_digest: Digest | None = None
    """Over the decoded 8-bit RGB rows, to find the image again after a program rewrote its metadata."""
    parents: Array[Digest] | None = None
    """Digests of the images that it was made from."""

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.path is None) == (self.origin is None):
            raise ValueError("an output has either a path in the run or an origin elsewhere")
        return self

    @property
    def is_held(self) -> bool:
        """Whether the run holds the output."""
        return self.path is not None

    @property
    def path_in_run(self) -> str:
        """`path`, for an output that the run holds.

        Raises:
            ValueError: it lies elsewhere.
        """
        if self.path is None:
            raise ValueError(f"output {self.digest} lies outside the run")
        return self.path
