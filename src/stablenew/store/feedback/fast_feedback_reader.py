"""Feedback read without building models of it: several times as fast, for whoever reads that of very many runs.

The events are checked by the same rules as the models. What does not pass is left to the strict reader, which says what
is wrong with it, so that both always say the same.
"""

import functools
from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast, get_type_hints

from pydantic_core import from_json

from stablenew.disk.line_log import split_lines
from stablenew.errors import StableNewError
from stablenew.formats.documents.feedback import FeedbackEvent, event_id, explain_incomplete
from stablenew.store.feedback.usual_event import genuine_id

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

_ORDER: Final = itemgetter("clock", "id")
_ALWAYS: Final = frozenset(name for name, one in FeedbackEvent.model_fields.items() if one.is_required())


class NotPlain(StableNewError, ValueError):
    """Something unusual: the strict reader has to look at it."""


class _PlainEvent:
    """An event to look at; what it does not say is None."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.__dict__ = said


for _name in FeedbackEvent.model_fields:
    setattr(_PlainEvent, _name, None)


def read_plain_events(run_id: str, files: Iterable[tuple[str, bytes]]) -> list[FeedbackEvent]:
    """The events in feedback files of a run (name, bytes), each once, in the order of `merge_events`.

    They are no real models: only to look at and to fold.

    Raises:
        ValueError: something is not written the usual way; the strict reader knows what to make of it.
    """
    events: dict[str, dict[str, Any]] = {}
    for name, data in files:
        if ".jsonl" in name:
            _take_log(data, events)
        else:
            _take_document(run_id, data, events)
    ordered = sorted(events.values(), key=_ORDER)
    return cast("list[FeedbackEvent]", [_PlainEvent(event) for event in ordered])


def _take_log(data: bytes, events: dict[str, dict[str, Any]]) -> None:
    for _, line, is_whole in split_lines(data):
        if not is_whole:
            continue
        identifier = genuine_id(line)
        if identifier is None:
            _take_event(_validator().validate_json(line), events)
        elif identifier not in events:  # a known one says the same
            events[identifier] = from_json(line)


def _take_document(run_id: str, data: bytes, events: dict[str, dict[str, Any]]) -> None:
    document = from_json(data, allow_inf_nan=False)
    if type(document) is not dict or document.get("kind") != "stablenew.feedback":
        raise NotPlain("expected a feedback document")
    if document.get("run_id") != run_id or not str(document.get("schema_version")).startswith("1."):
        raise NotPlain("expected feedback of this run, of version 1.x")
    found = document.get("events")
    if type(found) is not list:
        raise NotPlain("expected a list of events")
    check = _validator().validate_python
    for event in found:
        if not _is_known(event, events):  # most stand in a log too
            _take_event(check(event), events)


def _is_known(event: Any, events: dict[str, dict[str, Any]]) -> bool:
    return type(event) is dict and type(event.get("id")) is str and events.get(event["id"]) == event


def _take_event(event: dict[str, Any], events: dict[str, dict[str, Any]]) -> None:
    """Keep an event whose fields are as they should be, if it is whole and what its id says."""
    known = events.get(event.get("id", ""))
    if known == event:
        return
    if known is not None or not event.keys() >= _ALWAYS or explain_incomplete(event["op"], event):
        raise NotPlain("expected a whole event, each under an id of its own")
    if event_id(event) != event["id"]:
        raise NotPlain("expected a genuine event")
    events[event["id"]] = event


@functools.cache
def _validator() -> "SchemaValidator":
    """Checks the fields of an event as its model does, and leaves them a dict."""
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415
    from typing_extensions import TypedDict  # noqa: PLC0415

    hints = get_type_hints(FeedbackEvent, include_extras=True)
    fields = {name: hints[name] for name in FeedbackEvent.model_fields}
    said = TypedDict("said", fields, total=False)  # type: ignore[misc]
    said.__pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]
    return cast("SchemaValidator", TypeAdapter(said).validator)
