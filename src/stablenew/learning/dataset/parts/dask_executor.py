"""Making the parts of a dataset on a dask cluster: many machines, the same code, the same rows.

Chosen by measurement among Spark, Ray, Daft and dask. None of them reads a million small JSON files well by itself; all
do when a partition is a list of runs. Of those dask starts fastest and is pure Python.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final

from stablenew import worker_pool
from stablenew.errors import ConfigError
from stablenew.learning.dataset.parts.part_maker import MadePart, PartTask, make_part
from stablenew.learning.dataset.source.run_source import RunSource
from stablenew.learning.dataset.split_plan import SplitPlan

_AHEAD: Final = 4
"""Tasks queued for each worker: enough to keep it busy, few enough to keep in memory."""


class DaskExecutor:
    """Builds parts on the cluster at an address, or on a new local cluster when none is given.

    Raises:
        ConfigError: dask is not installed.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None) -> None:
        try:
            import distributed  # noqa: PLC0415
        except ImportError:
            raise ConfigError("the dask executor needs `pip install 'stablenew[distributed]'`") from None
        self._distributed: Any = distributed
        self._address = address
        self._workers = workers or worker_pool.processor_count()

    def iter_parts(self, source: RunSource, tasks: Sequence[PartTask], plan: SplitPlan) -> Iterator[MadePart]:
        """The part of each task, in order. The workers of the cluster cannot see the old parts and read every run."""
        with ExitStack() as stack:
            client = self._connect(stack)
            futures: list[Any] = []
            waiting = iter(tasks)
            most = _AHEAD * max(1, len(client.scheduler_info()["workers"]))
            for number in range(len(tasks)):
                while len(futures) < min(number + most, len(tasks)):
                    futures.append(client.submit(make_part, source, next(waiting).without_old(), plan, pure=False))
                part: MadePart = futures[number].result()
                futures[number] = None  # lets the cluster free its memory
                yield part

    def _connect(self, stack: ExitStack) -> Any:
        if self._address:
            return stack.enter_context(self._distributed.Client(self._address))
        cluster = self._distributed.LocalCluster(n_workers=self._workers, threads_per_worker=1, dashboard_address=":0")
        return stack.enter_context(self._distributed.Client(stack.enter_context(cluster)))
