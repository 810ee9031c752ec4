"""Feedback read without building models: several times as fast, for readers of very many runs.

Events are checked by the same rules as the models. Whatever fails here is left to the strict reader, which reports what
is wrong, so that both always agree.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast, get_type_hints

from pydantic_core import from_json

from stablenew.disk.line_log import split_lines
from stablenew.errors import StableNewError
from stablenew.formats.digest import DIGEST_PATTERN, digest_bytes
from stablenew.formats.documents.event_fields import EventFields
from stablenew.formats.documents.feedback import FeedbackEvent, event_id, explain_incomplete
from stablenew.formats.model_base import HYBRID_CLOCK_PATTERN, SLUG_PATTERN
from stablenew.formats.strict_json import is_too_deep

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

_DIGEST: Final = DIGEST_PATTERN.strip("^$")
_CLOCK: Final = HYBRID_CLOCK_PATTERN.strip("^$")
_TEXT: Final = r"[ !#-\[\]-~\x80-\xff]{1,256}"
"""Characters that JSON can write in one way only: no quotes, backslashes or control characters."""
_SLUG: Final = SLUG_PATTERN.strip("^$")
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
    """The id of the event in `line`, if the event has a usual form and its id is the digest of the rest; else None."""
    found = _EVENT.fullmatch(line)
    if found is None:
        return None
    order = _RATE_ORDER if found[_RATE_OP] else _TAG_ORDER if found[_TAG_OP] else _FLAG_ORDER
    members = found.group(*order) if found[_ACT] is None else found.group(_ACT, *order)
    known = found[1].decode()
    return known if digest_bytes(b"{%b}" % b",".join(members)) == known else None


_FIELDS: Final = frozenset({"$schema", "kind", "schema_version", "run_id", "events", "state"})
_ORDER: Final = itemgetter("clock", "id")
_IS_LOG: Final = itemgetter(0)
_ALWAYS: Final = frozenset(name for name, field in FeedbackEvent.model_fields.items() if field.is_required())


class NeedsStrictReader(StableNewError, ValueError):
    """The fast reader does not know this form; the strict reader has to look at it."""


class FastEvent:
    """The fields of an event, already checked. A field that the event does not have is None."""

    id: str
    clock: str
    replica: str
    rater: str
    op: str
    image_id: str | None = None
    aspect: str | None = None
    rating: int | None = None
    tag: str | None = None
    present: bool | None = None
    note_id: str | None = None
    text: str | None = None
    flag: str | None = None
    winner: str | None = None
    loser: str | None = None
    outcome: str | None = None
    shown: str | None = None
    other_run_id: str | None = None
    asked: str | None = None
    repeat: int | None = None
    digest: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    reason: str | None = None
    via: str | None = None
    event_ids: tuple[str, ...] | None = None
    act: str | None = None
    redo_of: str | None = None

    def __init__(self, fields: dict[str, Any]) -> None:
        # One call for all fields: assigning them one by one takes three times as long.
        self.__dict__.update(fields)


def read_events(run_id: str, files: Iterable[tuple[str, bytes]]) -> Sequence[EventFields]:
    """The events in feedback files of a run (name, bytes), each once, in the order of `merge_events`.

    Raises:
        ValueError: something has an unusual form; the strict reader knows what it means.
    """
    events: dict[str, dict[str, Any]] = {}
    for is_log, data in sorted(((".jsonl" in name, data) for name, data in files), key=_IS_LOG, reverse=True):
        if is_log:
            _collect_from_log(data, events)
        else:  # what a log has as well, as nearly all of it, needs no second look
            _collect_from_document(run_id, data, events)
    return [FastEvent(fields) for fields in sorted(events.values(), key=_ORDER)]


def _collect_from_log(data: bytes, events: dict[str, dict[str, Any]]) -> None:
    for _, line, is_whole in split_lines(data):
        if not is_whole:
            continue
        identifier = genuine_id(line)
        if identifier is None:
            _collect_event(_validator().validate_json(line), events)
        elif identifier not in events:  # equal ids mean equal events: the id is the digest of the rest
            events[identifier] = from_json(line)


def _collect_from_document(run_id: str, data: bytes, events: dict[str, dict[str, Any]]) -> None:
    document = from_json(data, allow_inf_nan=False)
    if type(document) is not dict or document.get("kind") != "stablenew.feedback":
        raise NeedsStrictReader("expected a feedback document")
    # Only fields of other programs can be deep, and looking for that takes as long as reading.
    if not document.keys() <= _FIELDS and is_too_deep(data):
        raise NeedsStrictReader("nested deeper than a document may be")
    if document.get("run_id") != run_id or not str(document.get("schema_version")).startswith("1."):
        raise NeedsStrictReader("expected feedback of this run, of version 1.x")
    found = document.get("events")
    if type(found) is not list:
        raise NeedsStrictReader("expected a list of events")
    check = _validator().validate_python
    for event in found:
        if not _is_known(event, events):
            _collect_event(check(event), events)


def _is_known(event: Any, events: dict[str, dict[str, Any]]) -> bool:
    return type(event) is dict and type(event.get("id")) is str and events.get(event["id"]) == event


def _collect_event(event: dict[str, Any], events: dict[str, dict[str, Any]]) -> None:
    """Keep an event whose fields are valid, if it has all that its op needs and its id is right."""
    known = events.get(event.get("id", ""))
    if known == event:
        return
    if known is not None or not event.keys() >= _ALWAYS or explain_incomplete(event["op"], event):
        raise NeedsStrictReader("expected a complete event under an id of its own")
    if event_id(event) != event["id"]:
        raise NeedsStrictReader("expected an event whose id is the digest of the rest")
    events[event["id"]] = event


@functools.cache
def _validator() -> "SchemaValidator":
    """Validates the fields of an event as its model does, and returns them as a dict."""
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415
    from typing_extensions import TypedDict  # noqa: PLC0415

    hints = get_type_hints(FeedbackEvent, include_extras=True)
    fields = {name: hints[name] for name in FeedbackEvent.model_fields}
    event = TypedDict("event", fields, total=False)  # type: ignore[misc]
    event.__pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]
    return cast("SchemaValidator", TypeAdapter(event).validator)
