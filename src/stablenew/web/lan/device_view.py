"""What devices see of the store: no paths, nothing of this computer, and when blind no opinions of others."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import ConfigError, InvalidQuery
from stablenew.formats.digest import short_digest
from stablenew.formats.media_type import extension_for
from stablenew.formats.query_language import Condition, Pattern, Query, Switch
from stablenew.web.lan.roles import Role, Viewer

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory

_PATH: Final = re.compile(r"^(?:[A-Za-z]:[\\/]|[\\/]|~|\.{1,2}[\\/]|file:)")
_AFTER_FOLDERS: Final = re.compile(r"[^\\/]*$")
_OPINIONS: Final = frozenset(
    ("rating", "mine", "jobrating", "tag", "label", "album", "flag", "rater", "unrated", "noted", "note")
)
"""Fields of searches that tell what people think."""
_BLIND_SORTS: Final = frozenset(("newest", "oldest", "random"))
_OPINION_FACETS: Final = frozenset(("rating", "tag", "label", "album", "flag", "rater", "unrated"))
_SHOWN_OF_RECORDS: Final = ("requested", "actual")
_SHOWN_OF_OUTPUTS: Final = ("digest", "sha256", "media_type", "size_bytes", "stage", "width", "height")
_HIDDEN_OF_EVENTS: Final = ("replica",)
_UNTOUCHED: Final = ("prompt", "negative", "negative_prompt")
_SCREENS: Final = {Role.LOOK: ("wall", "grid"), Role.RATE: ("wall", "duel", "grid")}
BLIND_WALL_QUERY: Final = "-is:trashed"


def describe_device_status(status: Mapping[str, Any], viewer: Viewer, store: str) -> dict[str, Any]:
    """The status of the server for a device: `store` stands for its place."""
    return {
        **status,
        "store": store,
        "rater": viewer.rater,
        "is_read_only": status["is_read_only"] or viewer.role < Role.RATE,
        "wall_query": BLIND_WALL_QUERY if viewer.is_blind else status["wall_query"],
        "device": viewer.device_name,
        "screens": _SCREENS[viewer.role],
    }


def without_paths(value: Any, *, is_pattern: bool = False) -> Any:
    """`value` with the last part of each path in the place of it; prompts stay as they are.

    With `is_pattern` a `*` stands for the rest, as searches write it.
    """
    if isinstance(value, str):
        return ("*" if is_pattern else "") + _AFTER_FOLDERS.findall(value)[0] if _PATH.match(value) else value
    if isinstance(value, Mapping):
        return {name: item if name in _UNTOUCHED else without_paths(item) for name, item in value.items()}
    return [without_paths(item) for item in value] if isinstance(value, list | tuple) else value


def show_row(row: Mapping[str, Any], viewer: Viewer) -> dict[str, Any]:
    """The row of an image, which has `mine` and `others` already, for a device."""
    name = f"{short_digest(row['digest'])}.{extension_for(row['media_type'] or '')}"
    places = [{**place, "path": name} for place in row["places"]]
    shown = {**row, "path": name, "places": places, "settings": without_paths(row["settings"])}
    return _hide_others(shown) if viewer.is_blind else shown


def _hide_others(row: dict[str, Any]) -> dict[str, Any]:
    mine = row["mine"]
    rating, flag = mine.get("rating"), mine.get("flag")
    tags = sorted(mine.get("tags", ()))
    return row | {
        "others": {},
        "ratings": {},
        "rating": rating,
        "rater_count": 0 if rating is None else 1,
        "flag": flag,
        "flags": [flag] if flag else [],
        "tags": tags,
        "labels": [tag.removeprefix("label:") for tag in tags if tag.startswith("label:")],
        "note_count": len(mine.get("notes", ())),
    }


def show_details(details: Mapping[str, Any], viewer: Viewer) -> dict[str, Any]:
    """Everything that is known of an image, for a device."""
    record, source = details["record"] or {}, details["source"] or {}
    outputs = record.get("outputs", [])
    shown = {name: without_paths(record[name]) for name in _SHOWN_OF_RECORDS if name in record}
    shown["outputs"] = [{name: output[name] for name in _SHOWN_OF_OUTPUTS if name in output} for output in outputs]
    events = [event for event in details["events"] if not viewer.is_blind or event.get("rater") == viewer.rater]
    return {
        "image": details["image"],
        "record": shown if details["record"] else None,
        "source": {name: source[name] for name in ("engine", "engine_version") if name in source},
        "correlation": None,
        "events": [{name: item for name, item in event.items() if name not in _HIDDEN_OF_EVENTS} for event in events],
    }


def show_facets(facets: Mapping[str, list[dict[str, Any]]], viewer: Viewer) -> dict[str, list[dict[str, Any]]]:
    """The facets of images for a device."""
    return {
        name: [{**item, "value": without_paths(item["value"], is_pattern=True)} for item in values]
        for name, values in facets.items()
        if not viewer.is_blind or name not in _OPINION_FACETS
    }


def show_event(event: str, data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a device gets of an event: which runs changed, and nothing else."""
    return {"changes": data["changes"], "jobs": {}, "is_reset": data["is_reset"]} if event == "changes" else None


def read_query(text: str, viewer: Viewer, history: "JobHistory") -> str | Query:
    """A search as somebody may make it. For a device `unrated:mine` is about its own rater.

    Raises:
        InvalidQuery: it cannot be understood, or is about what is hidden from this device.
    """
    if not viewer.is_device:
        return text
    query = history.parse(text)
    return replace(query, conditions=tuple(_read_condition(condition, viewer, text) for condition in query.conditions))


def _read_condition(condition: Condition, viewer: Viewer, text: str) -> Condition:
    switches = [value for value in condition.values if isinstance(value, Switch)]
    if condition.field == "unrated" and any(switch.is_mine for switch in switches):
        rated = Condition("rater", (Pattern(viewer.rater or ""),), is_negated=True)
        return replace(rated, is_negated=not condition.is_negated)
    is_opinion = condition.field in _OPINIONS or condition.family == "aspect"
    if condition.field == "mine" or (viewer.is_blind and is_opinion):
        raise InvalidQuery(f"{condition.field} cannot be searched for on this device", text, 0)
    return condition


def check_query(text: str, viewer: Viewer, history: "JobHistory") -> str:
    """A search that is kept as its text, as somebody may make it.

    Raises:
        InvalidQuery: it cannot be understood, or is about what is hidden from this device, or about oneself.
    """
    if viewer.is_device and read_query(text, viewer, history) != history.parse(text):
        raise InvalidQuery("unrated:mine cannot be searched for here on this device", text, 0)
    return text


def check_axes(names: Iterable[str], viewer: Viewer) -> None:
    """Return where images may be told apart by these fields.

    Raises:
        ConfigError: one would tell what is hidden from this device.
    """
    hidden = [name for name in names if name.lower().partition(".")[0] in _OPINIONS | {"aspect"}]
    if viewer.is_blind and hidden:
        raise ConfigError(f"{hidden[0]} cannot be compared on this device")


def check_sort(sort: str, viewer: Viewer) -> str:
    """An order of images as somebody may ask for it.

    Raises:
        ConfigError: it would tell what is hidden from this device.
    """
    if viewer.is_blind and sort not in _BLIND_SORTS:
        raise ConfigError(f"images cannot be sorted by {sort} on this device")
    return sort
