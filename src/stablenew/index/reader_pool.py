"""Reading many runs at once, in processes of our own: parsing is what takes the time, and threads cannot share it."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stablenew import garbage_collection, worker_pool
from stablenew.index.run_entry import RunReading

CHUNK: Final = 200
WORTH_PROCESSES: Final = 4_000
"""Runs to read for which starting readers pays."""
READERS: Final = 4
"""One that writes keeps up with no more. On fewer processors some wait for the disk while others parse."""
_AHEAD: Final = 12
"""Chunks that each reader has to do, so that it goes on while what was read is written."""


def iter_readings(root: Path, run_ids: Sequence[str]) -> Iterator[list[RunReading]]:
    """What the runs say now, in the given order, some at a time."""
    chunks = [run_ids[start : start + CHUNK] for start in range(0, len(run_ids), CHUNK)]
    if len(run_ids) < WORTH_PROCESSES or not worker_pool.is_available():
        yield from _iter_here(root, chunks)
        return
    for answer in worker_pool.iter_answers(__name__, [os.path.abspath(root)], chunks, count=READERS, ahead=_AHEAD):
        yield [RunReading(*fields) for fields in answer]


def _iter_here(root: Path, chunks: Sequence[Sequence[str]]) -> Iterator[list[RunReading]]:
    from stablenew.index.run_reading import RunReader  # noqa: PLC0415

    reader = RunReader(root)
    for chunk in chunks:
        yield [reader.read(run_id) for run_id in chunk]


def _serve(root: Path) -> None:
    from stablenew.index.run_reading import RunReader  # noqa: PLC0415

    reader = RunReader(root)
    with garbage_collection.paused():
        worker_pool.serve(lambda run_ids: [reader.read(run_id) for run_id in run_ids])


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
