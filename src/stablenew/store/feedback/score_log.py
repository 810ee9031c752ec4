"""Appending scores that programs gave images to this machine's `metrics.<replica>.jsonl` of a run."""

import contextlib
import os
from pathlib import Path

from stablenew.disk.line_log import append_cached
from stablenew.formats.documents.metric import MetricBatch
from stablenew.store.change_hints import note_change
from stablenew.store.run_folder import metrics_name
from stablenew.store.run_lock import file_guard


def append_scores(run_path: Path, batch: MetricBatch) -> None:
    """Add a batch in one write. It does not wait for the disk: what a power cut takes can be computed again.

    Raises:
        WriteFailed: nothing was added.
    """
    path = run_path / metrics_name(batch.replica)
    with file_guard(path):
        append_cached(path, [batch.encode_line()])
    with contextlib.suppress(OSError):
        os.utime(run_path)  # whoever watches looks at the times of the folder, not of each file
    note_change(run_path)
