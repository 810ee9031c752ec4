"""Child processes for work that threads cannot share, such as parsing.

A worker is a module that calls `serve`. It reads tasks, a line of JSON each, and answers each with a pickle that its
length precedes. When the parent is killed the pipe closes, and its workers end. Unlike `multiprocessing`, this never
imports the main program of the caller.
"""

import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

_LENGTH: Final = 8
_RUN_MODULE: Final = (
    "import runpy, sys; sys.path.append(sys.argv[1]); module = sys.argv[2]; del sys.argv[1:3]; "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)
_NICENESS: Final = 10
OWN_GROUP: Final = None if sys.platform == "win32" else 0
"""For `subprocess`: Ctrl-C in a terminal reaches no child, which may still be starting; its parent ends it."""
_beside: "list[subprocess.Popen[bytes]]" = []
"""Kept, because Python warns of a process that nobody holds while it runs."""
_MOST_KEPT: Final = 16
"""Answers of each worker that are kept while an earlier one is missing."""


def is_available() -> bool:
    """Whether child processes of this Python can be started: not where it is embedded in another program."""
    return bool(sys.executable)


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours in another process, as `python -m` would, but safely.

    `-m` alone looks for every module in the current folder first, so a `json.py` in somebody else's store would be
    executed. `-P` leaves that folder out; our own is searched last, wherever this process found it.
    """
    return [sys.executable, "-P", "-c", _RUN_MODULE, str(Path(__file__).parents[1]), module, *arguments]


def start_beside(module: str, *arguments: str) -> None:
    """Run a module of ours in a process that goes on when this one ends. If it cannot start, nothing reports it."""
    quiet = subprocess.DEVNULL
    command = module_command(module, *arguments)
    with contextlib.suppress(OSError):
        _beside.append(
            subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603
        )


def lower_priority() -> None:
    """Let whatever else runs on this machine go first."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)


def processor_count() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def iter_answers(
    module: str,
    arguments: Sequence[str],
    tasks: Iterable[Any],
    *,
    count: int | Callable[[], int] | None = None,
    ahead: int = 2,
    environment: Mapping[str, str] | None = None,
) -> Generator[Any, None, None]:
    """The answers of workers to `tasks` (JSON values), in the order of the tasks.

    `count` workers run `module`, by default one for each processor; if it is a function it is called after each answer,
    and more workers are started when it returns more. Each has up to `ahead` tasks queued, so that it keeps working
    while answers are used. `environment` is added to ours.

    Raises:
        ChildProcessError: a worker died.
    """
    answers: queue.SimpleQueue[tuple[_Worker, bytes]] = queue.SimpleQueue()
    variables = {**os.environ, **(environment or {})}
    with ExitStack() as stack:
        workers: list[_Worker] = []

        def start_missing() -> None:
            number = count() if callable(count) else count or processor_count()
            new = (_Worker(module, arguments, answers, variables) for _ in range(len(workers), number))
            workers.extend(map(stack.enter_context, new))

        waiting = enumerate(tasks)
        start_missing()
        _ask_all(workers, waiting, ahead)
        done: dict[int, bytes] = {}
        wanted = 0
        while done or any(worker.asked for worker in workers):
            while wanted not in done:
                worker, data = answers.get()
                done[worker.finish_task(data)] = data
                if len(done) < _MOST_KEPT * len(workers):
                    worker.ask_next(waiting)
            yield pickle.loads(done.pop(wanted))  # noqa: S301  # our own process
            wanted += 1
            start_missing()
            _ask_all(workers, waiting, ahead)


def _ask_all(workers: "Sequence[_Worker]", waiting: Iterator[tuple[int, Any]], ahead: int) -> None:
    """Queue up to `ahead` tasks for each, in turn."""
    for number in range(ahead):
        for worker in workers:
            if len(worker.asked) <= number:
                worker.ask_next(waiting)


class _Worker:
    """A process, and a thread that reads its answers: a full pipe would block it."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        answers: "queue.SimpleQueue[tuple[_Worker, bytes]]",
        environment: Mapping[str, str],
    ) -> None:
        command = module_command(module, *arguments)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, process_group=OWN_GROUP)  # noqa: S603
        self._answers = answers
        self.asked: deque[int] = deque()
        """Numbers of the tasks it has not answered."""
        self._thread = threading.Thread(target=self._read_answers, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._thread.join()
        self._process.communicate()

    def ask_next(self, waiting: Iterator[tuple[int, Any]]) -> None:
        """Give it the next task, if there is one."""
        assert self._process.stdin is not None  # noqa: S101
        for number, task in waiting:
            self.asked.append(number)
            with contextlib.suppress(BrokenPipeError):  # it died: its missing answer says so
                self._process.stdin.write(json.dumps(task).encode() + b"\n")
                self._process.stdin.flush()
            return

    def _read_answers(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        while len(head := self._process.stdout.read(_LENGTH)) == _LENGTH:
            data = self._process.stdout.read(int.from_bytes(head))
            if len(data) < int.from_bytes(head):
                break  # it died while it wrote
            self._answers.put((self, data))
        self._answers.put((self, b""))

    def finish_task(self, data: bytes) -> int:
        """The number of the task that `data` answers."""
        if not data:
            raise ChildProcessError(f"a worker process ended with {self._process.wait()}; what it printed says why")
        return self.asked.popleft()


def serve(work: Callable[[Any], Any]) -> None:
    """Answer tasks with the results of `work`, until the parent has no more.

    What `work` prints goes to stderr, and its standard input is empty: a question of somebody's library must not wait.
    """
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    with os.fdopen(os.dup(0), "rb") as tasks, os.fdopen(os.dup(1), "wb") as answers:
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        for task in tasks:
            data = pickle.dumps(work(json.loads(task)), protocol=5)
            answers.write(len(data).to_bytes(_LENGTH) + data)
            answers.flush()
