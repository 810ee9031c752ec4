"""What the index keeps of feedback: the last words of each rater, and when they were said."""

import pytest

from stablenew.formats.documents.feedback import build_event, merge_events
from stablenew.index.reading.opinion_entry import build_opinion_entry
from tests.samples import digest_of

IMAGE = digest_of(1)


def clock(second):
    return f"2026-11-21T08:00:{second:02d}.000Z-0000"


def said(second, op, *, rater="alice", **fields):
    """An event; it is about `IMAGE` where nothing else is said."""
    about = {} if op == "retract" else {"image_id": IMAGE}
    return build_event(**{"clock": clock(second), "replica": "r1", "rater": rater, "op": op} | about | fields)


def retract(second, *events):
    return said(second, "retract", event_ids=[event.id for event in events])


def aged(event):
    return f"{event.clock} {event.id}"


def entry_of(*events):
    return build_opinion_entry(merge_events(events))


def test_the_last_word_of_each_rater_tells_when_it_was_said_and_who_took_it_back():
    give, take = said(1, "tag", tag="a", present=True), said(2, "tag", tag="a", present=False)
    bob = said(1, "tag", tag="a", present=True, rater="bob")
    found = entry_of(give, take, bob).image_tags
    assert found == ((IMAGE, "alice", "a", aged(take), False), (IMAGE, "bob", "a", aged(bob), True))
    assert entry_of(give, take, retract(3, take)).image_tags == ((IMAGE, "alice", "a", aged(give), True),)


def test_notes_and_aspects_tell_the_same_and_what_they_say_now():
    note, gone = said(1, "note", note_id="n", text="soft"), said(2, "note", note_id="m", text=None)
    assert entry_of(note, gone).notes == (
        (IMAGE, "alice", "n", aged(note), "soft"),
        (IMAGE, "alice", "m", aged(gone), None),
    )
    plain, light = said(1, "rate", rating=5), said(2, "rate", rating=None, aspect="light", image_id=None)
    assert entry_of(plain, light).scores == (("", "aspect.light", "alice", None, aged(light)),)


@pytest.mark.parametrize(("op", "name", "word"), [("rate", "rating", 3), ("flag", "flag", "pick")])
def test_taking_a_word_back_is_a_word_and_an_aspect_is_none(op, name, word):
    def times(*events):
        (opinion,) = entry_of(*events).opinions
        return {"rate": opinion.rated_at, "flag": opinion.flagged_at}[op]

    first, last = said(1, op, **{name: word}), said(3, op, **{name: None})
    aspect = said(4, "rate", rating=5, aspect="light")
    assert times(first, last, aspect) == clock(3)
    assert times(first, last, retract(5, last)) == clock(1)
    assert times(said(1, "trash", present=True)) is None
