"""Reading many runs at once, in processes of our own: parsing is what takes the time, and threads cannot share it.

A reader is `python -m stablenew.index.reader_pool ROOT`. It takes lines of JSON, each a list of run ids, and answers
with a pickle each: a parent that is killed closes the pipe, and its readers end.
"""

import json
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, Self

from stablenew.index.run_entry import RunReading

CHUNK: Final = 200
WORTH_PROCESSES: Final = 4_000
"""Runs to read for which starting readers pays."""
_AHEAD: Final = 2


def iter_readings(root: Path, run_ids: Sequence[str]) -> Iterator[list[RunReading]]:
    """What the runs say now, in the given order, some at a time."""
    chunks = [run_ids[start : start + CHUNK] for start in range(0, len(run_ids), CHUNK)]
    if len(run_ids) < WORTH_PROCESSES or not sys.executable:
        yield from _iter_here(root, chunks)
        return
    with ExitStack() as stack:
        readers = [stack.enter_context(_Reader(root)) for _ in range(_processor_count())]
        yield from _iter_in_turn(readers, chunks)


def _iter_here(root: Path, chunks: Sequence[Sequence[str]]) -> Iterator[list[RunReading]]:
    from stablenew.index.run_reading import RunReader  # noqa: PLC0415

    reader = RunReader(root)
    for chunk in chunks:
        yield [reader.read(run_id) for run_id in chunk]


def _iter_in_turn(readers: "list[_Reader]", chunks: Sequence[Sequence[str]]) -> Iterator[list[RunReading]]:
    """Every reader always has work ahead, and answers are taken in the order they were asked for."""
    asked: deque[_Reader] = deque()
    waiting = iter(enumerate(chunks))
    for _ in range(_AHEAD * len(readers)):
        _ask_next(readers, waiting, asked)
    while asked:
        readings = asked.popleft().answer()
        _ask_next(readers, waiting, asked)
        yield readings


def _ask_next(readers: "list[_Reader]", waiting: Iterator[tuple[int, Sequence[str]]], asked: "deque[_Reader]") -> None:
    for number, chunk in waiting:
        reader = readers[number % len(readers)]
        reader.ask(chunk)
        asked.append(reader)
        return


def _processor_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Reader:
    """One reading process."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "stablenew.index.reader_pool", os.path.abspath(root)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, run_ids: Sequence[str]) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(json.dumps(run_ids).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> list[RunReading]:
        assert self._process.stdout is not None  # noqa: S101
        return [RunReading(*fields) for fields in pickle.load(self._process.stdout)]  # noqa: S301  # our own process


def _serve(root: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    import gc  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from stablenew.index.run_reading import RunReader  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    gc.disable()  # nothing here makes circles, and looking for them takes a third of the time
    reader = RunReader(root)
    for request in requests:
        pickle.dump([reader.read(run_id) for run_id in json.loads(request)], answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
