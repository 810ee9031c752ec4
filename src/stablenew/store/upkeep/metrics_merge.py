"""Merging scores: lines of `metrics.<replica>.jsonl` that are there and not here."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from stablenew.disk.group_sync import perform
from stablenew.disk.line_log import append_steps, split_lines
from stablenew.disk.regular_file import is_regular, read_regular
from stablenew.store.change_hints import note_change
from stablenew.store.local_state import replica_id
from stablenew.store.metric_files import find_batch_problem
from stablenew.store.run_folder import MAX_FEEDBACK_BYTES, is_metrics, metrics_name
from stablenew.store.run_lock import file_guard


def merge_metrics(target: Path, theirs: Path, *, dry_run: bool) -> int:
    """Take their batches of scores that we do not know into our own file: nobody writes another machine's.

    Returns how many were new. A line that is not a batch of this run stays there.

    Raises:
        OSError: a file cannot be read now.
        WriteFailed: the disk would not take them; none is here then.
    """
    found = dict.fromkeys(line for line in _iter_lines(theirs) if find_batch_problem(theirs.name, line) is None)
    if not found:
        return 0
    if dry_run or not target.is_dir():
        return len(found.keys() - (set(_iter_lines(target)) if target.is_dir() else set()))
    place = target / metrics_name(replica_id())
    with file_guard(place):
        known = set(_iter_lines(target))
        new = [line for line in found if line not in known]
        if new:
            perform(append_steps(place, new))
            with contextlib.suppress(OSError):
                os.utime(target)  # a file that grows does not change its folder, by whose times readers notice changes
            note_change(target)
    return len(new)


def _iter_lines(run_path: Path) -> Iterator[bytes]:
    """The whole lines of all files of scores of a run."""
    for path in sorted(run_path.iterdir()):
        if is_metrics(path.name) and is_regular(path):
            yield from (line for _, line, is_whole in split_lines(read_regular(path, MAX_FEEDBACK_BYTES)) if is_whole)
