"""What one stage of one variant did, with times, durations and both its settings."""

from typing import Final

from stablenew.formats.model_base import Count, JsonObject, Seconds, Slug, Timestamp, WireModel

STAGES: Final = ("txt2img", "img2img", "adetailer", "upscale")
"""The stages in the order in which they run."""


class ErrorInfo(WireModel):
    """Why something failed, in words and by type."""

    message: str
    type: str | None = None
    stage: Slug | None = None


class StageEvent(WireModel):
    """One stage of one variant, from start to end."""

    name: Slug
    status: Slug
    """`completed`, `failed` or `cancelled`."""
    started_at: Timestamp
    finished_at: Timestamp | None = None
    duration_seconds: Seconds
    input_count: Count | None = None
    output_count: Count
    requested: JsonObject | None = None
    """Settings as they were asked for."""
    actual: JsonObject | None = None
    """Settings as the engine reported them; a server may ignore one or choose its own."""
    error: ErrorInfo | None = None
