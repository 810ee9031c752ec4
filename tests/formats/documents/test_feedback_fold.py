"""What the events of a run's feedback mean now, question by question."""

import pytest
from hypothesis import given

from stablenew.formats.documents.feedback import build_event, merge_events
from stablenew.formats.documents.feedback_fold import (
    fold_opinions,
    fold_picture,
    fold_preferences,
    fold_removals,
    fold_trash,
    latest_trash,
    standing_by_image,
    standing_places,
    standing_tags,
)
from tests.samples import digest_of
from tests.strategies import event_lists

IMAGE, OTHER = digest_of(1), digest_of(2)


def clock(second):
    return f"2026-11-21T08:00:{second:02d}.000Z-0000"


def said(second, op, *, rater="alice", **fields):
    """An event; it is about `IMAGE` where nothing else is said."""
    about = {} if op in ("prefer", "remove", "retract") else {"image_id": IMAGE}
    return build_event(**{"clock": clock(second), "replica": "r1", "rater": rater, "op": op} | about | fields)


def retract(second, *events, rater="alice"):
    return said(second, "retract", rater=rater, event_ids=[event.id for event in events])


def opinion(*events, image=IMAGE, rater="alice"):
    return fold_opinions(merge_events(events)).get((image, rater))


@pytest.mark.parametrize(
    ("op", "fields", "means"),
    [
        ("rate", {"rating": 3}, {"rating": 3, "rated_at": clock(1)}),
        ("rate", {"rating": 0}, {"rating": 0, "rated_at": clock(1)}),
        ("rate", {"rating": None}, {}),
        ("rate", {"rating": 2, "aspect": "light"}, {"aspects": {"light": 2}}),
        ("rate", {"rating": None, "aspect": "light"}, {}),
        ("tag", {"tag": "a", "present": True}, {"tags": ["a"]}),
        ("tag", {"tag": "a", "present": False}, {}),
        ("note", {"note_id": "n", "text": ""}, {"notes": [{"note_id": "n", "text": ""}]}),
        ("note", {"note_id": "n", "text": None}, {}),
        ("flag", {"flag": "pick"}, {"flag": "pick"}),
        ("flag", {"flag": None}, {}),
        ("trash", {"present": True}, {"trashed": True}),
        ("trash", {"present": False}, {}),
        ("sparkle", {"amount": 1}, None),
        ("place", {"tag": "a", "text": "b"}, None),
    ],
)
def test_each_op_says_one_thing_of_an_image(op, fields, means):
    assert opinion(said(1, op, **fields)) == means


def test_what_is_said_under_different_names_stands_beside_each_other():
    events = [
        said(4, "rate", rating=1),
        said(3, "rate", rating=2, aspect="light"),
        said(2, "rate", rating=3, aspect="anatomy"),
        said(1, "tag", tag="b", present=True),
        said(1, "tag", tag="a", present=True),
        said(2, "note", note_id="n2", text="two"),
        said(1, "note", note_id="n1", text="one"),
    ]
    found = opinion(*events)
    assert (found["rating"], found["aspects"], found["tags"]) == (1, {"anatomy": 3, "light": 2}, ["a", "b"])
    assert [note["text"] for note in found["notes"]] == ["one", "two"]


def test_of_two_words_at_one_clock_the_greater_id_counts_on_every_machine():
    events = [said(1, "rate", rating=rating) for rating in range(6)]
    last = max(events, key=lambda event: event.id)
    assert opinion(*events)["rating"] == opinion(*reversed(events))["rating"] == last.rating


def test_a_retraction_cannot_be_taken_back_but_by_saying_it_again():
    first = said(1, "rate", rating=4)
    undo = retract(2, first)
    assert opinion(first, undo, retract(3, undo)) is None
    assert opinion(first, undo, said(4, "rate", rating=4))["rating"] == 4


def test_what_stands_of_each_image_is_neither_about_the_run_nor_retracted():
    kept, gone, run = said(1, "rate", rating=4), said(2, "rate", rating=1), said(3, "rate", rating=5, image_id=None)
    other = said(4, "flag", flag="pick", image_id=OTHER)
    found = standing_by_image(merge_events([kept, gone, run, other, retract(5, gone)]))
    assert found == {IMAGE: [kept], OTHER: [other]}


def test_a_picture_has_the_tags_of_all_its_files_and_else_the_last_word_about_any():
    events = [
        said(1, "tag", tag="b", present=True),
        said(2, "tag", tag="a", present=True, image_id=OTHER),
        said(3, "tag", tag="b", present=True, image_id=OTHER),
        said(4, "tag", tag="a", present=False),
        said(5, "rate", rating=5),
        said(6, "rate", rating=2, image_id=OTHER),
        said(1, "rate", rating=3, rater="bob", image_id=OTHER),
    ]
    found = fold_picture([*events, *events])
    assert found["alice"] == {"tags": ["a", "b"], "rating": 2, "rated_at": clock(6)}
    assert found["bob"] == {"rating": 3, "rated_at": clock(1)}


@given(event_lists())
def test_a_picture_that_is_one_file_means_what_the_file_means(events):
    about = [event for event in events if event.image_id == IMAGE and event.op != "retract"]
    expected = {rater: found for (_, rater), found in fold_opinions(merge_events(about)).items()}
    assert fold_picture(about) == expected


def test_a_tag_stands_where_its_rater_gave_it_last():
    give, take = said(1, "tag", tag="a", present=True), said(2, "tag", tag="a", present=False)
    bob = said(1, "tag", tag="a", present=True, rater="bob")
    assert standing_tags(merge_events([give, take, bob])) == [bob]
    assert set(standing_tags(merge_events([give, take, bob, retract(3, take)]))) == {give, bob}


def test_nothing_said_is_nothing_known():
    assert (latest_trash([]), standing_tags([])) == ({}, [])
    assert (fold_opinions([]), fold_picture([]), standing_by_image([]), standing_places([])) == ({}, {}, {}, [])
    assert (fold_preferences([]), fold_removals([]), fold_trash([])) == ([], [], frozenset())


def test_trash_has_one_last_word_for_all_raters():
    events = [
        said(1, "trash", present=True),
        said(2, "trash", present=False, rater="bob"),
        said(1, "trash", present=True, image_id=OTHER, rater="bob"),
    ]
    assert latest_trash(events) == {IMAGE: (clock(2), False), OTHER: (clock(1), True)}
    assert fold_trash(events) == {OTHER}


def test_an_image_has_the_last_place_among_those_with_a_tag_whoever_gave_it():
    first, second = (said(number, "place", tag="a", text="x" * number, rater=f"r{number}") for number in (1, 2))
    elsewhere = said(1, "place", tag="b", text="m")
    empty = said(3, "place", tag="a", text="")
    assert standing_places([first, second, elsewhere, empty]) == [second, elsewhere]
    undone = [first, second, elsewhere, retract(4, second, rater="r2")]
    assert standing_places(undone) == [first, elsewhere]


def test_every_comparison_counts_also_the_same_two_again():
    duel = {"winner": IMAGE, "loser": OTHER, "outcome": "win"}
    plain, again = said(1, "prefer", **duel), said(2, "prefer", **duel, shown="left", other_run_id="run-2")
    expected = [
        {"event_id": plain.id, "rater": "alice", **duel},
        {"event_id": again.id, "rater": "alice", **duel, "shown": "left", "other_run_id": "run-2"},
    ]
    assert fold_preferences([plain, again]) == expected
    assert fold_preferences([plain, again, retract(3, plain)]) == expected[1:]


def test_a_removal_stands_until_whoever_removed_it_brings_it_back():
    facts = {"digest": IMAGE, "sha256": "a" * 64, "size_bytes": 5, "reason": "emptied the trash"}
    removal = said(1, "remove", **facts)
    expected = [{"event_id": removal.id, "replica": "r1", **facts}]
    assert fold_removals([removal]) == expected
    assert fold_removals([removal, retract(2, removal, rater="bob")]) == expected
    assert fold_removals([removal, retract(2, removal)]) == []
