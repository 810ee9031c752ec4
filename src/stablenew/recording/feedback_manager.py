"""FeedbackManager: rate images and runs, with tags, notes and flags; undo and redo.

Ratings follow the image by its digest. Several raters each keep their own opinion. Every change is an event that is
never lost; undo and redo are events too, so they survive a restart and reach other machines.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from stablenew.errors import ConfigError, InvalidDocument
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.feedback import Feedback, FeedbackEvent, FeedbackState
from stablenew.formats.documents.feedback_fold import PLACE, fold_opinions, standing_removals
from stablenew.formats.documents.feedback_input import ComparisonInput, FeedbackInput
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.feedback_acts import redo_body, replay_acts
from stablenew.recording.feedback_writer import FeedbackWriter, RunEvents, forget_oldest
from stablenew.store.feedback.feedback_files import FeedbackReading
from stablenew.store.local_state import user_id
from stablenew.store.run import OutputFinder, Run
from stablenew.store.run_store import RunStore

KEEP: Final = object()
"""Leave a rating or flag as it is."""
OUTCOMES: Final = ("win", "tie", "both_bad")
"""The possible results of comparing two images."""


class TagPlace(NamedTuple):
    """Where an image stands among those with a tag."""

    run_id: str
    image_id: str
    """Its digest."""
    tag: str
    key: str
    """A text between those of its neighbours."""


class FeedbackManager:
    """Feedback of the runs in one store."""

    def __init__(
        self,
        runs: RunStore | Path | str = "runs",
        *,
        rater: str | None = None,
        replica: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = runs if isinstance(runs, RunStore) else RunStore(runs)
        self.rater = rater or user_id() or "me"
        self._writer = FeedbackWriter(replica, clock)
        self._finders: dict[Path, OutputFinder] = {}

    def record_feedback(
        self,
        run_id: str,
        image_id: str | None,
        rating: Any = KEEP,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        flag: Any = KEEP,
        rater: str | None = None,
        *,
        remove_tags: Sequence[str] = (),
        aspects: Mapping[str, int | None] | None = None,
    ) -> Feedback:
        """Record feedback on an image, or with `image_id` None on the whole run. When this returns, it is durable.

        `image_id` is a digest, a unique prefix of 8 or more hex digits, a path, or `<variant>/<n>`. `rating` is 0 to 5,
        None takes it away (unrated is not zero), KEEP leaves it. `flag` is `pick`, `reject` or None. An empty `notes`
        removes the note. `aspects` are ratings of `composition`, `anatomy` and the like.

        Raises:
            RunNotFound, OutputNotFound: no such run or image; nothing is written.
            InvalidDocument: a rating out of range, an empty tag; nothing is written.
            WriteFailed: the disk would not take it.
        """
        fields = {"rating": rating, "flag": flag}
        given = FeedbackInput.build(
            run_id=run_id,
            image_id=image_id,
            notes=notes,
            tags=tags or (),
            remove_tags=remove_tags,
            aspects=dict(aspects or {}),
            **{name: value for name, value in fields.items() if value is not KEEP},
        )
        return self.record_many([given], rater=rater)[0]

    def record_preference(
        self,
        run_id: str,
        winner: str,
        loser: str,
        outcome: str = "win",
        *,
        shown: str | None = None,
        rater: str | None = None,
    ) -> Feedback:
        """Record which of two images of a run is the better one. When this returns, it is durable.

        `winner` and `loser` are named as in `record_feedback`. `outcome` is one of `OUTCOMES`: of a `tie`, or where
        `both_bad`, neither won. `shown` is the side on which the winner was shown, `left` or `right`.

        Raises:
            RunNotFound, OutputNotFound: no such run or image; nothing is written.
            InvalidDocument: no such outcome, or both are one image; nothing is written.
            WriteFailed: the disk would not take it.
        """
        if outcome not in OUTCOMES:
            raise InvalidDocument(f"expected an outcome of {', '.join(OUTCOMES)}, found {outcome!r}")
        given = ComparisonInput.build(
            winner_run_id=run_id, winner=winner, loser_run_id=run_id, loser=loser, outcome=outcome, shown=shown
        )
        return self.record_comparisons([given], rater=rater)[0]

    def record_comparisons(self, batch: Iterable[ComparisonInput], *, rater: str | None = None) -> list[Feedback]:
        """Record comparisons of images of any runs: one durable write per run, in the order in which they first appear.

        Everything is checked before anything is written. Each stands in the log of the run of the image with the lower
        digest.

        Raises:
            RunNotFound, OutputNotFound: no such run or image; nothing is written.
            InvalidDocument: two images are one; nothing is written.
            WriteFailed: the disk would not take it.
        """
        by_run: dict[str, list[dict[str, JsonValue]]] = {}
        for item in batch:
            winner = self._find_image(item.winner_run_id, item.winner)
            loser = self._find_image(item.loser_run_id, item.loser)
            if winner == loser:
                raise InvalidDocument(f"expected two images to compare, found {winner} twice")
            home, body = item.to_event(winner, loser)
            by_run.setdefault(home, []).append(body)
        plans = [(self._store.open(run_id), self._draft(bodies, rater)) for run_id, bodies in by_run.items()]
        return self._writer.append(plans)

    def record_places(
        self, places: Iterable[TagPlace], *, act: str | None = None, rater: str | None = None
    ) -> list[Feedback]:
        """Record where images stand among those with a tag: one durable write per run.

        Raises:
            RunNotFound: there is no such run; nothing is written.
            WriteFailed: the disk would not take it.
        """
        by_run: dict[str, list[dict[str, JsonValue]]] = {}
        common: dict[str, JsonValue] = {"op": PLACE} | ({"act": act} if act else {})
        for place in places:
            body: dict[str, JsonValue] = {"image_id": place.image_id, "tag": place.tag, "text": place.key}
            by_run.setdefault(place.run_id, []).append(body | common)
        plans = [(self._store.open(run_id), self._draft(bodies, rater)) for run_id, bodies in by_run.items()]
        return self._writer.append(plans)

    def record_removal(self, run_id: str, output: Mapping[str, JsonValue], *, rater: str | None = None) -> str:
        """Record that the bytes of an output are removed on purpose, before they are. Returns the event's id.

        `output` has `digest`, `sha256`, `size_bytes` and `reason`. Undo does not take it back; `restore_removed` does.
        A removal that stands already is not recorded again.

        Raises:
            RunNotFound: there is no such run.
            WriteFailed: the disk would not take it.
        """
        run = self._store.open(run_id)
        known = standing_removals(self._writer.log(run).read().events)
        if standing := [event.id for event in known if event.digest == output["digest"]]:
            return standing[0]
        drafts = self._draft([{"op": "remove", **output}], rater)
        (document,) = self._writer.append([(run, drafts)])
        return next(event.id for event in document.events if event.act == drafts[0].act)

    def restore_removed(self, run_id: str, digest: str, *, event_id: str | None = None) -> int:
        """Take back what was recorded of the removal of an output, so that its bytes may come back by a merge.

        With `event_id` only that removal. Returns how many were taken back, whoever recorded them.
        """
        log = self._writer.log(self._store.open(run_id))
        with log.writing() as reading:
            standing = [event for event in standing_removals(reading.events) if event.digest == digest]
            chosen = [event for event in standing if event_id in (None, event.id)]
            drafts = [
                draft
                for event in chosen
                for draft in self._draft([{"op": "retract", "event_ids": [event.id]}], event.rater)
            ]
            if drafts:
                log.append(reading, self._writer.at_now(drafts, reading))
            return len(chosen)

    def _find_image(self, run_id: str, name: str) -> str:
        return self._finder(self._store.open(run_id)).find(name).digest

    def record_many(self, batch: Iterable[FeedbackInput], *, rater: str | None = None) -> list[Feedback]:
        """Record feedback on many images: one durable write per run, in the order in which the runs first appear.

        Everything is checked before anything is written. Raises: see `record_feedback`.
        """
        by_run: dict[str, list[FeedbackInput]] = {}
        for item in batch:
            by_run.setdefault(item.run_id, []).append(item)
        return self._writer.append([self._plan(run_id, group, rater) for run_id, group in by_run.items()])

    def _plan(self, run_id: str, group: Sequence[FeedbackInput], rater: str | None) -> RunEvents:
        """The run and its new events, checked in full before the first write."""
        run = self._store.open(run_id)
        finder = self._finder(run) if any(item.image_id is not None for item in group) else None
        bodies = [body for item in group for body in item.to_events(_find_digest(finder, item))]
        if not bodies:
            raise InvalidDocument(f"nothing was said about run {run_id}: give a rating, a note, a tag or a flag")
        return run, self._draft(bodies, rater)

    def _finder(self, run: Run) -> OutputFinder:
        """Where the outputs of a run are; a sealed run is read once."""
        if run.path not in self._finders or not run.is_sealed:
            forget_oldest(self._finders)
            self._finders[run.path] = OutputFinder(run)
        return self._finders[run.path]

    def _draft(self, bodies: Iterable[Mapping[str, JsonValue]], rater: str | None) -> list[FeedbackEvent]:
        """Events of one act of a rater, by default this manager's."""
        return self._writer.draft(bodies, rater or self.rater)

    def read(self, run_id: str) -> FeedbackReading:
        """All feedback on a run, from every file, with what could not be read.

        Raises:
            RunNotFound: there is no such run.
        """
        return self._writer.log(self._store.open(run_id)).read()

    def state(self, run_id: str) -> FeedbackState:
        """What everybody thinks of a run and its images now."""
        return self.read(run_id).build_document().state

    def opinions(self, run_id: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The same by (image id, rater), in the form of `Opinion`; the image id of the whole run is empty."""
        return fold_opinions(self.read(run_id).events)

    def undo(self, run_id: str, *, rater: str | None = None, act: str | None = None) -> list[FeedbackEvent]:
        """Take back the rater's latest act on a run, or the one called `act`.

        Returns the events that no longer count; none: there is nothing to undo, or it was undone already.
        """
        run = self._store.open(run_id)
        log = self._writer.log(run)
        with log.writing() as reading:
            acts, _ = replay_acts(reading.events, rater or self.rater)
            done = [events for events in acts if act in (None, events[0].act)]
            if not done:
                return []
            body = {"op": "retract", "event_ids": [event.id for event in done[-1]]}
            log.append(reading, self._writer.at_now(self._draft([body], rater), reading))
            return done[-1]

    def redo(
        self, run_id: str, *, rater: str | None = None, act: str | None = None, as_act: str | None = None
    ) -> list[FeedbackEvent]:
        """Repeat what the last undo took back, or the undone act called `act`, as new events called `as_act`.

        Returns them; none: there is nothing to redo, or it was redone already.
        """
        run = self._store.open(run_id)
        log = self._writer.log(run)
        with log.writing() as reading:
            _, pairs = replay_acts(reading.events, rater or self.rater)
            undone = [pair for pair in pairs if act in (None, pair[1][0].act)]
            if not undone:
                return []
            retraction, events = undone[-1]
            name = {"act": as_act} if as_act else {}
            bodies = [redo_body(event, retraction) | name for event in events]
            again = self._writer.at_now(self._draft(bodies, rater), reading)
            log.append(reading, again)
            return again


def _find_digest(finder: OutputFinder | None, item: FeedbackInput) -> str | None:
    return finder.find(item.image_id).digest if finder is not None and item.image_id is not None else None


def parse_stars(text: str) -> int | None:
    """A rating as people type it: 0 to 5, or `clear` for None.

    Raises:
        ConfigError: neither.
    """
    if text == "clear":
        return None
    if text in {"0", "1", "2", "3", "4", "5"}:
        return int(text)
    raise ConfigError(f"expected a rating of 0 to 5, or 'clear', found {text!r}")
