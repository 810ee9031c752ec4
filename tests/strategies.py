"""One hypothesis strategy a format, written by hand: hypothesis-jsonschema does not work with today's hypothesis."""

from hypothesis import strategies as st

from stablenew.formats.documents.feedback import build_event
from tests.samples import digest_of

json_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | json_text
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_text, inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(json_text, json_values, max_size=4)

digests = st.integers(0, 5).map(digest_of)
clocks = st.builds(
    lambda second, counter: f"2026-11-21T08:00:{second:02d}.000Z-{counter:04x}", st.integers(0, 4), st.integers(0, 2)
)
raters = st.sampled_from(["alice", "bob"])
ratings = st.none() | st.integers(0, 5)
subjects = st.none() | digests

_rate = st.fixed_dictionaries(
    {"op": st.just("rate"), "image_id": subjects, "rating": ratings},
    optional={"aspect": st.sampled_from(["composition", "anatomy"])},
)
_tag = st.fixed_dictionaries(
    {
        "op": st.just("tag"),
        "image_id": subjects,
        "tag": st.sampled_from(["portrait", "keeper"]),
        "present": st.booleans(),
    }
)
_note = st.fixed_dictionaries(
    {
        "op": st.just("note"),
        "image_id": subjects,
        "note_id": st.sampled_from(["n1", "n2"]),
        "text": st.none() | json_text,
    }
)
_flag = st.fixed_dictionaries(
    {"op": st.just("flag"), "image_id": subjects, "flag": st.sampled_from([None, "pick", "reject"])}
)
_prefer = st.fixed_dictionaries(
    {"op": st.just("prefer"), "winner": digests, "loser": digests, "outcome": st.sampled_from(["win", "tie"])},
    optional={"other_run_id": st.just("other-run"), "asked": json_text, "repeat": st.integers(0, 3)},
)
_trash = st.fixed_dictionaries(
    {"op": st.just("trash"), "image_id": digests, "present": st.booleans()}, optional={"via": st.just("lightroom")}
)
_remove = st.fixed_dictionaries(
    {
        "op": st.just("remove"),
        "digest": digests,
        "sha256": st.just("0" * 64),
        "size_bytes": st.integers(0, 9),
        "reason": json_text,
    }
)
_future = st.fixed_dictionaries({"op": st.just("sparkle"), "amount": st.integers(0, 9)})


def _build(fields, clock, replica, rater):
    return build_event(clock=clock, replica=replica, rater=rater, **fields)


plain_events = st.builds(
    _build,
    st.one_of(_rate, _tag, _note, _flag, _prefer, _trash, _remove, _future),
    clocks,
    st.sampled_from(["r1", "r2"]),
    raters,
)


@st.composite
def event_lists(draw, max_size=8):
    """Events of every kind, among them retractions of some of the others."""
    events = draw(st.lists(plain_events, max_size=max_size))
    if events:
        for target in draw(st.lists(st.sampled_from(events), max_size=3)):
            fields = {"op": "retract", "event_ids": [target.id]}
            events.append(_build(fields, draw(clocks), "r1", draw(raters)))
    return events
