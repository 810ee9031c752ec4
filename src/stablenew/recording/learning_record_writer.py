"""LearningRecordWriter: records appended to a file of lines, from any number of threads and processes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

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
    """Appends records to one JSON Lines file. A new writer on the same file goes on where the last one ended.

    Threads and processes may share a file: each record is one whole line, in some order. When `append_record` returns,
    the line survives a power cut. A line that a crash cut off stays what it is and harms no other.
    """

    def __init__(self, records_path: Path | str) -> None:
        self.path = Path(records_path)

    def append_record(self, record: LearningRecord) -> None:
        """Add `record` as the last line.

        Raises:
            WriteFailed: it is not there; what was there before is unharmed.
        """
        line = record.encode_line()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with file_guard(self.path):
            append_line(self.path, line)

    def iter_records(self) -> Iterator[LearningRecord]:
        """The records in the file, in order.

        Raises:
            FormatError: a whole line is no record. A line cut off at the end is left out: it was never acknowledged.
        """
        if not self.path.exists():
            return
        for _, line, is_whole in iter_lines(self.path):
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

    def iter_records(self) -> Iterator[LearningRecord]:
        """The records so far, in order."""
        with self._guard:
            return iter(tuple(self._records))
