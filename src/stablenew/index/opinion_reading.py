"""What people think of a run, read fast.

Feedback that is written the usual way is checked and folded without building its models; anything unusual is left to
the strict reader, so that both always say the same.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from pydantic_core import from_json

from stablenew.formats.feedback import FeedbackEvent, event_id, fold_opinions
from stablenew.index.run_entry import NotPlain, OpinionEntry, build_opinion_entry
from stablenew.store.feedback_files import MAX_FEEDBACK_BYTES
from stablenew.store.feedback_log import FeedbackLog
from stablenew.store.line_log import split_lines
from stablenew.store.regular_file import read_regular

_ID_LENGTH: Final = len("xxh128:") + 32
_CLOCK_LENGTH: Final = len("2026-11-21T08:00:00.000Z-0000")
_UNSAID: Final = dict.fromkeys(FeedbackEvent.model_fields)
_TEXTS: Final = {"rate": (), "tag": ("tag",), "note": ("note_id",), "flag": ()}
"""The ops whose meaning is known here, and the fields each must have a text in."""


def read_opinions(run_path: Path, files: Sequence[str]) -> OpinionEntry:
    """What the feedback files of a run come to: those in its folder, and this machine's journal of what it said."""
    try:
        events: dict[str, dict[str, Any]] = {}
        for path in files:
            _take_events(path, run_path.name, events)
        ordered = sorted(events.values(), key=lambda event: (event["clock"], event["id"]))
        return build_opinion_entry(fold_opinions([_as_event(event) for event in ordered]))
    except (NotPlain, ValueError, OSError):
        return _read_strictly(run_path)


def _as_event(fields: dict[str, Any]) -> FeedbackEvent:
    """`fields` as the fold looks at them: by name, and None where nothing was said."""
    return cast("FeedbackEvent", SimpleNamespace(**(_UNSAID | fields)))


def _read_strictly(run_path: Path) -> OpinionEntry:
    try:
        state = FeedbackLog(run_path).read().build_document().state
    except OSError:
        return OpinionEntry()
    opinions = {("", rater): opinion.to_dict() for rater, opinion in state.run.items()}
    for image, by_rater in state.images.items():
        opinions |= {(image, rater): opinion.to_dict() for rater, opinion in by_rater.items()}
    return build_opinion_entry(opinions)


def _take_events(path: str, run_id: str, events: dict[str, dict[str, Any]]) -> None:
    data = read_regular(path, MAX_FEEDBACK_BYTES)
    if ".jsonl" in os.path.basename(path):
        found: Any = [from_json(line, allow_inf_nan=False) for _, line, is_whole in split_lines(data) if is_whole]
    else:
        document = from_json(data, allow_inf_nan=False)
        if type(document) is not dict or document.get("kind") != "stablenew.feedback":
            raise NotPlain("expected a feedback document")
        if document.get("run_id") != run_id or not str(document.get("schema_version")).startswith("1."):
            raise NotPlain("expected feedback of this run, of version 1.x")
        found = document.get("events")
    if type(found) is not list:
        raise NotPlain("expected a list of events")
    for event in found:
        _take_event(event, events)


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
    op = event.get("op")
    if not all(type(event.get(name)) is str and event[name] for name in ("clock", "rater", "replica")):
        return False
    if len(event["id"]) != _ID_LENGTH or len(event["clock"]) != _CLOCK_LENGTH:
        return False
    if op == "retract":
        return type(event.get("event_ids")) is list
    return op in _TEXTS and _has_plain_values(event) and all(type(event.get(name)) is str for name in _TEXTS[op])


def _has_plain_values(event: dict[str, Any]) -> bool:
    image, rating, flag, text = (event.get(name) for name in ("image_id", "rating", "flag", "text"))
    return (
        (image is None or (type(image) is str and len(image) == _ID_LENGTH))
        and (rating is None or (type(rating) is int and 0 <= rating <= 5))
        and (flag is None or type(flag) is str)
        and (text is None or type(text) is str)
        and type(event.get("present", True)) is bool
        and event.get("aspect") is None
    )
