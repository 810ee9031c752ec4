"""Acts: what one rater did at once, worked out from the events of a run alone. Pure.

So undo and redo survive a restart and reach other machines.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.formats.documents.feedback_fold import PLACE
from stablenew.formats.strict_json import JsonValue

_REPLACING: Final = frozenset({"rate", "tag", "note", "flag", "trash", PLACE})
"""Ops of which the latest event of a rater counts, and no other."""


def replay_acts(
    events: Iterable[FeedbackEvent], rater: str
) -> tuple[list[list[FeedbackEvent]], list[tuple[FeedbackEvent, list[FeedbackEvent]]]]:
    """A rater's acts that stand, and those undone since the last new act: each with its retraction. Latest last."""
    done: list[list[FeedbackEvent]] = []
    undone: list[tuple[FeedbackEvent, list[FeedbackEvent]]] = []
    retracted: set[str] = set()
    for event in events:
        if event.op == "remove":  # undoing that would not bring the bytes back
            continue
        if event.rater != rater or event.id in retracted:  # a clock that was wrong puts an event after its retraction
            continue
        if event.op == "retract":
            targets = set(event.event_ids or ())
            retracted |= targets
            taken = [act for act in done if targets & {target.id for target in act}]
            done = [act for act in done if act not in taken]
            undone.extend((event, act) for act in taken)
        elif done and event.act is not None and done[-1][-1].act == event.act:
            done[-1].append(event)
        else:
            done.append([event])
            undone = [pair for pair in undone if pair[0].id != event.redo_of] if event.redo_of else []
    return done, undone


def redo_body(event: FeedbackEvent, retraction: FeedbackEvent) -> dict[str, JsonValue]:
    """The fields of a new event that says again what `event` said and `retraction` took back."""
    own = {"id", "clock", "replica", "rater", "act", "redo_of"}
    body = {key: value for key, value in event.to_dict().items() if key not in own}
    return body | {"redo_of": retraction.id}


def drop_known(drafts: Iterable[FeedbackEvent], events: Iterable[FeedbackEvent]) -> list[FeedbackEvent]:
    """The drafts that are not among `events`: acts are idempotency keys, so a client may send one again."""
    new = list(drafts)
    names = {draft.act for draft in new}
    known = {_idempotency_key(event) for event in events if event.act in names}
    return [draft for draft in new if _idempotency_key(draft) not in known]


def find_dated_ahead(drafts: Iterable[FeedbackEvent], events: Sequence[FeedbackEvent], sound: str) -> list[str]:
    """Ids of events after the clock `sound` that would outweigh `drafts` for ever, because a clock once ran ahead."""
    replaced = {_register_of(draft) for draft in drafts if draft.op in _REPLACING}
    ahead = [event for event in events if event.clock > sound and _register_of(event) in replaced]
    retracted = {target for event in events for target in event.event_ids or ()} if ahead else set()
    return [event.id for event in ahead if event.id not in retracted]


def _register_of(event: FeedbackEvent) -> tuple[str | None, ...]:
    """The one thing that an event of a rater sets."""
    return (event.rater, event.op, event.image_id, event.aspect, event.tag, event.note_id)


def _idempotency_key(event: FeedbackEvent) -> tuple[str | None, ...]:
    compared = sorted(filter(None, (event.winner, event.loser)))
    return (event.rater, event.act, event.op, event.image_id, event.aspect, event.tag, event.note_id, *compared)
