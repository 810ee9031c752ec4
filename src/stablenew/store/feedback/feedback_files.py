"""Reading what people think of a run, from every file that says something, whatever a sync tool named it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from stablenew.disk.line_log import split_lines
from stablenew.disk.regular_file import read_regular
from stablenew.errors import FormatError, NewerFormat
from stablenew.formats.documents.feedback import (
    Feedback,
    FeedbackEvent,
    build_feedback,
    merge_events,
    merge_unknown_fields,
)
from stablenew.formats.model_base import explain
from stablenew.formats.strict_json import JsonValue, parse_json
from stablenew.store.read_problem import NEWER, ReadProblem
from stablenew.store.run_folder import FEEDBACK, MAX_FEEDBACK_BYTES, is_feedback_log

UNREADABLE: Final = "feedback-unreadable"
TORN: Final = "feedback-torn"
FORGED: Final = "feedback-forged"
MISMATCH: Final = "feedback-mismatch"


@dataclass(frozen=True, slots=True)
class FeedbackFile:
    """One file of feedback as it was read."""

    name: str
    data: bytes
    events: tuple[FeedbackEvent, ...] = ()
    document: Feedback | None = None
    problems: tuple[ReadProblem, ...] = ()
    is_newer: bool = False
    """A later MAJOR version wrote it; it is not to be touched."""
    failure: OSError | None = None
    """Why its bytes could not be read. What the file holds is unknown then; it may be sound."""

    @property
    def is_conflict_copy(self) -> bool:
        """Whether a sync tool made it: neither `feedback.json` nor a machine's log."""
        return self.name != FEEDBACK and not is_feedback_log(self.name)


@dataclass(frozen=True, slots=True)
class FeedbackReading:
    """Everything said about a run."""

    run_id: str
    events: tuple[FeedbackEvent, ...]
    """Merged: each once, in order."""
    unknown: dict[str, JsonValue] = field(default_factory=dict)
    """Top-level fields of other programs."""
    files: tuple[FeedbackFile, ...] = ()
    problems: tuple[ReadProblem, ...] = ()
    unlogged: tuple[FeedbackEvent, ...] = ()
    """What this machine said and its log in the folder has lost: a sync tool put an older copy back."""
    is_damaged: bool = False
    """`feedback.json` was read, and its bytes are not feedback of this run."""
    is_newer: bool = False
    """A later MAJOR version wrote one of the files."""

    @property
    def unreadable(self) -> tuple[FeedbackFile, ...]:
        """The files whose bytes could not be read."""
        return tuple(file for file in self.files if file.failure is not None)

    def latest_clock(self, sound: str) -> str | None:
        """The latest clock of the run that is not after `sound`: one that is far ahead must not pull others along."""
        return next((event.clock for event in reversed(self.events) if event.clock <= sound), None)

    def build_document(self, more: Iterable[FeedbackEvent] = ()) -> Feedback:
        """`feedback.json` as it should be, with `more` events in it."""
        return build_feedback(self.run_id, (*self.events, *more), unknown=self.unknown)


def read_feedback_files(
    run_path: Path, names: Iterable[str], *, journal: Iterable[FeedbackEvent] = (), log_name: str = ""
) -> FeedbackReading:
    """The union of what the named files in a run folder say, and of this machine's `journal` of its own log `log_name`.

    What cannot be read is reported and hides nothing else.
    """
    files = [file for name in names if (file := _read_file(run_path, name)) is not None]
    main = next((file for file in files if file.name == FEEDBACK), None)
    logged = {event.id for file in files if file.name == log_name for event in file.events}
    unlogged = tuple(event for event in journal if event.id not in logged)
    return FeedbackReading(
        run_id=run_path.name,
        events=merge_events(unlogged, *(file.events for file in files)),
        unlogged=unlogged,
        unknown=merge_unknown_fields(*(file.document for file in files if file.document is not None)),
        files=tuple(files),
        problems=tuple(problem for file in files for problem in file.problems),
        is_damaged=main is not None and main.document is None and main.failure is None and not main.is_newer,
        is_newer=any(file.is_newer for file in files),
    )


def read_journal(path: Path) -> tuple[FeedbackEvent, ...]:
    """The events in this machine's journal of a log; none when there is no journal or it cannot be read."""
    try:
        return _read_log(path.name, read_regular(path, MAX_FEEDBACK_BYTES)).events
    except OSError:
        return ()


def _read_file(run_path: Path, name: str) -> FeedbackFile | None:
    """One file; None when it is gone since its folder was listed."""
    try:
        data = read_regular(run_path / name, MAX_FEEDBACK_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = ReadProblem(name, str(error.strerror or error), code=UNREADABLE)
        return FeedbackFile(name, b"", problems=(problem,), failure=error)
    return _parse_file(run_path.name, name, data)


def _parse_file(run_id: str, name: str, data: bytes) -> FeedbackFile:
    return _read_log(name, data) if ".jsonl" in name else _read_document(run_id, name, data)


def parse_feedback(
    run_id: str, contents: Iterable[tuple[str, bytes]]
) -> tuple[tuple[FeedbackEvent, ...], list[ReadProblem]]:
    """The union of what feedback files of a run (name, bytes) say, in order, and what of them cannot be read."""
    files = [_parse_file(run_id, name, data) for name, data in contents]
    return merge_events(*(file.events for file in files)), [problem for file in files for problem in file.problems]


def _read_document(run_id: str, name: str, data: bytes) -> FeedbackFile:
    try:
        document = Feedback.from_dict(parse_json(data, max_bytes=MAX_FEEDBACK_BYTES))
    except FormatError as error:
        is_newer = isinstance(error, NewerFormat)
        problem = ReadProblem(name, str(error), code=NEWER if is_newer else UNREADABLE)
        return FeedbackFile(name, data, problems=(problem,), is_newer=is_newer)
    if document.run_id != run_id:
        reason = f"it is feedback of run {document.run_id}"
        return FeedbackFile(name, data, problems=(ReadProblem(name, reason, code=MISMATCH),))
    forged = [event for event in document.events if not event.is_genuine]
    return FeedbackFile(
        name,
        data,
        events=tuple(event for event in document.events if event not in forged),
        document=document,
        problems=tuple(ReadProblem(name, _forged(event), code=FORGED) for event in forged),
    )


def _read_log(name: str, data: bytes) -> FeedbackFile:
    events, problems = [], []
    for number, line, is_whole in split_lines(data):
        if not is_whole:
            reason = "the line is cut off; it was never acknowledged"
            problems.append(ReadProblem(name, reason, number, is_torn=True, code=TORN))
            continue
        try:
            event = FeedbackEvent.model_validate(parse_json(line))
        except ValidationError as error:
            problems.append(ReadProblem(name, explain(error), number, code=UNREADABLE))
        except FormatError as error:
            problems.append(ReadProblem(name, str(error), number, code=UNREADABLE))
        else:
            if event.is_genuine:
                events.append(event)
            else:
                problems.append(ReadProblem(name, _forged(event), number, code=FORGED))
    return FeedbackFile(name, data, events=tuple(events), problems=tuple(problems))


def _forged(event: FeedbackEvent) -> str:
    return f"event {event.id[:19]}… is not what its id says; it does not count"
