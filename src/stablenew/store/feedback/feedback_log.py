"""Writing what people think of a run: every machine's own log, and `feedback.json`, which joins them all.

A write appends to this machine's log, then replaces `feedback.json`. Nobody else writes that log, so a sync tool that
overwrites, drops or doubles `feedback.json` loses nothing. Some tools put even an older copy of the log back (rsync
without `-u`, and with it when both copies are of one second), so the machine also keeps a journal of what it said in
its state folder, out of their reach, and says it again where it is missing.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stablenew.disk.atomic_file import rename, replace_file_steps, sync_folder
from stablenew.disk.group_sync import SyncWork, perform
from stablenew.disk.line_log import append_cached, append_steps
from stablenew.disk.private_folder import make_private_folder
from stablenew.disk.regular_file import read_regular, status_of
from stablenew.errors import NewerFormat, WriteFailed
from stablenew.formats.documents.feedback import Feedback, FeedbackEvent
from stablenew.store.change_hints import note_change
from stablenew.store.feedback.feedback_files import FeedbackReading, read_feedback_files, read_journal
from stablenew.store.local_state import journal_path, known_replica_id, replica_id
from stablenew.store.run_folder import (
    FEEDBACK,
    MAX_FEEDBACK_BYTES,
    damaged_feedback_name,
    feedback_log_name,
    is_feedback,
)
from stablenew.store.run_lock import file_guard

_Signature = tuple[tuple[str, int, int, int], ...]
"""Name, size, time of change and inode of every feedback file: equal as long as nobody wrote one."""


class FeedbackLog:
    """The feedback of one run. Threads and processes of one machine take turns; machines write files of their own."""

    def __init__(self, run_path: Path, *, replica: str | None = None) -> None:
        self.run_path = run_path
        self._replica = replica
        self._cached: tuple[_Signature, FeedbackReading] | None = None
        self._known_journal: Path | None = None

    def read(self) -> FeedbackReading:
        """Everything said about the run. Nothing is changed; what cannot be read is reported."""
        return self._read([name for name, *_ in self._signature()])

    def _read(self, names: list[str]) -> FeedbackReading:
        replica = self._replica or known_replica_id()
        if replica is None:
            return read_feedback_files(self.run_path, names)
        journal = read_journal(self._journal(replica))
        return read_feedback_files(self.run_path, names, journal=journal, log_name=feedback_log_name(replica))

    def _journal(self, replica: str) -> Path:
        if self._known_journal is None or self._known_journal.parent.name != replica:
            self._known_journal = journal_path(self.run_path, replica)
        return self._known_journal

    def may_hold(self, word: bytes) -> bool:
        """Whether `word` stands in any feedback file or in this machine's journal. Costs far less than reading events.

        A file that cannot be read may hold it.
        """
        replica = self._replica or known_replica_id()
        try:
            paths = [self.run_path / name for name, *_ in self._signature()]
            if replica is not None and (journal := self._journal(replica)).exists():
                paths.append(journal)
            return any(word in read_regular(path, MAX_FEEDBACK_BYTES) for path in paths)
        except OSError:
            return True

    def read_if_changed(self) -> FeedbackReading:
        """As `read`, but for the details of files, as long as nobody wrote one since: a session rates one run often."""
        signature = self._signature()
        if self._cached is not None and self._cached[0] == signature:
            return self._cached[1]
        reading = self._read([name for name, *_ in signature])
        # A failed read is never cached: the file may be sound, and readable a moment later, with the same signature.
        self._cached = (signature, reading) if not reading.unreadable else None
        return reading

    def _signature(self) -> _Signature:
        found = []
        with os.scandir(self.run_path) as entries:
            for entry in entries:
                if is_feedback(entry.name) and entry.is_file(follow_symlinks=False):
                    status = status_of(entry)
                    if status is not None:
                        found.append((entry.name, status.st_size, status.st_mtime_ns, status.st_ino))
        return tuple(sorted(found))

    @contextlib.contextmanager
    def writing(self) -> Iterator[FeedbackReading]:
        """What is there now, while no other thread or process of this machine writes. Call `append` in the block."""
        with writing_all([self]) as (reading,):
            yield reading

    def append(self, reading: FeedbackReading, events: Iterable[FeedbackEvent]) -> Feedback:
        """Append events, as `append_steps` does."""
        return perform(self.append_steps(reading, events))

    def append_steps(self, reading: FeedbackReading, events: Iterable[FeedbackEvent]) -> SyncWork[Feedback]:
        """Add events, all or none: to this machine's log, then to `feedback.json`. Only within `writing`.

        In the end they survive a power cut. A damaged `feedback.json` is set aside, never overwritten.

        Raises:
            NewerFormat: a later program wrote feedback here; it is not touched.
            WriteFailed: nothing was added; or only the log has it, from where every reading takes it.
        """
        new = list(events)
        if reading.is_newer:
            raise NewerFormat(f"a later version wrote feedback in {self.run_path}; update StableNew to add to it")
        self._check_readable(reading)
        document = reading.build_document(new)
        encoded = _check_length(document.encode_document(), self.run_path)
        missing = [event.encode_line() for event in (*reading.unlogged, *new)]
        if missing:
            replica = self._replica or replica_id()
            yield from append_steps(self.run_path / feedback_log_name(replica), missing)
            _keep_journal(self._journal(replica), missing[len(reading.unlogged) :])
        if reading.is_damaged:
            set_aside(self.run_path)
        yield from replace_file_steps(self.run_path / FEEDBACK, encoded)
        after = replace(reading, events=document.events, unlogged=(), is_damaged=False)
        self._cached = (self._signature(), after)
        note_change(self.run_path)
        return document

    def _check_readable(self, reading: FeedbackReading) -> None:
        """Refuse to write over what could not be read: only `feedback.json` may hold some of it."""
        replica = self._replica or known_replica_id()
        own = {FEEDBACK, feedback_log_name(replica)} if replica else {FEEDBACK}
        for file in reading.unreadable:
            if file.name in own and file.failure is not None:
                reason = f"could not be read, so nothing was added: {file.failure.strerror or file.failure}"
                raise WriteFailed(file.failure.errno, reason, str(self.run_path / file.name))

    def consolidate(self, *, dry_run: bool = False) -> list[str]:
        """Bring every event into `feedback.json`, then remove the conflict copies that hold nothing else.

        A copy goes only when all its events are in the file that was made durable before, and the copy is still byte
        for byte what was read; one that cannot be read in full stays. Returns the names of the copies that went, or
        with `dry_run` would go.

        Raises:
            NewerFormat, WriteFailed: see `append`.
        """
        with file_guard(self.run_path / FEEDBACK):
            reading = self.read()
            copies = [file for file in reading.files if file.is_conflict_copy and not file.problems]
            if dry_run:
                return [file.name for file in copies]
            if reading.events and not self._is_up_to_date(reading):
                self.append(reading, ())
            return [file.name for file in copies if self._remove_copy(file.name, file.data)]

    def _is_up_to_date(self, reading: FeedbackReading) -> bool:
        if reading.unlogged:
            return False
        main = next((file for file in reading.files if file.name == FEEDBACK), None)
        return main is not None and main.document == reading.build_document()

    def _remove_copy(self, name: str, data: bytes) -> bool:
        path = self.run_path / name
        with contextlib.suppress(OSError):
            if read_regular(path, len(data)) == data:
                path.unlink()
                sync_folder(self.run_path)
                return True
        return False


@contextlib.contextmanager
def writing_all(logs: Sequence[FeedbackLog]) -> Iterator[list[FeedbackReading]]:
    """As `FeedbackLog.writing` for many runs at once; call `append_steps` of each in the block."""
    with file_guard(*(log.run_path / FEEDBACK for log in logs)):
        yield [log.read_if_changed() for log in logs]


def _check_length(data: bytes, run_path: Path) -> bytes:
    """`data`, if every reader takes a file of that length. The log holds no more than it does."""
    if len(data) > MAX_FEEDBACK_BYTES:
        reason = f"feedback would take {len(data):,} bytes, and no reader takes more than {MAX_FEEDBACK_BYTES:,}"
        raise WriteFailed(errno.EFBIG, reason, str(run_path / FEEDBACK))
    return data


def _keep_journal(path: Path, lines: list[bytes]) -> None:
    """The log has them already; the journal is a second copy, not worth failing or waiting for the disk."""
    with contextlib.suppress(OSError):
        if not path.parent.exists():
            make_private_folder(path.parent)
        append_cached(path, lines)


def set_aside(run_path: Path) -> Path:
    """Give a damaged `feedback.json` a name under which it is kept and no longer read. Returns its new place."""
    target = run_path / damaged_feedback_name(secrets.token_hex(4))
    rename(run_path / FEEDBACK, target)
    return target
