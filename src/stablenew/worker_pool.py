"""Processes of our own for work that threads cannot share, such as parsing.

A worker is a module run with `python -m`: it calls `serve`. It takes lines of JSON, each one task, and answers with a
pickle each, its length before it. A parent that is killed closes the pipe, and its workers end. Unlike
`multiprocessing` this asks nothing of the main program of whoever calls us.
"""

import json
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

_LENGTH: Final = 8


def is_available() -> bool:
    """Whether more of this Python can be started: not where it is built into another program."""
    return bool(sys.executable)


def processor_count() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def iter_answers(
    module: str, arguments: Sequence[str], tasks: Iterable[Any], *, count: int | None = None, ahead: int = 2
) -> Iterator[Any]:
    """What workers answer to `tasks` (JSON values), in the order of the tasks.

    `count` workers run `module`; by default one a processor. Each always has `ahead` tasks to do, so that it goes on
    while its answers are used.

    Raises:
        ChildProcessError: a worker died.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker(module, arguments)) for _ in range(count or processor_count())]
        asked: deque[_Worker] = deque()
        waiting = enumerate(tasks)
        for _ in range(ahead * len(workers)):
            _ask_next(workers, waiting, asked)
        while asked:
            answer = asked.popleft().answer()
            _ask_next(workers, waiting, asked)
            yield answer


def _ask_next(workers: "list[_Worker]", waiting: Iterator[tuple[int, Any]], asked: "deque[_Worker]") -> None:
    for number, task in waiting:
        worker = workers[number % len(workers)]
        worker.ask(task)
        asked.append(worker)
        return


class _Worker:
    """One process, and a thread that takes its answers: a full pipe would make it wait."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", module, *arguments]
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

    def ask(self, task: Any) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(json.dumps(task).encode() + b"\n")
        self._process.stdin.flush()

    def _take_answers(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        while len(head := self._process.stdout.read(_LENGTH)) == _LENGTH:
            self._answers.put(self._process.stdout.read(int.from_bytes(head)))
        self._answers.put(b"")

    def answer(self) -> Any:
        data = self._answers.get()
        if not data:
            raise ChildProcessError(f"a worker process ended with {self._process.wait()}; what it printed says why")
        return pickle.loads(data)  # noqa: S301  # our own process


def serve(work: Callable[[Any], Any]) -> None:
    """Answer tasks with what `work` makes of them, until the parent has no more."""
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    for task in sys.stdin.buffer:
        data = pickle.dumps(work(json.loads(task)), protocol=5)
        sys.stdout.buffer.write(len(data).to_bytes(_LENGTH) + data)
        sys.stdout.buffer.flush()
