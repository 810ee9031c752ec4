"""Reading many runs at once, in processes of our own: parsing is what takes the time, and threads cannot share it."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from stablenew import garbage_collection, worker_pool
from stablenew.index.index_rows import RunRows, build_rows

CHUNK: Final = 200
WORTH_PROCESSES: Final = 4_000
"""Runs to read for which starting readers pays."""
READERS: Final = 4
"""One that writes keeps up with no more. On fewer processors some wait for the disk while others parse."""
_AHEAD: Final = 12
"""Chunks that each reader has to do, so that it goes on while what was read is written."""


def iter_rows(root: Path, run_ids: Sequence[str]) -> Iterator[list[RunRows]]:
    """What the index keeps of the runs as they are now, in the given order, some at a time."""
    chunks = [run_ids[start : start + CHUNK] for start in range(0, len(run_ids), CHUNK)]
    if len(run_ids) < WORTH_PROCESSES or not worker_pool.is_available():
        yield from map(_chunk_reader(root), chunks)
        return
    for answer in worker_pool.iter_answers(__name__, [os.path.abspath(root)], chunks, count=READERS, ahead=_AHEAD):
        yield [RunRows(*rows) for rows in answer]


def _chunk_reader(root: Path) -> Callable[[Sequence[str]], list[RunRows]]:
    from stablenew.index.run_reading import RunReader  # noqa: PLC0415

    reader = RunReader(root)
    return lambda run_ids: [build_rows(reader.read(run_id)) for run_id in run_ids]


def _serve(root: Path) -> None:
    read = _chunk_reader(root)
    with garbage_collection.paused():
        worker_pool.serve(lambda run_ids: [tuple(rows) for rows in read(run_ids)])


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
