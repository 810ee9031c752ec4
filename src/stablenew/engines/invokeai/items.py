"""What an item of InvokeAI's queue says once it has ended: its images, its failure, its times. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

ENDED: Final = {"completed": "completed", "failed": "failed", "canceled": "cancelled"}
"""InvokeAI's words for how an item ends, and those of records."""


def image_names(item: Mapping[str, Any]) -> list[str]:
    """The images of an item: those that it keeps, or else the last of those that were on the way."""
    session = item.get("session") or {}
    sources = session.get("prepared_source_mapping") or {}
    nodes = (session.get("graph") or {}).get("nodes") or {}
    found = [
        (nodes.get(sources.get(key, key), {}).get("is_intermediate", False), str(result["image"]["image_name"]))
        for key, result in (session.get("results") or {}).items()
        if isinstance(result, dict) and isinstance(result.get("image"), dict)
    ]
    names = [name for is_intermediate, name in found if not is_intermediate] or [name for _, name in found[-1:]]
    return list(dict.fromkeys(names))


def describe_failure(item: Mapping[str, Any]) -> str:
    """Why an item failed, in InvokeAI's words."""
    return f"{item.get('error_type') or 'error'}: {item.get('error_message') or 'its window says why'}"


def times_of(item: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """When work on an item began and ended."""
    return _moment(item.get("started_at")), _moment(item.get("completed_at"))


def _moment(text: Any) -> datetime | None:
    """A time of InvokeAI's database: UTC, without an offset."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
