"""Acts worked out from events: what stands, what was undone, what an answer that never came must not double."""

import itertools

import pytest

from stablenew.formats.documents.feedback import at_clock, draft_event
from stablenew.recording.feedback_acts import redo_body, replay_acts
from stablenew.recording.feedback_writer import drop_known, find_dated_ahead

IMAGE = "xxh128:" + "a" * 32
SOUND = "2026-11-21T08:00:00.000Z-0000"


@pytest.fixture
def say():
    """Make an event; each is a millisecond later than the one before, unless it has a clock of its own."""
    moments = itertools.count()

    def make(op="rate", act="a", rater="ann", clock=None, **fields):
        body = {"image_id": IMAGE, "rating": 4} if op == "rate" else {}
        draft = draft_event(op=op, act=act, rater=rater, replica="one", **body | fields)
        return at_clock(draft, clock or f"2026-11-20T08:00:00.{next(moments):03}Z-0000")

    return make


def ids(acts):
    return [[event.id for event in act] for act in acts]


def test_events_of_one_act_are_undone_together(say):
    first, second, other = say(act="a"), say(act="a", rating=5), say(act="b")
    done, undone = replay_acts([first, second, other], "ann")
    assert ids(done) == [[first.id, second.id], [other.id]]
    assert undone == []


def test_what_others_did_is_not_ones_own_to_undo(say):
    done, undone = replay_acts([say(rater="ben")], "ann")
    assert (done, undone) == ([], [])


def test_a_retraction_moves_its_act_to_what_can_be_redone(say):
    first, second = say(act="a"), say(act="b")
    retraction = say(op="retract", act="c", event_ids=[second.id])
    done, undone = replay_acts([first, second, retraction], "ann")
    assert ids(done) == [[first.id]]
    assert [(by.id, ids([act])) for by, act in undone] == [(retraction.id, [[second.id]])]


def test_a_new_act_ends_what_could_be_redone_and_a_redo_only_its_own(say):
    first, second = say(act="a"), say(act="b")
    back = [say(op="retract", act=f"c{number}", event_ids=[event.id]) for number, event in enumerate((second, first))]
    again = say(**redo_body(first, back[1]), act="d")
    _, undone = replay_acts([first, second, *back, again], "ann")
    assert [by.id for by, _ in undone] == [back[0].id]
    _, undone = replay_acts([first, second, *back, say(act="e")], "ann")
    assert undone == []


def test_a_removal_is_never_undone(say):
    removal = say(op="remove", digest=IMAGE, sha256="b" * 64, size_bytes=1, reason="trash")
    assert replay_acts([removal], "ann") == ([], [])


def test_an_act_that_is_sent_again_adds_only_what_is_not_there(say):
    known = say(act="a")
    again = draft_event(op="rate", act="a", rater="ann", replica="one", image_id=IMAGE, rating=4)
    more = draft_event(op="tag", act="a", rater="ann", replica="one", image_id=IMAGE, tag="keeper", present=True)
    assert drop_known([again, more], [known]) == [more]
    assert drop_known([again], [say(act="b"), say(act="a", rater="ben")]) == [again]


def test_only_what_would_outweigh_a_draft_counts_as_dated_ahead(say):
    late = "2027-01-01T00:00:00.000Z-0000"
    rating, note = say(clock=late), say(op="note", clock=late, image_id=IMAGE, note_id="main", text="soft")
    others, taken_back = say(clock=late, rater="ben"), say(clock=late, rating=1)
    retraction = say(op="retract", event_ids=[taken_back.id])
    draft = draft_event(op="rate", act="z", rater="ann", replica="one", image_id=IMAGE, rating=2)
    assert find_dated_ahead([draft], [rating, note, others, taken_back, retraction], SOUND) == [rating.id]
    assert find_dated_ahead([draft], [say()], SOUND) == []
