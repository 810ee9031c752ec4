"""Reading many runs at once, in processes of our own: parsing is what takes the time, and threads cannot share it.

A reader is `python -m stablenew.index.reader_pool ROOT`. It takes lines of JSON, each a list of run ids, and answers
with a pickle each, its length before it: a parent that is killed closes the pipe, and its readers end.
"""

import json
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, Self

from stablenew.index.run_entry import RunReading

CHUNK: Final = 200
WORTH_PROCESSES: Final = 4_000
"""Runs to read for which starting readers pays."""
_AHEAD: Final = 12
"""Chunks that each reader has to do, so that it goes on while what was read is written."""
_LENGTH: Final = 8


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
    """One reading process, and a thread that takes its answers: a full pipe would make it wait."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "stablenew.index.reader_pool", os.path.abspath(root)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._take_answers, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._thread.join()
        self._process.communicate()

    def ask(self, run_ids: Sequence[str]) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(json.dumps(run_ids).encode() + b"\n")
        self._process.stdin.flush()

    def _take_answers(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        while len(head := self._process.stdout.read(_LENGTH)) == _LENGTH:
            self._answers.put(self._process.stdout.read(int.from_bytes(head)))
        self._answers.put(b"")

    def answer(self) -> list[RunReading]:
        data = self._answers.get()
        if not data:
            raise ChildProcessError(f"a reading process ended with {self._process.wait()}; what it printed says why")
        return [RunReading(*fields) for fields in pickle.loads(data)]  # noqa: S301  # our own process


def _serve(root: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    import gc  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from stablenew.index.run_reading import RunReader  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    gc.disable()  # nothing here makes circles, and looking for them takes a third of the time
    reader = RunReader(root)
    for request in requests:
        data = pickle.dumps([reader.read(run_id) for run_id in json.loads(request)], protocol=5)
        answers.write(len(data).to_bytes(_LENGTH) + data)
        answers.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
