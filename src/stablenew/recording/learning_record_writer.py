"""LearningRecordWriter: records appended to a file of lines, from any number of threads and processes."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from stablenew.disk.atomic_file import write_once
from stablenew.disk.line_log import append_line, iter_lines
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.store.run_lock import file_guard


@runtime_checkable
class RecordWriter(Protocol):
    """Anything that takes records, one at a time."""

    def append_record(self, record: LearningRecord) -> None:
        """Keep `record` for good, after all that were kept before."""
        ...


class LearningRecordWriter:
    """Appends records to JSON Lines files. A new writer on the same place goes on where the last one ended.

    `records_path` is a file, if its name ends in `.jsonl`, and all records go there; else it is a folder, in which
    `pattern` names the file of each run. Threads and processes may share a file: each record is one whole line, in some
    order. When `append_record` returns, the line survives a power cut. A line that a crash cut off stays what it is and
    harms no other.
    """

    def __init__(self, records_path: Path | str, pattern: str = "{run_id}.jsonl") -> None:
        self.path = Path(records_path)
        self._pattern = pattern
        self._is_file = self.path.suffix == ".jsonl"

    def path_for(self, record: LearningRecord) -> Path:
        """The file that a record is appended to."""
        return self.path if self._is_file else self.path / self._pattern.format(run_id=record.run_id)

    def append_record(self, record: LearningRecord) -> None:
        """Add `record` as the last line of its file.

        Raises:
            WriteFailed: it is not there; what was there before is unharmed.
        """
        line = record.encode_line()
        path = self.path_for(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_guard(path):
            append_line(path, line)

    def write_record(self, record: LearningRecord) -> None:
        """The same as `append_record`."""
        self.append_record(record)

    def write(self, record: LearningRecord) -> Path:
        """Write `record` as a JSON file of its own, and return its path: whole and durable, or not there at all.

        The file is named by run, time and variant, and lies in the folder of this writer. It is no line of the log.

        Raises:
            WriteFailed: it is not there.
        """
        folder = self.path.parent if self._is_file else self.path
        folder.mkdir(parents=True, exist_ok=True)
        stamp = "".join(character for character in record.started_at if character.isalnum())
        for number in itertools.count():
            again = f"-{number}" if number else ""
            path = folder / f"{record.run_id}-{stamp}-{record.variant.index:04d}{again}.json"
            with contextlib.suppress(FileExistsError):
                write_once(path, record.encode_document())
                return path
        raise AssertionError  # numbers do not end

    def iter_records(self) -> Iterator[LearningRecord]:
        """The records in the file, or in all files of the folder, in order.

        Raises:
            FormatError: a whole line is not a record. A line cut off at the end is left out: it was never acknowledged.
        """
        files = [self.path] if self._is_file else sorted(self.path.glob("*.jsonl"))
        for path in files:
            if path.exists():
                yield from _iter_file(path)


def _iter_file(path: Path) -> Iterator[LearningRecord]:
    for _, line, is_whole in iter_lines(path):
        if is_whole:
            yield LearningRecord.from_json(line)


class InMemoryLearningRecordWriter:
    """Keeps records in a list: for tests, and for programs that only want to look at them."""

    def __init__(self) -> None:
        self._records: list[LearningRecord] = []
        self._guard = threading.Lock()

    def append_record(self, record: LearningRecord) -> None:
        """Add `record` at the end."""
        with self._guard:
            self._records.append(record)

    def write_record(self, record: LearningRecord) -> None:
        """The same as `append_record`."""
        self.append_record(record)

    def iter_records(self) -> Iterator[LearningRecord]:
        """The records so far, in order."""
        with self._guard:
            return iter(tuple(self._records))
