"""Engines: what spreads the making of parts over processors or machines. All run the same kernel.

The local engine is here: worker processes, or this process where starting them does not pay. As a program this module
is such a worker. What makes parts is imported where it is used, so that who names an engine need not wait for it.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from stablenew import garbage_collection, worker_pool
from stablenew.errors import ConfigError
from stablenew.learning.dataset.source.run_source import LocalSource, RunSource
from stablenew.learning.dataset.split_plan import SplitPlan

if TYPE_CHECKING:
    from stablenew.learning.dataset.part_maker import MadePart, PartTask

Progress = Callable[[int, int], object]
"""Is told how many runs are done, of how many."""

LOCAL: Final = "local"
DASK: Final = "dask"
_ENVIRONMENT: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "OPENBLAS_NUM_THREADS": "1",
}
"""Has workers use memory again instead of giving it back after each part, where the C library is glibc (page faults
take a tenth of the time), and NumPy start no threads."""
WORTH_PROCESSES: Final = 3_000
"""Runs to read for which starting workers pays."""
_KEPT_FOR_ONE_READ: Final = 5
"""So many runs can be taken from an old part in the time it takes to read one."""


class PartEngine(Protocol):
    """Makes parts somewhere."""

    def iter_parts(self, source: RunSource, tasks: "Sequence[PartTask]", plan: SplitPlan) -> "Iterator[MadePart]":
        """The part of each task, in order."""


class LocalEngine:
    """This machine."""

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes

    def iter_parts(self, source: RunSource, tasks: "Sequence[PartTask]", plan: SplitPlan) -> "Iterator[MadePart]":
        """The part of each task, in order; by `processes` workers, or by one a processor if it pays."""
        count = self._processes or self._worth(tasks)
        if count == 1 or not isinstance(source, LocalSource) or not worker_pool.is_available():
            return (_make_here(source, task, plan) for task in tasks)
        questions: Iterable[Any] = ({"task": task.to_dict(), "plan": plan.to_dict()} for task in tasks)
        arguments = [os.fspath(source.location)]
        return worker_pool.iter_answers(__name__, arguments, questions, count=count, environment=_ENVIRONMENT)

    def _worth(self, tasks: "Sequence[PartTask]") -> int:
        work = sum(task.read_count + len(task.kept) // _KEPT_FOR_ONE_READ for task in tasks)
        return min(len(tasks), worker_pool.processor_count()) if work >= WORTH_PROCESSES else 1


def _make_here(source: RunSource, task: "PartTask", plan: SplitPlan) -> "MadePart":
    from stablenew.learning.dataset.part_maker import make_part  # noqa: PLC0415

    with garbage_collection.paused():
        return make_part(source, task, plan)


def open_engine(name: str, scheduler: str | None = None) -> PartEngine:
    """The engine of this name: `local`, or `dask` with the address of its scheduler.

    Raises:
        ConfigError: there is no such engine, or it needs the extra `stablenew[distributed]`.
    """
    if name == LOCAL:
        return LocalEngine()
    if name == DASK:
        from stablenew.learning.dataset.dask_executor import DaskEngine  # noqa: PLC0415

        return DaskEngine(scheduler)
    raise ConfigError(f"no engine {name!r} for datasets; there are {LOCAL} and {DASK}")


def _serve(location: str) -> None:
    import pyarrow as pa  # noqa: PLC0415

    from stablenew.learning.dataset.part_maker import PartTask, make_part  # noqa: PLC0415

    pa.set_cpu_count(1)
    source = LocalSource(Path(location))
    with garbage_collection.paused():
        worker_pool.serve(
            lambda asked: make_part(source, PartTask(**asked["task"]), SplitPlan.from_dict(asked["plan"]))
        )


if __name__ == "__main__":
    _serve(sys.argv[1])
