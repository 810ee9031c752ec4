"""Feedback that is written the usual way, checked without building its models.

Anything unusual is refused here and left to the strict reader, so that both always say the same.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Final, cast

from pydantic_core import from_json

from stablenew.errors import StableNewError
from stablenew.formats.feedback import REQUIRED_BY_OP, FeedbackEvent, event_id
from stablenew.store.line_log import split_lines

_ID_LENGTH: Final = len("xxh128:") + 32
_CLOCK_LENGTH: Final = len("2026-11-21T08:00:00.000Z-0000")
_UNSAID: Final = dict.fromkeys(FeedbackEvent.model_fields)
_ALWAYS: Final = {"id", "clock", "replica", "rater", "op"}
_NEEDED: Final = {op: _ALWAYS | {*fields} for op, fields in REQUIRED_BY_OP.items()}
"""The ops whose meaning is known here, and the fields that must be there."""
_TEXT: Final[frozenset[Any]] = frozenset({str})
_TEXT_OR_NULL: Final[frozenset[Any]] = frozenset({str, type(None)})
_TYPES: Final[dict[str, frozenset[Any]]] = {
    **dict.fromkeys((*_ALWAYS, "tag", "note_id", "winner", "loser", "outcome"), _TEXT),
    **dict.fromkeys(("image_id", "aspect", "flag", "shown", "act", "redo_of"), _TEXT_OR_NULL),
    "text": _TEXT_OR_NULL,
    "rating": frozenset({int, type(None)}),
    "present": frozenset({bool}),
    "event_ids": frozenset({list}),
}


class NotPlain(StableNewError, ValueError):
    """Something unusual: the strict reader has to look at it."""


def read_plain_events(run_id: str, files: Iterable[tuple[str, bytes]]) -> list[FeedbackEvent]:
    """The events in feedback files of a run (name, bytes), each once, in the order of `merge_events`.

    They are checked as far as their meaning goes, and are no real models: only to look at and to fold.

    Raises:
        ValueError: something is not written the usual way; the strict reader knows what to make of it.
    """
    events: dict[str, dict[str, Any]] = {}
    for name, data in files:
        for event in _events_of(run_id, name, data):
            _take_event(event, events)
    ordered = sorted(events.values(), key=lambda event: (event["clock"], event["id"]))
    return [cast("FeedbackEvent", SimpleNamespace(**(_UNSAID | event))) for event in ordered]


def _events_of(run_id: str, name: str, data: bytes) -> list[Any]:
    if ".jsonl" in name:
        return [from_json(line, allow_inf_nan=False) for _, line, is_whole in split_lines(data) if is_whole]
    document = from_json(data, allow_inf_nan=False)
    if type(document) is not dict or document.get("kind") != "stablenew.feedback":
        raise NotPlain("expected a feedback document")
    if document.get("run_id") != run_id or not str(document.get("schema_version")).startswith("1."):
        raise NotPlain("expected feedback of this run, of version 1.x")
    found = document.get("events")
    if type(found) is not list:
        raise NotPlain("expected a list of events")
    return found


def _take_event(event: Any, events: dict[str, dict[str, Any]]) -> None:
    if type(event) is not dict or type(event.get("id")) is not str:
        raise NotPlain("expected an event with an id")
    known = events.get(event["id"])
    if known == event:
        return
    if known is not None or not _is_plain(event) or event_id(event) != event["id"]:
        raise NotPlain("expected a genuine event of a known kind")
    events[event["id"]] = event


def _is_plain(event: dict[str, Any]) -> bool:
    needed = _NEEDED.get(event.get("op"))  # type: ignore[arg-type]
    if needed is None or not needed <= event.keys():
        return False
    for name, value in event.items():
        allowed = _TYPES.get(name)
        if allowed is not None and (type(value) not in allowed or (value == "" and name != "text")):
            return False
    rating = event.get("rating")
    return (
        len(event["id"]) == _ID_LENGTH
        and len(event["clock"]) == _CLOCK_LENGTH
        and (rating is None or 0 <= rating <= 5)
        and (event.get("image_id") is None or len(event["image_id"]) == _ID_LENGTH)
    )
