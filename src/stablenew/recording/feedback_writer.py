"""How feedback gets into the logs of runs: events of an act, dated now, durable in many runs at once."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from stablenew.disk.group_sync import perform_together, results_of
from stablenew.disk.locks import ThreadLock
from stablenew.errors import StableNewError
from stablenew.formats.clock import Clock, latest_sound_clock, next_hybrid_clock
from stablenew.formats.documents.feedback import Feedback, FeedbackEvent, at_clock, draft_event
from stablenew.formats.documents.feedback_fold import PLACE
from stablenew.formats.strict_json import JsonValue
from stablenew.store.feedback.feedback_files import FeedbackReading
from stablenew.store.feedback.feedback_log import FeedbackLog, writing_all
from stablenew.store.local_state import replica_id
from stablenew.store.run import Run

_AT_ONCE: Final = 100
"""Runs written in step; each has a file open."""
CACHED_RUNS: Final = 256
_REPLACING: Final = frozenset({"rate", "tag", "note", "flag", "trash", PLACE})
"""Ops of which the latest event of a rater counts, and no other."""
RunEvents: TypeAlias = tuple[Run, list[FeedbackEvent]]
"""A run and the events that it is to get."""


class FeedbackWriter:
    """Drafts events and appends them; keeps the logs of the runs that were written last."""

    def __init__(self, replica: str | None, clock: Clock) -> None:
        self._replica = replica
        self._clock = clock
        self._guard = ThreadLock()
        self._logs: dict[Path, FeedbackLog] = {}

    def append(self, plans: Sequence[RunEvents]) -> list[Feedback]:
        """Write to all runs; one that fails stops no other, and is raised at the end."""
        parts = [plans[start : start + _AT_ONCE] for start in range(0, len(plans), _AT_ONCE)]
        return results_of([result for part in parts for result in self._append_together(part)])

    def draft(self, bodies: Iterable[Mapping[str, JsonValue]], rater: str) -> list[FeedbackEvent]:
        """Events of one act of a rater, complete except for clock and id."""
        self._replica = self._replica or replica_id()
        common = {"act": secrets.token_hex(6), "replica": self._replica, "rater": rater}
        return [draft_event(**{**common, **body}) for body in bodies]

    def _append_together(self, plans: Sequence[RunEvents]) -> list[Feedback | OSError | StableNewError]:
        """Write to many runs; the new feedback of each, or why it could not be written."""
        logs = [self.log(run) for run, _ in plans]
        with writing_all(logs) as readings:
            return perform_together(
                [
                    log.append_steps(reading, self.at_now(drop_known(drafts, reading.events), reading))
                    for log, reading, (_, drafts) in zip(logs, readings, plans, strict=True)
                ]
            )

    def at_now(self, drafts: Iterable[FeedbackEvent], reading: FeedbackReading) -> list[FeedbackEvent]:
        """`drafts` with clocks and ids, each later than every sound event that was read."""
        now = self._clock.now()
        sound = latest_sound_clock(now)
        latest = reading.latest_clock(sound)
        events = []
        for draft in self._with_retractions(list(drafts), reading, sound):
            latest = next_hybrid_clock(now, latest)
            events.append(at_clock(draft, latest))
        return events

    def _with_retractions(
        self, drafts: list[FeedbackEvent], reading: FeedbackReading, sound: str
    ) -> list[FeedbackEvent]:
        """`drafts`, after a retraction of what the rater's clock, when it ran ahead, had dated after them."""
        later = find_dated_ahead(drafts, reading.events, sound)
        if not later:
            return drafts
        return self.draft([{"op": "retract", "event_ids": later}], drafts[0].rater) + drafts

    def log(self, run: Run) -> FeedbackLog:
        """The log of a run; the same object for as long as it is among the last used."""
        with self._guard:
            log = self._logs.pop(run.path, None) or FeedbackLog(run.path, replica=self._replica)
            forget_oldest(self._logs)
            self._logs[run.path] = log
            return log


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


def forget_oldest(cache: dict[Path, Any]) -> None:
    """Make room for one entry more in a cache of `CACHED_RUNS`."""
    while len(cache) >= CACHED_RUNS:
        cache.pop(next(iter(cache)))
