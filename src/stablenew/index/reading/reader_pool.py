"""Reading many runs in parallel, in child processes: parsing takes most of the time, and threads cannot share it."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from stablenew import garbage_collection, worker_pool
from stablenew.index.reading.run_rows import RunRows

CHUNK: Final = 200
WORTH_PROCESSES: Final = 4_000
"""Number of runs from which starting child processes pays off."""
MOST_READERS: Final = 4
"""A single writer keeps up with no more than these."""
_MOSTLY: Final = 0.5
_AHEAD: Final = 12
"""Chunks that are queued for each reader, so that it continues while the writer is busy."""


class ReaderCount:
    """How many readers are useful: one per processor, or the maximum where they mostly wait for the disk."""

    def __init__(self) -> None:
        self._seconds = self._busy_seconds = 0.0

    def add(self, seconds: float, busy_seconds: float) -> None:
        """Account for a chunk: how long it took, and for how much of that the reader was not waiting for the disk."""
        self._seconds += seconds
        self._busy_seconds += busy_seconds

    def __call__(self) -> int:
        """The number of readers to run now."""
        if self._busy_seconds < _MOSTLY * self._seconds:
            return MOST_READERS
        return min(worker_pool.processor_count(), MOST_READERS)


def iter_rows(root: Path, run_ids: Sequence[str]) -> Iterator[list[RunRows]]:
    """The rows of the runs as they are now, in the given order, a chunk at a time."""
    chunks = [run_ids[start : start + CHUNK] for start in range(0, len(run_ids), CHUNK)]
    if not run_ids:
        return
    if len(run_ids) < WORTH_PROCESSES or not worker_pool.is_available():
        yield from map(_chunk_reader(root), chunks)
        return
    count = ReaderCount()
    arguments = [os.path.abspath(root)]
    for times, answer in worker_pool.iter_answers(__name__, arguments, chunks, count=count, ahead=_AHEAD):
        count.add(*times)
        yield [RunRows(*rows) for rows in answer]


def _chunk_reader(root: Path) -> Callable[[Sequence[str]], list[RunRows]]:
    from stablenew.index.reading.index_rows import build_rows  # noqa: PLC0415
    from stablenew.index.reading.run_reading import RunReader  # noqa: PLC0415

    reader = RunReader(root)
    return lambda run_ids: [build_rows(reader.read(run_id)) for run_id in run_ids]


def _serve(root: Path) -> None:
    read = _chunk_reader(root)

    def answer(run_ids: Sequence[str]) -> tuple[tuple[float, float], list[tuple[Any, ...]]]:
        started = time.perf_counter(), _busy_seconds()
        found: list[tuple[Any, ...]] = [tuple(rows) for rows in read(run_ids)]  # plain tuples are much faster to pickle
        return (time.perf_counter() - started[0], _busy_seconds() - started[1]), found

    with garbage_collection.paused():
        worker_pool.serve(answer)


def _busy_seconds() -> float:
    """For how long this process used a processor, or waited for others who do: one more reader would wait as well."""
    waited = 0.0
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/schedstat", "rb") as file:
        waited = int(file.read().split()[1]) / 1e9
    return time.process_time() + waited


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
