"""All feedback that was ever given, in one file: a line per run with its events, which are the same on every machine.

A backup is taken back by merging: events that are here already count once, and nothing is lost.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import replace_cached_by, sync_files
from stablenew.errors import ConfigError, FormatError, StableNewError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.formats.strict_json import parse_json
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run_store import RunStore

KIND: Final = "stablenew.feedback_backup"
_VERSION: Final = "1.0"
_LONGEST_LINE: Final = 256 << 20


@dataclass(slots=True)
class BackupReport:
    """What a backup holds, or what came of taking one back."""

    runs: int = 0
    events: int = 0
    """Written: into the backup, or new to the store."""
    known: int = 0
    """Of a backup that is taken back: events that were here."""
    missing: list[str] = field(default_factory=list)
    """Runs of the backup that are not here; their events stay in it."""
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "runs": self.runs,
            "events": self.events,
            "known": self.known,
            "missing": self.missing,
            "problems": self.problems,
        }


def write_backup(
    store: RunStore,
    target: Path,
    *,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    clock: Clock = SYSTEM_CLOCK,
) -> BackupReport:
    """Write every event of every run to `target`, replacing it in one step.

    Raises:
        WriteFailed: the disk would not take it; what was at `target` is unharmed.
    """
    report = BackupReport()
    head = {"kind": KIND, "schema_version": _VERSION, "created_at": clock.timestamp(), "store": _name_of(store)}

    def write(file: Any) -> None:
        file.write(_line(head))
        runs = list(store.iter_runs())
        for done, run in enumerate(runs, 1):
            reading = FeedbackLog(run.path).read()
            report.problems += [f"{run.run_id} {problem}" for problem in reading.problems]
            if reading.events:
                file.write(_line({"run_id": run.run_id, "events": [event.to_dict() for event in reading.events]}))
                report.runs += 1
                report.events += len(reading.events)
            progress(done, len(runs))

    replace_cached_by(target, write)
    sync_files([target], [target.absolute().parent])
    return report


def _name_of(store: RunStore) -> str:
    """The name of the store's folder, as far as it is text."""
    return os.fsencode(store.root.name).decode("utf-8", "replace")


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def restore_backup(
    store: RunStore, source: Path, *, progress: Callable[[int, int], object] = lambda _done, _total: None
) -> BackupReport:
    """Give every run the events of a backup that it lacks.

    Raises:
        ConfigError: it is not a backup.
    """
    report = BackupReport()
    for done, (run_id, events) in enumerate(_iter_backup(source, report), 1):
        try:
            _restore(store, run_id, events, report)
        except StableNewError as error:
            report.problems.append(f"{run_id}: {error}")
        progress(done, 0)
    return report


def _iter_backup(source: Path, report: BackupReport) -> Iterator[tuple[str, list[FeedbackEvent]]]:
    with source.open("rb") as file:
        head = file.readline(_LONGEST_LINE)
        try:
            is_backup = isinstance(value := parse_json(head), dict) and value.get("kind") == KIND
        except FormatError:
            is_backup = False
        if not is_backup:
            raise ConfigError(f"{source} is not a backup of feedback: its first line must say {KIND}")
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 2):
            try:
                yield _read_line(line)
            except (FormatError, KeyError, TypeError, ValueError) as error:
                report.problems.append(f"{source}:{number}: {error}")


def _read_line(line: bytes) -> tuple[str, list[FeedbackEvent]]:
    value: Any = parse_json(line, max_bytes=_LONGEST_LINE)
    events = [FeedbackEvent.model_validate(event) for event in value["events"]]
    if forged := next((event for event in events if not event.is_genuine), None):
        raise ConfigError(f"event {forged.id[:19]}… is not what its id says")
    return str(value["run_id"]), events


def _restore(store: RunStore, run_id: str, events: list[FeedbackEvent], report: BackupReport) -> None:
    try:
        log = FeedbackLog(store.open(run_id).path)
    except LookupError:
        report.missing.append(run_id)
        return
    with log.writing() as reading:
        here = {event.id for event in reading.events}
        new = [event for event in events if event.id not in here]
        report.runs += 1
        report.known += len(events) - len(new)
        report.events += len(new)
        if new:
            log.append(reading, new)
