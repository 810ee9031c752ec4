"""TaskRunner: long scans of the whole store in the background, with progress and cancellation."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stablenew.engines.engine import CancelToken
from stablenew.recording.side_channel import attempt, describe


@dataclass(slots=True)
class Task:
    """A task, with its progress or its result."""

    kind: str
    number: int
    """Goes up with every change: answers and events overtake each other, and the newest state is the true one."""
    done: int = 0
    total: int = 0
    """0: not known yet."""
    result: Any = None
    error: str | None = None
    is_over: bool = False
    cancel: CancelToken = field(default_factory=CancelToken)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: a state at least as new as its number."""
        number = self.number
        return {
            "kind": self.kind,
            "number": number,
            "done": self.done,
            "total": self.total,
            "result": self.result,
            "error": self.error,
            "is_over": self.is_over,
            "is_cancelled": self.cancel.is_cancelled,
        }


class TaskRunner:
    """At most one task of each kind at a time."""

    def __init__(self, on_change: Callable[[Task], object]) -> None:
        self._on_change = on_change
        self._guard = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._numbers = itertools.count(time.time_ns() // 1000)  # above those of a server before this one

    def start(self, kind: str, work: Callable[[Callable[[int, int], None]], Any]) -> Task:
        """Start a task, or return the one of that kind that is running.

        A kind may have a subject, after a space: tasks of several subjects run beside each other, and the last result
        is kept.
        `work` takes a function for done and total, which raises when the task is to stop; it gives the result.
        """
        with self._guard:
            running = self._tasks.get(kind)
            if running is not None and not running.is_over:
                return running
            for old in [task for task in self._tasks.values() if task.is_over and _word(task.kind) == _word(kind)]:
                del self._tasks[old.kind]
            task = self._tasks[kind] = Task(kind, next(self._numbers))
        threading.Thread(target=self._run, args=(task, work), name=f"stablenew-{kind}", daemon=True).start()
        return task

    def _run(self, task: Task, work: Callable[[Callable[[int, int], None]], Any]) -> None:
        def report(done: int, total: int) -> None:
            task.done, task.total = done, total
            self._tell(task)
            task.cancel.raise_if_cancelled()

        result, failure = attempt(work, report)
        task.result, task.error = result, describe(failure) if failure else None
        task.is_over = True
        self._tell(task)

    def _tell(self, task: Task) -> None:
        task.number = next(self._numbers)
        self._on_change(task)

    def tasks(self) -> list[Task]:
        """The latest task of each kind."""
        with self._guard:
            return list(self._tasks.values())

    def cancel(self, kind: str) -> None:
        """Cancel the task of this kind, if there is one."""
        with self._guard:
            if kind in self._tasks:
                self._tasks[kind].cancel.cancel()

    def stop(self) -> None:
        """Cancel all tasks."""
        for task in self.tasks():
            task.cancel.cancel()


def _word(kind: str) -> str:
    return kind.partition(" ")[0]
