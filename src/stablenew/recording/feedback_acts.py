"""Acts: what one rater did at once, worked out from the events of a run alone. Pure.

So undo and redo survive a restart and reach other machines.
"""

from collections.abc import Iterable

from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.formats.strict_json import JsonValue


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
