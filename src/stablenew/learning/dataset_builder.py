"""DatasetBuilder: walks run folders and joins records with feedback into one row an image.

The rows are kept in parts, a Parquet file for each stretch of runs. Another build into the same folder makes only those
parts anew whose runs changed. `dataset.json` is replaced last, so a build that is stopped leaves the old dataset whole.
"""

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from stablenew import garbage_collection, worker_pool
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.learning.dataset.executor import LocalEngine, PartEngine, Progress
from stablenew.learning.dataset.source.folder_scan import begun_scan
from stablenew.learning.dataset.source.remote_source import open_source
from stablenew.learning.dataset.source.run_source import LocalSource, RunSource
from stablenew.learning.dataset.split_plan import SplitPlan

if TYPE_CHECKING:
    from stablenew.formats.documents.dataset_ledger import DatasetLedger
    from stablenew.formats.documents.feedback import FeedbackState
    from stablenew.formats.documents.learning_record import LearningRecord
    from stablenew.formats.documents.run_metadata import RunMetadata
    from stablenew.store.run_store import RunStore

_BUILD: Final = "stablenew.learning.dataset.build"


class CollectedRun(NamedTuple):
    """A run as the models have it."""

    metadata: "RunMetadata"
    records: "list[LearningRecord]"


class DatasetBuilder:
    """Makes a dataset of the runs in a store."""

    def __init__(
        self,
        runs: "RunStore | RunSource | Path | str" = "runs",
        *,
        engine: PartEngine | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._source = _open(runs)
        self._engine = engine or LocalEngine()
        self._clock = clock

    def collect_runs(self) -> Iterator[CollectedRun]:
        """Every sealed run of a local store, one after the other, as the models have it.

        What cannot be read is left out here; `build_learning_dataset` names it.
        """
        for run in self._store().iter_runs():
            with contextlib.suppress(OSError, ValueError):
                if run.is_sealed:
                    yield CollectedRun(run.metadata, list(run.iter_records()))

    def collect_feedback(self) -> "Iterator[tuple[str, FeedbackState]]":
        """What people think of each run of a local store that anybody spoke of, merged and folded."""
        from stablenew.store.feedback.feedback_log import FeedbackLog  # noqa: PLC0415

        for run in self._store().iter_runs():
            reading = FeedbackLog(run.path).read()
            if reading.events:
                yield run.run_id, reading.build_document().state

    def _store(self) -> "RunStore":
        from stablenew.store.run_store import RunStore  # noqa: PLC0415

        return RunStore(self._source.location)

    def build_learning_dataset(
        self,
        folder: Path | str,
        *,
        run_ids: Collection[str] | None = None,
        query: str = "",
        split: SplitPlan | None = None,
        formats: Sequence[str] = (),
        is_incremental: bool = True,
        progress: Progress = lambda _done, _total: None,
    ) -> "DatasetLedger":
        """Build the dataset into `folder` and return its ledger.

        `run_ids` are those that `query` found; None takes every run. `formats` names what else to write than Parquet
        (see `dataset_exports.FORMATS`); exports of an earlier build that are not asked for again go. With
        `is_incremental`, what a build into the same folder left is used again where no run changed. `progress` hears of
        the runs that have to be read.

        Raises:
            ConfigError: there is no such format.
            WriteFailed: the disk would not take it; a dataset that was there is unharmed.
        """
        with garbage_collection.paused():
            with self._begun_signatures() as wait_for_signatures:
                from stablenew.learning.dataset.build import DatasetBuild  # noqa: PLC0415  # while folders are seen

                build = DatasetBuild(
                    Path(folder),
                    self._source,
                    self._engine,
                    self._clock,
                    query=query,
                    split=split or SplitPlan(),
                    formats=formats,
                    is_incremental=is_incremental,
                )
                signatures = wait_for_signatures()
            return build.run(signatures, run_ids, progress)

    def _begun_signatures(self) -> AbstractContextManager[Callable[[], Mapping[str, int]]]:
        """Of the source: by a process of its own, if there is much to import meanwhile."""
        if isinstance(self._source, LocalSource) and _BUILD not in sys.modules and worker_pool.is_available():
            return begun_scan(self._source.location)
        return contextlib.nullcontext(self._source.signatures)


def _open(runs: "RunStore | RunSource | Path | str") -> RunSource:
    place = runs if isinstance(runs, (str, Path)) else getattr(runs, "root", None)
    return cast("RunSource", runs) if place is None else open_source(str(place))
