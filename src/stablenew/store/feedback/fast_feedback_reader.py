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

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator
import re

from stablenew.formats.digest import DIGEST_PATTERN, digest_bytes
from stablenew.formats.model_base import HYBRID_CLOCK_PATTERN

_DIGEST: Final = DIGEST_PATTERN.strip("^$")
_CLOCK: Final = HYBRID_CLOCK_PATTERN.strip("^$")
_TEXT: Final = r"[ !#-\[\]-~\x80-\xff]{1,256}"
"""Characters that JSON has no other way to write."""
_SLUG: Final = "[a-z][a-z0-9_]{0,63}"
_IMAGE: Final = rf'"image_id":(?:null|"{_DIGEST}")'
_RATE: Final = rf'("op":"rate"),({_IMAGE}),("rating":(?:null|[0-5]))'
_TAG: Final = rf'("op":"tag"),({_IMAGE}),("tag":"{_TEXT}"),("present":(?:true|false))'
_FLAG: Final = rf'("op":"flag"),({_IMAGE}),("flag":(?:null|"{_SLUG}"))'
_EVENT: Final = re.compile(
    rf'\{{"id":"({_DIGEST})",("clock":"{_CLOCK}"),("replica":"{_TEXT}"),("rater":"{_TEXT}"),'
    rf'(?:{_RATE}|{_TAG}|{_FLAG})(?:,("act":"{_TEXT}"))?\}}'.encode()
)
_RATE_OP, _TAG_OP, _ACT = 5, 8, 15
_RATE_ORDER: Final = (2, 6, 5, 4, 7, 3)
"""The members of a rating in the order of RFC 8785, as groups of the pattern."""
_TAG_ORDER: Final = (2, 9, 8, 11, 4, 3, 10)
_FLAG_ORDER: Final = (2, 14, 13, 12, 4, 3)


def genuine_id(line: bytes) -> str | None:
    """The id of the event in `line`, if it is a usual one and its id is the digest of the rest; else None."""
    found = _EVENT.fullmatch(line)
    if found is None:
        return None
    order = _RATE_ORDER if found[_RATE_OP] else _TAG_ORDER if found[_TAG_OP] else _FLAG_ORDER
    members = found.group(*order) if found[_ACT] is None else found.group(_ACT, *order)
    known = found[1].decode()
    return known if digest_bytes(b"{%b}" % b",".join(members)) == known else None


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
