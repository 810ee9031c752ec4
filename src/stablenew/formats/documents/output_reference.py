"""How a document points at an output: by path, digest, size and media type."""

from stablenew.formats.model_base import Array, Count, Digest, MediaType, OutputPath, Seed, Slug, WireModel


class OutputReference(WireModel):
    """One output of a variant. `digest` is also its image id: feedback and datasets find it by that."""

    path: OutputPath
    digest: Digest
    size_bytes: Count
    media_type: MediaType
    width: Count | None = None
    height: Count | None = None
    stage: Slug
    role: Slug | None = None
    """`final` for what the variant came to, `intermediate` for what a later stage took as its input."""
    seed: Seed | None = None
    pixel_digest: Digest | None = None
    """Over the decoded 8-bit RGB rows, to find the image again after a program rewrote its metadata."""
    parents: Array[Digest] | None = None
