import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.feedback import build_event
from stablenew.store.feedback.fast_feedback_reader import genuine_id
from tests.samples import digest_of
from tests.strategies import event_lists

CLOCK = "2026-11-21T08:00:00.000Z-0000"
IMAGE = digest_of(1)
USUAL = [
    {"op": "rate", "image_id": IMAGE, "rating": 3},
    {"op": "rate", "image_id": None, "rating": None, "act": "a1"},
    {"op": "tag", "image_id": IMAGE, "tag": "großes Bild {[1]}", "present": True},
    {"op": "tag", "image_id": IMAGE, "tag": "and 'op'", "present": False, "act": "a1"},
    {"op": "flag", "image_id": IMAGE, "flag": "pick"},
    {"op": "flag", "image_id": None, "flag": None},
]


def build(fields):
    return build_event(clock=CLOCK, replica="r1", rater="Jürgen", **fields)


@pytest.mark.parametrize("fields", USUAL)
def test_ratings_tags_and_flags_as_we_write_them_are_usual(fields):
    event = build(fields)
    assert genuine_id(event.encode_line()) == event.id


@pytest.mark.parametrize("fields", USUAL)
def test_no_byte_of_them_can_change_unseen(fields):
    line = build(fields).encode_line()
    for place in range(len(line)):
        for byte in b'x07" ,}\\':
            changed = line[:place] + bytes([byte]) + line[place + 1 :]
            assert changed == line or genuine_id(changed) is None


@given(events=event_lists())
def test_whatever_is_taken_for_genuine_is(events):
    for event in events:
        assert genuine_id(event.encode_line()) in {None, event.id}


@given(rater=st.text(min_size=1, max_size=300))
def test_any_name_is_read_right_or_left_to_the_other_readers(rater):
    if len(rater) <= 256:
        event = build_event(clock=CLOCK, replica="r1", rater=rater, op="rate", image_id=IMAGE, rating=1)
        assert genuine_id(event.encode_line()) in {None, event.id}


@pytest.mark.parametrize(
    "members",
    [
        b'"clock":"%s","replica":"r1","rater":"anna","op":"rate","image_id":null,"rating": 4',
        b'"clock":"%s","replica":"r1","rater":"anna","op":"rate","image_id":null,"rating":4.0',
        b'"clock":"%s","replica":"r1","rater":"anna","op":"rate","image_id":null,"rating":-0',
        b'"clock":"%s","replica":"r1","rater":"anna","op":"rate","image_id":null,"rating":6',
        b'"clock":"%s","replica":"r1","rater":"\\u0061nna","op":"rate","image_id":null,"rating":4',
        b'"clock":"%s","replica":"r1","rater":"an\tna","op":"rate","image_id":null,"rating":4',
        b'"clock":"%s","replica":"r1","rater":"","op":"rate","image_id":null,"rating":4',
        b'"clock":"%s","replica":"r1","rater":"anna","op":"rate","image_id":null,"rating":4,"rating":4',
        b'"clock":"%s","replica":"r1","rater":"anna","op":"tag","image_id":null,"tag":"a"',
        b'"clock":"%s","replica":"r1","rater":"anna","op":"flag","image_id":null,"flag":"No"',
    ],
)
def test_an_id_over_bytes_that_are_written_otherwise_is_not_believed(members):
    """Somebody who wants to deceive can take the digest of any bytes."""
    members %= CLOCK.encode()
    forged = digest_bytes(b"{" + b",".join(sorted(members.split(b","))) + b"}").encode()
    assert genuine_id(b'{"id":"' + forged + b'",' + members + b"}") is None
