"""The quick reader of feedback and the strict one never say different things."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.documents.feedback import (
    FeedbackEvent,
    build_event,
    build_feedback,
    event_id,
)
from stablenew.formats.documents.feedback_fold import fold_opinions, fold_preferences
from stablenew.formats.strict_json import encode_json
from stablenew.store.feedback.fast_feedback_reader import FastEvent, NeedsStrictReader, read_events
from stablenew.store.feedback.feedback_files import parse_feedback
from tests.samples import digest_of
from tests.strategies import event_lists

RUN = "sample-run"
LOG = "feedback.r1.jsonl"
EVENT = build_event(
    clock="2026-11-21T08:00:00.000Z-0000", replica="r1", rater="alice", op="rate", image_id=digest_of(1), rating=3
).to_dict()
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 9), st.floats(-1, 9), st.text(max_size=40), st.lists(st.text(max_size=3))
)


def encode(*events, write=lambda event: json.dumps(event).encode()):
    return [(LOG, b"".join(write(event) + b"\n" for event in events))]


def either_way(*events):
    """As another program may write them, and as we do."""
    return encode(*events), encode(*events, write=encode_json)


def meaning(events):
    return [event.id for event in events], fold_opinions(events), fold_preferences(events)


@given(events=event_lists())
def test_both_readers_agree_on_what_we_write(events):
    for files in either_way(*(event.to_dict() for event in events)):
        strict, problems = parse_feedback(RUN, files)
        assert problems == []
        try:
            found = read_events(RUN, files)
        except ValueError:
            assert any(event.op == "sparkle" for event in events)  # fields of a later version
        else:
            assert meaning(found) == meaning(strict)


@given(name=st.sampled_from([*EVENT, "op", "tag", "present", "event_ids", "text", "later"]), value=VALUES)
def test_one_odd_field_is_read_alike_or_left_to_the_strict_reader(name, value):
    event = EVENT | {name: value}
    if name != "id":
        event |= {"id": event_id(event)}
    for files in either_way(event):
        try:
            found = read_events(RUN, files)
        except ValueError:
            continue
        strict, problems = parse_feedback(RUN, files)
        assert problems == []
        assert meaning(found) == meaning(strict)


@pytest.mark.parametrize(
    "change",
    [
        {"op": []},
        {"op": {}},
        {"op": None},
        {"op": "tag"},
        {"rating": 6},
        {"rater": ""},
        {"image_id": "xxh128:1"},
        {"new": 1},
    ],
)
def test_what_is_not_plain_is_refused(change):
    event = EVENT | change
    for files in either_way(event | {"id": event_id(event)}):
        with pytest.raises(ValueError):  # whichever it is, the strict reader has to look
            read_events(RUN, files)


def test_an_event_that_is_not_what_its_id_says_is_refused():
    for files in either_way(EVENT | {"rating": 5}):
        with pytest.raises(NeedsStrictReader):
            read_events(RUN, files)


def test_a_log_and_the_document_of_one_run_say_it_once():
    event = build_event(clock=EVENT["clock"], replica="r1", rater="alice", op="retract", event_ids=[EVENT["id"]])
    document = build_feedback(RUN, [FeedbackEvent.model_validate(EVENT), event])
    files = [*encode(EVENT, event.to_dict()), ("feedback.json", document.encode_document())]
    assert [one.id for one in read_events(RUN, files)] == [one.id for one in document.events]
    with pytest.raises(NeedsStrictReader):
        read_events("another-run", files)


def test_what_an_event_does_not_say_is_none():
    (event,) = read_events(RUN, encode(EVENT))
    assert (event.rating, event.aspect, event.act) == (3, None, None)


def test_a_fast_event_has_every_field_of_the_model():
    """Required fields have no default in either; the others are None until an event has them."""
    declared = set(FastEvent.__annotations__)
    assert declared == set(FeedbackEvent.model_fields)
    optional = {name for name, field in FeedbackEvent.model_fields.items() if not field.is_required()}
    assert {name for name in declared if hasattr(FastEvent, name)} == optional
