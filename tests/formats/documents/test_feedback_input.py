"""What people say, as events: each thing once, only what was said, and nothing that cannot be meant."""

import pytest

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.feedback import draft_event
from stablenew.formats.documents.feedback_input import ComparisonInput, FeedbackInput
from tests.formats.documents.field_contract import LARGEST
from tests.samples import digest_of

LOW, HIGH = sorted((digest_of(1), digest_of(2)))


def events(image=LOW, **fields):
    """The events of an input without what all of them share."""
    found = FeedbackInput.build(run_id="run", image_id=image, **fields).to_events(image)
    assert all(event["image_id"] == image for event in found)
    return [{name: value for name, value in event.items() if name != "image_id"} for event in found]


def compare(**fields):
    sides = {"winner_run_id": "one", "winner": "0/0", "loser_run_id": "two", "loser": "0/0"}
    return ComparisonInput.build(**sides | fields)


def test_nothing_said_is_no_event():
    assert events() == []
    assert events(notes=None, trashed=None, aspects={}, tags=()) == []


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"rating": 0}, {"op": "rate", "rating": 0}),
        ({"rating": None}, {"op": "rate", "rating": None}),
        ({"flag": "pick"}, {"op": "flag", "flag": "pick"}),
        ({"flag": None}, {"op": "flag", "flag": None}),
        ({"tags": ("a",)}, {"op": "tag", "tag": "a", "present": True}),
        ({"remove_tags": ("a",)}, {"op": "tag", "tag": "a", "present": False}),
        ({"notes": "soft"}, {"op": "note", "note_id": "main", "text": "soft"}),
        ({"notes": ""}, {"op": "note", "note_id": "main", "text": None}),
        ({"trashed": True}, {"op": "trash", "present": True}),
        ({"trashed": False}, {"op": "trash", "present": False}),
        ({"aspects": {"anatomy": 2}}, {"op": "rate", "rating": 2, "aspect": "anatomy"}),
        ({"aspects": {"anatomy": None}}, {"op": "rate", "rating": None, "aspect": "anatomy"}),
        ({"rating": 3, "act": None}, {"op": "rate", "rating": 3}),
        ({"rating": 3, "act": "key"}, {"op": "rate", "rating": 3, "act": "key"}),
    ],
)
def test_each_thing_that_is_said_is_one_event(said, event):
    assert events(**said) == [event]


def test_everything_said_at_once_is_of_one_act_and_a_valid_event_each():
    said = {"rating": 4, "flag": "pick", "tags": ("a", "b"), "remove_tags": ("c",), "notes": "n", "trashed": False}
    found = events(**said, aspects={"anatomy": 1, "light": 5}, act="key")
    assert [event["op"] for event in found] == ["rate"] * 3 + ["tag"] * 3 + ["note", "flag", "trash"]
    assert {event["act"] for event in found} == {"key"}
    for event in found:
        assert draft_event(replica="r1", rater="alice", image_id=LOW, **event).op == event["op"]


def test_what_is_said_of_the_whole_run_is_about_no_image():
    (event,) = FeedbackInput.build(run_id="run", rating=5).to_events(None)
    assert event == {"op": "rate", "rating": 5, "image_id": None}


@pytest.mark.parametrize("trashed", [True, False])
def test_a_whole_run_cannot_go_into_the_trash(trashed):
    with pytest.raises(InvalidDocument, match="only images go into the trash, not a whole run"):
        FeedbackInput.build(run_id="run", trashed=trashed)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"rating": 6}, "rating"),
        ({"rating": -1}, "rating"),
        ({"rating": True}, "rating"),
        ({"rating": 3.5}, "rating"),
        ({"rating": float("nan")}, "rating"),
        ({"flag": "Pick"}, "flag"),
        ({"tags": ("",)}, "tags.0"),
        ({"tags": ("a", "x" * 257)}, "tags.1"),
        ({"tags": "a"}, "tags"),
        ({"notes": "x" * 20_001}, "notes"),
        ({"trashed": "yes"}, "trashed"),
        ({"trashed": 1}, "trashed"),
        ({"aspects": {"anatomy": 6}}, "aspects.anatomy"),
        ({"aspects": {"Bad aspect": 3}}, "aspects.Bad aspect"),
        ({"act": ""}, "act"),
        ({"image_id": "x" * 257}, "image_id"),
        ({"ratng": 3}, "ratng: no such field"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(fields, place):
    with pytest.raises(InvalidDocument, match=f"not valid feedback: {place}"):
        FeedbackInput.build(**{"run_id": "run", "image_id": LOW} | fields)


def test_a_note_may_be_long_and_stars_may_come_as_a_list_does_in_json():
    assert events(notes="x" * 20_000)[0]["text"] == "x" * 20_000
    assert [event["tag"] for event in events(tags=["a", "b"])] == ["a", "b"]
    assert events(rating=4.0) == [{"op": "rate", "rating": 4}]


def test_nobody_changes_what_was_said():
    said = FeedbackInput.build(run_id="run", rating=4)
    with pytest.raises(ValueError, match="frozen"):
        said.rating = 5


@pytest.mark.parametrize(("winner", "loser"), [(LOW, HIGH), (HIGH, LOW)])
def test_a_comparison_is_at_home_in_the_run_of_the_lower_digest_whoever_won(winner, loser):
    runs = {LOW: "low-run", HIGH: "high-run"}
    home, event = compare(winner_run_id=runs[winner], loser_run_id=runs[loser]).to_event(winner, loser)
    assert (home, event["other_run_id"]) == ("low-run", "high-run")
    assert (event["winner"], event["loser"], event["outcome"]) == (winner, loser, "win")


def test_a_comparison_within_a_run_names_no_other_run():
    home, event = compare(loser_run_id="one").to_event(HIGH, LOW)
    assert home == "one"
    assert event == {"op": "prefer", "winner": HIGH, "loser": LOW, "outcome": "win"}


def test_what_is_known_of_a_comparison_stands_in_its_event():
    known = {"outcome": "tie", "shown": "right", "asked": "which light?", "repeat": 0, "act": "key"}
    _, event = compare(**known).to_event(LOW, HIGH)
    assert {name: event[name] for name in known} == known
    assert draft_event(replica="r1", rater="alice", **event).repeat == 0


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"outcome": "lose"}, "outcome"),
        ({"shown": "above"}, "shown"),
        ({"asked": "x" * 257}, "asked"),
        ({"repeat": -1}, "repeat"),
        ({"repeat": LARGEST + 1}, "repeat"),
        ({"winner": "x" * 257}, "winner"),
        ({"loser": None}, "loser"),
        ({"act": ""}, "act"),
    ],
)
def test_a_comparison_that_cannot_be_meant_is_refused_by_its_name(fields, place):
    with pytest.raises(InvalidDocument, match=f"not valid feedback: {place}"):
        compare(**fields)
