import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import InvalidDocument
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.feedback import (
    Feedback,
    FeedbackEvent,
    at_clock,
    build_event,
    build_feedback,
    draft_event,
    explain_incomplete,
    fold_events,
    is_state_of,
    merge_events,
    merge_feedback,
)
from stablenew.formats.documents.feedback_fold import fold_earlier_ratings, fold_trash
from tests.formats.documents.field_contract import (
    CLOCK,
    CLOCKS,
    COUNT,
    DIGEST,
    DIGESTS,
    EXTENSIONS,
    NAME,
    NAMES,
    RATING,
    RUN_ID,
    SHA256,
    SHA256S,
    SLUG,
    TEXT,
    YES_NO,
    FieldContract,
)
from tests.samples import digest_of
from tests.strategies import event_lists

IMAGE = digest_of(1)


def rate(rating, second=0, rater="alice", image=IMAGE, **fields):
    clock = f"2026-11-21T08:00:{second:02d}.000Z-0000"
    return build_event(clock=clock, replica="r1", rater=rater, op="rate", image_id=image, rating=rating, **fields)


@given(event_lists(), event_lists())
def test_merge_is_commutative(a, b):
    assert merge_events(a, b) == merge_events(b, a)


@given(event_lists(), event_lists(), event_lists())
def test_merge_is_associative(a, b, c):
    assert merge_events(merge_events(a, b), c) == merge_events(a, merge_events(b, c))


@given(event_lists())
def test_merge_is_idempotent(events):
    once = merge_events(events)
    assert merge_events(once, once) == once == merge_events(events, events)


@given(event_lists(), event_lists())
def test_merge_loses_nothing(a, b):
    assert {event.id for event in merge_events(a, b)} == {event.id for event in [*a, *b]}


@given(event_lists(), st.randoms())
def test_state_does_not_depend_on_order_or_repetition(events, rng):
    shuffled = events + events[:2]
    rng.shuffle(shuffled)
    assert fold_events(shuffled) == fold_events(events)


@given(event_lists(), event_lists())
def test_documents_merge_like_their_events(a, b):
    merged = merge_feedback(build_feedback("run", a), build_feedback("run", b))
    assert merged == build_feedback("run", [*a, *b])
    assert Feedback.from_json(merged.to_json()) == merged


def test_a_forged_twin_of_an_event_merges_the_same_in_either_order():
    good = rate(3)
    forged = good.model_copy(update={"rating": 5})
    assert merge_events([good], [forged]) == merge_events([forged], [good])
    assert good.is_genuine
    assert not forged.is_genuine


@given(event_lists())
def test_an_event_id_is_the_digest_of_the_rest(events):
    for event in events:
        rest = {key: value for key, value in event.to_dict().items() if key != "id"}
        assert event.id == digest_bytes(rfc8785.dumps(rest))
        assert FeedbackEvent.model_validate(event.to_dict()).is_genuine


def test_the_later_rating_wins_and_null_clears():
    state = fold_events([rate(2, 1), rate(4, 2)])
    assert state.images[IMAGE]["alice"].rating == 4
    assert fold_events([rate(2, 1), rate(None, 2)]).images == {}


def test_unrated_is_not_zero():
    assert fold_events([rate(0)]).images[IMAGE]["alice"].rating == 0
    assert fold_events([]).images == {}


def test_two_raters_keep_their_own_opinions():
    state = fold_events([rate(1, rater="alice"), rate(5, rater="bob")])
    assert {rater: one.rating for rater, one in state.images[IMAGE].items()} == {"alice": 1, "bob": 5}


def test_only_the_same_rater_can_retract():
    event = rate(4)
    own = build_event(
        clock="2026-11-21T08:00:09.000Z-0000", replica="r1", rater="alice", op="retract", event_ids=[event.id]
    )
    other = build_event(
        clock="2026-11-21T08:00:09.000Z-0000", replica="r1", rater="bob", op="retract", event_ids=[event.id]
    )
    assert fold_events([event, own]).images == {}
    assert fold_events([event, other]).images[IMAGE]["alice"].rating == 4


def test_a_retraction_uncovers_what_was_said_before():
    first, second = rate(2, 1), rate(5, 2)
    undo = build_event(
        clock="2026-11-21T08:00:09.000Z-0000", replica="r1", rater="alice", op="retract", event_ids=[second.id]
    )
    assert fold_events([first, second, undo]).images[IMAGE]["alice"].rating == 2


def test_what_was_said_before_is_kept_apart_from_the_latest_stars():
    first, second, third = rate(2, 1), rate(4, 2), rate(3, 3)
    key = (IMAGE, "alice")
    assert fold_earlier_ratings([first, second, third]) == {key: [(2, first.clock), (4, second.clock)]}
    assert fold_earlier_ratings([first]) == {}
    assert fold_earlier_ratings([first, rate(None, 2), third]) == {}, "stars that were taken away were not meant"
    assert fold_earlier_ratings([first, rate(5, 2, aspect="anatomy"), rate(4, 3, rater="bob")]) == {}
    retraction = build_event(
        clock="2026-11-21T08:00:09.000Z-0000", replica="r1", rater="alice", op="retract", event_ids=[second.id]
    )
    assert fold_earlier_ratings([first, second, retraction]) == {}


def test_aspects_are_rated_apart_from_the_whole():
    opinion = fold_events([rate(2), rate(5, aspect="composition")]).images[IMAGE]["alice"]
    assert (opinion.rating, opinion.aspects) == (2, {"composition": 5})


def test_a_rating_of_the_run_is_about_no_image():
    assert fold_events([rate(5, image=None)]).run["alice"].rating == 5


@pytest.mark.parametrize("rating", [6, -1, 4.5, "4", True, float("nan")])
def test_a_rating_out_of_range_is_refused(rating):
    with pytest.raises((InvalidDocument, ValueError)):
        rate(rating)


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "rate", "image_id": IMAGE},
        {"op": "tag", "image_id": IMAGE, "tag": None, "present": True},
        {"op": "retract"},
        {"op": "prefer", "winner": IMAGE, "loser": IMAGE},
    ],
)
def test_an_event_without_what_its_op_needs_is_refused(fields):
    with pytest.raises(InvalidDocument, match="needs"):
        build_event(clock="2026-11-21T08:00:00.000Z-0000", replica="r1", rater="alice", **fields)


def test_an_unknown_op_is_kept_and_ignored():
    event = build_event(clock="2026-11-21T08:00:00.000Z-0000", replica="r1", rater="alice", op="sparkle", amount=3)
    document = build_feedback("run", [event])
    assert document.events == (event,)
    assert document.state.images == {}
    assert b'"amount":3' in document.to_json().encode()


def test_feedback_of_different_runs_is_never_merged():
    with pytest.raises(InvalidDocument, match="cannot be merged"):
        merge_feedback(build_feedback("one", []), build_feedback("two", []))


def test_fields_of_other_programs_survive_a_merge():
    ours = build_feedback("run", [rate(3)], unknown={"x_mine": 1, "ext": {"org.example": {"a": 1}}})
    theirs = build_feedback("run", [rate(5, 2)], unknown={"x_theirs": [2]})
    merged = merge_feedback(ours, theirs).to_dict()
    assert (merged["x_mine"], merged["x_theirs"], merged["ext"]) == (1, [2], {"org.example": {"a": 1}})


def event(second, **fields):
    clock = f"2026-11-21T08:00:{second:02d}.000Z-0000"
    return build_event(**{"clock": clock, "replica": "r1", "rater": "alice", **fields})


def test_the_latest_word_on_the_trash_counts_whoever_says_it():
    thrown = event(1, op="trash", image_id=IMAGE, present=True)
    restored = event(2, op="trash", image_id=IMAGE, present=False, rater="bob")
    assert fold_trash([thrown]) == {IMAGE}
    assert fold_trash([thrown, restored]) == frozenset()
    retracted = event(3, op="retract", event_ids=[restored.id], rater="bob")
    assert fold_trash([thrown, restored, retracted]) == {IMAGE}
    assert fold_events([thrown, restored]).images[IMAGE]["alice"].trashed


def test_a_removal_is_a_tombstone_until_it_is_retracted_and_survives_a_merge():
    removal = event(1, op="remove", digest=IMAGE, sha256="a" * 64, size_bytes=5, reason="empty trash")
    first, second = (build_feedback("sample-run", events) for events in ([removal], [rate(4, second=4)]))
    merged = merge_feedback(first, second)
    assert [tombstone.digest for tombstone in merged.state.removals] == [IMAGE]
    restored = event(5, op="retract", event_ids=[removal.id])
    assert fold_events([*merged.events, restored]).removals is None


def test_a_comparison_across_runs_names_the_other_run():
    duel = {"op": "prefer", "winner": IMAGE, "loser": digest_of(2), "outcome": "tie"}
    (preference,) = fold_events([event(1, **duel, other_run_id="other-run", asked="which light?")]).preferences
    assert (preference.other_run_id, preference.outcome) == ("other-run", "tie")


def test_an_event_from_another_program_is_the_same_wherever_it_is_taken_over():
    fields = {"clock": "2020-01-01T00:00:00.000Z-0000", "replica": "via-lightroom", "rater": "alice", "op": "rate"}
    first, second = (build_event(**fields, image_id=IMAGE, rating=3, via="lightroom") for _ in range(2))
    assert merge_events([first], [second]) == (first,)


EVENT = {"id": DIGEST, "clock": CLOCK, "replica": "r1", "rater": "alice", "op": "sparkle"}
STATE = {
    "run": {"alice": {"rating": 5, "rated_at": CLOCK}},
    "images": {DIGEST: {"alice": {
        "rating": 4, "rated_at": CLOCK, "aspects": {"light": 3}, "tags": ["a"], "flag": "pick", "trashed": True,
        "notes": [{"note_id": "n", "text": "t"}],
    }}},
    "preferences": [{
        "event_id": DIGEST, "rater": "alice", "winner": DIGEST, "loser": DIGEST, "outcome": "win", "shown": "left",
        "other_run_id": "run-2",
    }],
    "removals": [{
        "event_id": DIGEST, "replica": "r1", "digest": DIGEST, "sha256": SHA256, "size_bytes": 1, "reason": "r",
    }],
}  # fmt: skip


class TestEveryField(FieldContract):
    model = Feedback
    full = {  # noqa: RUF012
        "$schema": "x", "kind": "stablenew.feedback", "schema_version": "1.0", "run_id": "run", "events": [EVENT],
        "state": STATE, "ext": {"org.example": 1},
    }  # fmt: skip
    takes = {  # noqa: RUF012
        "run_id": RUN_ID, "$schema": TEXT, "ext": EXTENSIONS, "events": ([[]], [{}, [{}], None]),
        "events.0.id": DIGESTS, "events.0.clock": CLOCKS, "events.0.replica": NAME, "events.0.rater": NAME,
        "events.0.op": (["a", "s" * 64], ["", "Rate", "a\n", "s" * 65]), "events.0.image_id": DIGESTS,
        "events.0.aspect": SLUG, "events.0.rating": RATING, "events.0.tag": NAME, "events.0.present": YES_NO,
        "events.0.note_id": NAME, "events.0.text": TEXT, "events.0.flag": SLUG, "events.0.winner": DIGESTS,
        "events.0.loser": DIGESTS, "events.0.outcome": SLUG, "events.0.shown": SLUG, "events.0.other_run_id": RUN_ID,
        "events.0.asked": TEXT, "events.0.repeat": COUNT, "events.0.digest": DIGESTS, "events.0.sha256": SHA256S,
        "events.0.size_bytes": COUNT, "events.0.reason": TEXT, "events.0.via": NAME, "events.0.act": NAME,
        "events.0.event_ids": ([[], [DIGEST]], [["x"], DIGEST]), "events.0.redo_of": DIGESTS,
        "state.run.alice.rating": RATING, "state.run.alice.rated_at": CLOCKS, "state.run.alice.flag": SLUG,
        "state.run.alice.aspects": ([{}, {"light": 0}], [{"light": 6}, {"light": None}]),
        "state.run.alice.tags": NAMES, "state.run.alice.trashed": YES_NO,
        "state.preferences.0.winner": DIGESTS, "state.preferences.0.outcome": SLUG,
        "state.removals.0.sha256": SHA256S, "state.removals.0.size_bytes": COUNT, "state.removals.0.reason": TEXT,
    }  # fmt: skip
    needed = {  # noqa: RUF012
        "": ["kind", "schema_version", "run_id", "events", "state"], "state": ["run", "images", "preferences"],
        "events.0": ["id", "clock", "replica", "rater", "op"], "state.run.alice": [],
        "state.preferences.0": ["event_id", "rater", "winner", "loser", "outcome"],
        "state.removals.0": ["event_id", "replica", "digest", "sha256", "size_bytes", "reason"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("rate", {"image_id": IMAGE, "rating": 3}),
        ("tag", {"image_id": IMAGE, "tag": "a", "present": True}),
        ("note", {"image_id": IMAGE, "note_id": "n", "text": "t"}),
        ("flag", {"image_id": IMAGE, "flag": "pick"}),
        ("prefer", {"winner": IMAGE, "loser": digest_of(2), "outcome": "win"}),
        ("trash", {"image_id": IMAGE, "present": True}),
        ("remove", {"digest": IMAGE, "sha256": SHA256, "size_bytes": 0, "reason": ""}),
        ("retract", {"event_ids": [IMAGE]}),
    ],
)
def test_an_event_needs_each_field_of_its_op_and_null_only_where_that_clears(op, fields):
    assert explain_incomplete(op, fields) is None
    assert event(1, op=op, **fields).is_genuine
    may_be_null = {name for name in fields if explain_incomplete(op, {**fields, name: None}) is None}
    assert may_be_null == fields.keys() & {"image_id", "rating", "text", "flag"}
    for name in fields:
        rest = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(InvalidDocument, match=f"an event with op '{op}' needs '{name}'"):
            event(1, op=op, **rest)


def test_an_op_of_a_later_program_lacks_nothing():
    assert explain_incomplete("sparkle", {}) is None


def test_a_draft_becomes_the_event_that_would_have_been_built_at_its_clock():
    draft = draft_event(replica="r1", rater="alice", op="rate", image_id=IMAGE, rating=4)
    built = rate(4, 7)
    assert not draft.is_genuine
    assert at_clock(draft, built.clock) == built
    assert at_clock(built, CLOCK).is_genuine
    assert at_clock(built, CLOCK).id != built.id
    with pytest.raises(InvalidDocument, match="not a valid feedback event: rating"):
        draft_event(replica="r1", rater="alice", op="rate", image_id=IMAGE, rating=6)


@given(event_lists())
def test_the_state_of_a_document_is_that_of_its_events(events):
    assert is_state_of(fold_events(events), events)
    more = rate(5, second=59, rater="carol")
    assert not is_state_of(fold_events(events), [*events, more])


def test_what_the_first_programs_folded_without_trash_and_removals_is_not_wrong():
    duel = event(1, op="prefer", winner=IMAGE, loser=digest_of(2), outcome="tie", other_run_id="other-run")
    later = [
        event(2, op="trash", image_id=IMAGE, present=True),
        event(3, op="remove", digest=IMAGE, sha256=SHA256, size_bytes=5, reason="r"),
    ]
    events = [rate(4), duel, *later]
    early = fold_events([rate(4), duel]).to_dict()
    del early["preferences"][0]["other_run_id"]
    early = build_feedback("run", []).state.model_validate(early)
    assert is_state_of(early, events)
    assert is_state_of(fold_events(events), events)
    assert not is_state_of(fold_events([rate(4)]), events)


def test_of_two_values_of_a_foreign_field_the_same_one_is_kept_in_either_order():
    one, other = (build_feedback("run", [], unknown={"x_mine": value}) for value in (1, 2))
    assert merge_feedback(one, other) == merge_feedback(other, one)
    assert merge_feedback(one, other).to_dict()["x_mine"] == 2
