"""Executors: what distributes the making of parts over processors or machines. All run the same code.

The local executor is here: worker processes, or this process where starting workers would take longer. Run as a
program, this module is such a worker. What makes parts is imported only when used, so that importing an executor is
quick.
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
    from stablenew.learning.dataset.parts.part_maker import MadePart, PartTask

Progress = Callable[[int, int], object]
"""Called with how many runs are done, and how many there are to do."""

LOCAL: Final = "local"
DASK: Final = "dask"
_ENVIRONMENT: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "OPENBLAS_NUM_THREADS": "1",
}
"""Makes workers reuse memory instead of returning it after each part, where the C library is glibc (page faults took a
tenth of the time), and stops NumPy from starting threads."""
WORTH_PROCESSES: Final = 3_000
"""With fewer runs to read than this, starting workers takes longer than it saves."""
_COPIES_PER_READ: Final = 5
"""Runs that can be copied from an old part in the time it takes to read one."""


class PartExecutor(Protocol):
    """Builds parts: in this process, in worker processes, or on a cluster."""

    def iter_parts(self, source: RunSource, tasks: "Sequence[PartTask]", plan: SplitPlan) -> "Iterator[MadePart]":
        """The part of each task, in order."""


class LocalExecutor:
    """Builds parts on this machine."""

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes

    def iter_parts(self, source: RunSource, tasks: "Sequence[PartTask]", plan: SplitPlan) -> "Iterator[MadePart]":
        """The part of each task, in order; by `processes` workers, or one a processor where that is faster."""
        count = self._processes or self._count_workers(tasks)
        if count == 1 or not isinstance(source, LocalSource) or not worker_pool.is_available():
            return (_make_here(source, task, plan) for task in tasks)
        questions: Iterable[Any] = ({"task": task.to_dict(), "plan": plan.to_dict()} for task in tasks)
        arguments = [os.fspath(source.location)]
        return worker_pool.iter_answers(__name__, arguments, questions, count=count, environment=_ENVIRONMENT)

    def _count_workers(self, tasks: "Sequence[PartTask]") -> int:
        work = sum(task.read_count + len(task.kept) // _COPIES_PER_READ for task in tasks)
        return min(len(tasks), worker_pool.processor_count()) if work >= WORTH_PROCESSES else 1


def _make_here(source: RunSource, task: "PartTask", plan: SplitPlan) -> "MadePart":
    from stablenew.learning.dataset.parts.part_maker import make_part  # noqa: PLC0415

    with garbage_collection.paused():
        return make_part(source, task, plan)


def open_executor(name: str, address: str | None = None) -> PartExecutor:
    """The executor of this name: `local`, or `dask` with the address of its cluster.

    Raises:
        ConfigError: there is no such executor, or it needs the extra `stablenew[distributed]`.
    """
    if name == LOCAL:
        return LocalExecutor()
    if name == DASK:
        from stablenew.learning.dataset.parts.dask_executor import DaskExecutor  # noqa: PLC0415

        return DaskExecutor(address)
    raise ConfigError(f"no executor {name!r} for datasets; there are {LOCAL} and {DASK}")


def _serve(location: str) -> None:
    import pyarrow as pa  # noqa: PLC0415

    from stablenew.learning.dataset.parts.part_maker import PartTask, make_part  # noqa: PLC0415

    pa.set_cpu_count(1)
    source = LocalSource(Path(location))
    with garbage_collection.paused():
        worker_pool.serve(
            lambda asked: make_part(source, PartTask(**asked["task"]), SplitPlan.from_dict(asked["plan"]))
        )


if __name__ == "__main__":
    _serve(sys.argv[1])
