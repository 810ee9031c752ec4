"""Removing a run folder on purpose: only what can be made again, such as an import, and never what people said."""

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path

from stablenew.disk.atomic_file import rename, sync_folder, temporary_name
from stablenew.errors import StoreError
from stablenew.store.change_hints import note_change
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.run import Run
from stablenew.store.run_lock import RunLock


class HasFeedback(StoreError):
    """People have said something about the run or its images."""


def remove_run(run: Run, *, with_feedback: bool = False) -> None:
    """Remove a run folder in one step: readers see it whole or not at all.

    Raises:
        HasFeedback: it has feedback, and `with_feedback` does not say that this may go too; the run stays.
        RunLocked: it is being written.
        OSError: it could not be removed.
    """
    if not with_feedback and FeedbackLog(run.path).read().events:
        raise HasFeedback(f"run {run.run_id} has feedback; it was kept")
    lock = RunLock(run.path.parent, run.run_id)
    lock.acquire()
    try:
        doomed = run.path.with_name(temporary_name(run.run_id, secrets.token_hex(4)))
        rename(os.fspath(run.path), doomed)
        sync_folder(run.path.parent)
        note_change(run.path)
        shutil.rmtree(doomed, onerror=_remove_read_only)
    finally:
        lock.release(forget=True)


def _remove_read_only(function: object, path: str, _error: object) -> None:
    """Windows does not delete what may not be written."""
    del function
    with contextlib.suppress(OSError):
        Path(path).chmod(stat.S_IWRITE | stat.S_IREAD)
        Path(path).unlink()
