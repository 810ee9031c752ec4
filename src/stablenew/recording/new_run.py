"""What is known of a run before it starts, and the metadata that it starts with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stablenew.formats.digest import digest_json
from stablenew.formats.documents.run_metadata import SCHEMA_HINT, RunMetadata
from stablenew.formats.json_safe import json_safe
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.odd_values import (
    OddValues,
    as_text,
    read_digest,
    read_name,
    read_run_id,
    read_text,
    to_json,
)
from stablenew.store.local_state import host_id, user_id


@dataclass(frozen=True, slots=True)
class RunDescription:
    """What is known of a run before it starts."""

    run_id: str
    config: Mapping[str, JsonValue]
    source: Mapping[str, JsonValue]
    packs: Sequence[Mapping[str, JsonValue]] = ()
    one_click_action: str | None = None
    learning_tags: Sequence[str] = ()
    correlation: Mapping[str, JsonValue] = field(default_factory=dict)
    variant_plan: Mapping[str, JsonValue] | None = None


def build_source(
    *,
    engine: str | None = None,
    engine_version: str | None = None,
    engine_url: str | None = None,
    name: str = "StableNew",
    version: str | None = None,
) -> dict[str, JsonValue]:
    """Which program, engine, machine and person a run comes from, as `Source` holds it."""
    from stablenew import __version__  # noqa: PLC0415

    fields = {
        "name": name,
        "version": version or (__version__ if name == "StableNew" else None),
        "engine": engine,
        "engine_version": engine_version,
        "engine_url": engine_url,
        "host_id": host_id(),
        "user_id": user_id(),
    }
    return {key: value for key, value in fields.items() if value}


def build_first_metadata(description: RunDescription, created_at: str) -> dict[str, JsonValue]:
    """The metadata of a run that starts now, as JSON."""
    odd = OddValues()
    config = odd.fit("config", description.config, _read_object, {})
    fields: dict[str, JsonValue] = {
        "$schema": SCHEMA_HINT,
        "kind": RunMetadata.KIND,
        "schema_version": SCHEMA_VERSION,
        "run_id": description.run_id,
        "created_at": created_at,
        "status": "running",
        "source": {"name": "unknown", **_texts(odd, "source", description.source)},
        "correlation": _texts(odd, "correlation", description.correlation) or None,
        "packs": _packs(odd, description.packs),
        "one_click_action": odd.fit("one_click_action", description.one_click_action, read_text),
        "learning_tags": _tags(odd, description.learning_tags) or None,
        "config": config,
        "config_digest": digest_json(config),
        "variant_plan": json_safe(description.variant_plan),
        "odd": odd.odd or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _read_object(value: Any) -> dict[str, JsonValue]:
    safe = to_json(value)
    if not isinstance(safe, dict):
        raise TypeError("expected names and values")
    return safe


def _texts(odd: OddValues, group: str, given: Any) -> dict[str, JsonValue]:
    """Names and texts: ids, versions and the like."""
    values = odd.fit(group, given, dict, {})
    named = {as_text(name): value for name, value in values.items()}
    fitted = {name: odd.fit(f"{group}.{name}", value, _READERS.get(name, read_text)) for name, value in named.items()}
    return {name: value for name, value in fitted.items() if value is not None}


def _packs(odd: OddValues, given: Any) -> list[JsonValue]:
    """The packs that have an id, or a name to be known by."""
    packs = []
    for number, pack in enumerate(odd.fit("packs", given, list, [])):
        fields = _texts(odd, f"packs[{number}]", pack)
        name = fields.get("id") or fields.get("name")
        if name:
            packs.append({"id": name, **fields})
    return packs


def _tags(odd: OddValues, given: Any) -> list[str]:
    """The tags that are names. A single text is one tag."""
    tags = [given] if isinstance(given, str) else odd.fit("learning_tags", given, list, [])
    fitted = [odd.fit(f"learning_tags[{number}]", tag, read_name) for number, tag in enumerate(tags)]
    return [*dict.fromkeys(tag for tag in fitted if tag is not None)]


_READERS: Final[dict[Any, Callable[[Any], Any]]] = {
    "id": read_name,
    "name": read_name,
    "digest": read_digest,
    "parent_run_id": read_run_id,
}
