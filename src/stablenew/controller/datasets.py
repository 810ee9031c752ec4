"""The datasets of one store: built where somebody wants them, or kept in the cache folder, one for each query."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stablenew.controller.lazy_part import LazyPart
from stablenew.errors import ConfigError
from stablenew.formats.digest import digest_bytes
from stablenew.store.local_state import cache_folder, store_key

if TYPE_CHECKING:
    from stablenew.controller.insights import RememberedInsights
    from stablenew.formats.documents.dataset_ledger import DatasetLedger
    from stablenew.index.job_history import JobHistory
    from stablenew.learning.dataset.parts.executor import PartExecutor, Progress
    from stablenew.learning.dataset.reader import Dataset
    from stablenew.learning.dataset.source.run_source import RunSource
    from stablenew.learning.dataset.split_plan import SplitPlan
    from stablenew.store.run_store import RunStore

_QUERY_DIGITS: Final = 12


class _Chosen(NamedTuple):
    """The runs and images that a dataset takes; all of them where it is None."""

    run_ids: Sequence[str] | None = None
    images: Mapping[str, Sequence[str]] | None = None
    elsewhere: Mapping[str, Sequence[str]] | None = None
    """The same images in other runs: what was said there counts."""


class Datasets:
    """Builds and opens datasets of the runs in `store`, all or those that a query of its history finds."""

    def __init__(self, store: "RunStore", open_history: "Callable[[], JobHistory]") -> None:
        self._store = store
        self._open_history = open_history
        self.guard = threading.RLock()

    def build(
        self,
        folder: Path,
        *,
        query: str = "",
        split: "SplitPlan | None" = None,
        formats: Sequence[str] = (),
        source: "RunSource | None" = None,
        executor: "PartExecutor | None" = None,
        is_incremental: bool = True,
        has_whole_runs: bool = False,
        progress: "Progress" = lambda _done, _total: None,
    ) -> "DatasetLedger":
        """Build a dataset of the images that `query` finds; see `DatasetBuilder.build_learning_dataset`.

        With `has_whole_runs` it takes all images of their runs, so that less is rebuilt when other images fit.

        `source` is another store than this one, such as one on object storage; a query cannot search it.

        Raises:
            ConfigError: a query and a `source`.
        """
        from stablenew.learning.dataset_builder import DatasetBuilder  # noqa: PLC0415

        if source is not None and query:
            raise ConfigError("a query looks into the history of this machine, and cannot look into another store")
        chosen = self._choose(query, has_whole_runs=has_whole_runs) if query else _Chosen()
        return DatasetBuilder(source or self._store, executor=executor).build_learning_dataset(
            folder,
            **chosen._asdict(),
            query=query,
            split=split,
            formats=formats,
            is_incremental=is_incremental,
            progress=progress,
        )

    def _choose(self, query: str, *, has_whole_runs: bool) -> _Chosen:
        history = self._open_history()
        history.parse(query)
        history.refresh(is_patient=True)
        run_ids, found = history.run_ids(query), history.digests_by_run(query)
        here = found.keys() & set(run_ids)
        return _Chosen(
            run_ids,
            None if has_whole_runs else {run_id: found[run_id] for run_id in here},
            {run_id: found[run_id] for run_id in found.keys() - here},
        )

    def open(self, query: str = "", *, progress: "Progress" = lambda _done, _total: None) -> "Dataset":
        """A dataset of this store that is kept in the cache folder and brought up to date each time.

        With a query it has the images that fit and no others of their runs.

        Raises:
            InvalidQuery: `query` is not valid.
        """
        from stablenew.learning.dataset.reader import Dataset  # noqa: PLC0415

        history = self._open_history()
        history.parse(query)
        folder = _cached_folder(self._store.root, query)
        self.build(folder, query=query, has_whole_runs=True, progress=progress)
        if not query:
            history.refresh()  # it knows the copies
        images = history.digests(query) if query else None
        return Dataset(folder, images=images, copies=history.copies())

    def insights(self, query: str = "", *, progress: "Progress" = lambda _done, _total: None) -> dict[str, Any]:
        """What the ratings of the runs that `query` finds say about settings; see `describe_insights`.

        Raises:
            InvalidQuery: `query` is not valid.
        """
        return self._insights.describe(self.open(query, progress=progress))

    @LazyPart
    def _insights(self) -> "RememberedInsights":
        from stablenew.controller.insights import RememberedInsights  # noqa: PLC0415

        return RememberedInsights()

    def tuning(
        self,
        query: str = "",
        *,
        rater: str,
        over: Sequence[str] = (),
        size: int = 4,
        progress: "Progress" = lambda _done, _total: None,
    ) -> dict[str, Any]:
        """What to try next to learn the best settings, and what is known of them; see `describe_tuning`.

        Raises:
            InvalidQuery: `query` is not valid.
            ConfigError: `over` is not, or there is nothing to tune.
        """
        from stablenew.controller.experiments.tuning import describe_tuning  # noqa: PLC0415

        return describe_tuning(self.open(query, progress=progress), over, size=size, query=query, rater=rater)


def _cached_folder(root: Path, query: str) -> Path:
    name = store_key(root)
    if query:
        name += f"-{digest_bytes(query.encode())[-_QUERY_DIGITS:]}"
    return cache_folder() / "datasets" / name
