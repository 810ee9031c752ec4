"""Taking opinions over: each becomes events of the user, with the source's own time, once however often it is done."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from stablenew.errors import StableNewError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock, format_timestamp
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.feedback import FeedbackEvent, at_clock, draft_event
from stablenew.formats.documents.feedback_input import MAIN_NOTE
from stablenew.formats.strict_json import JsonValue
from stablenew.importing.pixel_index import PixelIndex
from stablenew.importing.stars.foreign_opinion import ForeignOpinion
from stablenew.importing.stars.image_finder import ImageFinder, StoredImage
from stablenew.store.feedback.feedback_files import FeedbackReading
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run_store import RunStore

_ACT_DIGITS: Final = 12
_LONGEST_NAME: Final = 256
_REPORT_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An opinion whose image is not in the store, with images that may be it."""

    said: ForeignOpinion
    suggestions: list[StoredImage]


@dataclass(slots=True)
class StarReport:
    """What became of the opinions of a source."""

    read: int = 0
    """Images that something was said about."""
    matched: Counter[str] = field(default_factory=Counter)
    """By what their images were found: path, hash, bytes, pixels."""
    via: Counter[str] = field(default_factory=Counter)
    """Matched ones by the program that they come from."""
    written: int = 0
    """Images with something new."""
    events: int = 0
    unchanged: int = 0
    """Images about which all of it was known."""
    older: int = 0
    """Images with something new of which a later word stands, which goes on to count."""
    unmatched: list[Unmatched] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Runs that could not be written, and why."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "read": self.read,
            "matched": dict(self.matched),
            "via": dict(self.via),
            "written": self.written,
            "events": self.events,
            "unchanged": self.unchanged,
            "older": self.older,
            "unmatched": [
                {
                    "path": missing.said.path,
                    "rating": missing.said.rating,
                    "flag": missing.said.flag,
                    "tags": list(missing.said.tags),
                    "suggestions": [
                        {"run_id": image.run_id, "image_id": image.digest, "name": image.name}
                        for image in missing.suggestions
                    ],
                }
                for missing in self.unmatched
            ],
            "problems": [{"run_id": run_id, "reason": reason} for run_id, reason in self.problems],
        }


@dataclass(frozen=True, slots=True)
class StarImport:
    """Takes opinions into one store, as what `rater` said."""

    store: RunStore
    rater: str
    is_dry_run: bool = False
    clock: Clock = SYSTEM_CLOCK

    def run(
        self,
        opinions: Iterable[ForeignOpinion],
        finder: ImageFinder,
        on_progress: Callable[[str, int, int], object] = lambda _title, _done, _total: None,
    ) -> StarReport:
        """Find the image of each opinion, and write what is new about it. `on_progress` gets what is done, and how far.

        Raises:
            ConfigError: the source cannot be read; nothing was written.
        """
        report = StarReport()
        by_run: dict[str, list[tuple[StoredImage, ForeignOpinion]]] = defaultdict(list)
        with contextlib.ExitStack() as stack:
            pixels = _LazyPixels(self.store, stack, on_progress)
            for said in opinions:
                if not said.says_something:
                    continue
                report.read += 1
                if report.read % _REPORT_EVERY == 0:
                    on_progress("Finding images", report.read, 0)
                match = finder.find(said, pixels)
                if match is None:
                    report.unmatched.append(Unmatched(said, finder.suggest(said)))
                    continue
                report.matched[match.by] += 1
                report.via[said.via] += 1
                by_run[match.image.run_id].append((match.image, said))
        self._write_all(by_run, report, on_progress)
        return report

    def _write_all(
        self,
        by_run: dict[str, list[tuple[StoredImage, ForeignOpinion]]],
        report: StarReport,
        on_progress: Callable[[str, int, int], object],
    ) -> None:
        for done, (run_id, group) in enumerate(by_run.items(), 1):
            try:
                self._write_run(run_id, group, report)
            except (StableNewError, OSError) as error:
                report.problems.append((run_id, str(error)))
            on_progress("Writing", done, len(by_run))

    def _write_run(self, run_id: str, group: Iterable[tuple[StoredImage, ForeignOpinion]], report: StarReport) -> None:
        log = FeedbackLog(self.store.open(run_id).path)
        if self.is_dry_run:
            self._new_events(log.read(), group, report)
            return
        with log.writing() as reading:
            new = self._new_events(reading, group, report)
            if new:
                log.append(reading, new)

    def _new_events(
        self,
        reading: FeedbackReading,
        group: Iterable[tuple[StoredImage, ForeignOpinion]],
        report: StarReport,
    ) -> list[FeedbackEvent]:
        latest = _latest_words(reading.events)
        new: list[FeedbackEvent] = []
        for image, said in group:
            events = [event for event in self._events_of(image, said) if not _is_known(event, latest)]
            if not events:
                report.unchanged += 1
                continue
            standing = [latest.get(_register_of(event)) for event in events]
            is_older = any(
                word is not None and word.clock > event.clock for word, event in zip(standing, events, strict=True)
            )
            report.older += is_older
            report.written += 1
            report.events += len(events)
            new += events
            latest.update({(*_register_of(event), event.via): event for event in events})
        return new

    def _events_of(self, image: StoredImage, said: ForeignOpinion) -> Iterator[FeedbackEvent]:
        clock = self._clock_of(said)
        rater = said.author[:_LONGEST_NAME] if said.author else self.rater
        act = digest_json([said.via, image.digest, rater, clock])[-_ACT_DIGITS:]
        common: dict[str, JsonValue] = {
            "replica": f"via-{said.via}",
            "via": said.via,
            "rater": rater,
            "act": f"via-{act}",
            "image_id": image.digest,
        }
        for body in _bodies(said):
            yield at_clock(draft_event(**common, **body), clock)

    def _clock_of(self, said: ForeignOpinion) -> str:
        """The source's time; never one of the future, which would win over all that is said from now on."""
        now = self.clock.now()
        moment = min(said.said_at or now, now)
        return f"{format_timestamp(max(moment, _EARLIEST))}-0000"


_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Before it there were no such programs; clocks that were never set say so."""


def _bodies(said: ForeignOpinion) -> Iterator[dict[str, JsonValue]]:
    if said.rating is not None:
        yield {"op": "rate", "rating": said.rating}
    if said.flag:
        yield {"op": "flag", "flag": said.flag}
    for tag in dict.fromkeys(tag.strip()[:_LONGEST_NAME] for tag in said.tags):
        if tag:
            yield {"op": "tag", "tag": tag, "present": True}
    if said.note:
        yield {"op": "note", "note_id": f"{MAIN_NOTE}-{said.via}", "text": said.note}


def _register_of(event: FeedbackEvent) -> tuple[str | None, ...]:
    return (event.rater, event.op, event.image_id, event.tag, event.note_id)


def _latest_words(events: Iterable[FeedbackEvent]) -> dict[tuple[str | None, ...], FeedbackEvent]:
    """The latest word on each thing, whoever it comes from, and the latest one of each program."""
    latest: dict[tuple[str | None, ...], FeedbackEvent] = {}
    for event in events:  # in the order of their clocks
        if event.aspect is None:
            latest[_register_of(event)] = event
            if event.via:
                latest[(*_register_of(event), event.via)] = event
    return latest


def _is_known(event: FeedbackEvent, latest: dict[tuple[str | None, ...], FeedbackEvent]) -> bool:
    """Whether this program said so before. Many of them change their time without changing what they say."""
    before = latest.get((*_register_of(event), event.via))
    return before is not None and (before.rating, before.flag, before.text) == (event.rating, event.flag, event.text)


class _LazyPixels:
    """The pixel index, brought up to date when it is first asked."""

    def __init__(
        self, store: RunStore, stack: contextlib.ExitStack, on_progress: Callable[[str, int, int], object]
    ) -> None:
        self._store = store
        self._stack = stack
        self._on_progress = on_progress
        self._index: PixelIndex | None = None

    def __call__(self) -> PixelIndex:
        if self._index is None:
            self._index = self._stack.enter_context(PixelIndex(self._store))
            self._index.update(lambda done, total: self._on_progress("Looking at pixels", done, total))
        return self._index
