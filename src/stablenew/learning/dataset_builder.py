"""DatasetBuilder: walks run folders and joins records with feedback into one row per image.

The rows are kept in parts, a Parquet file for each range of runs. Another build into the same folder makes only those
parts again whose runs changed. `dataset.json` is replaced last, so a build that is stopped leaves the old dataset
whole.

This module is the public door and quick to import. The work is done by `dataset.build`, which imports Arrow; importing
that takes as long as taking the signatures of 100,000 run folders, so both happen at the same time.
"""

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from stablenew import garbage_collection, worker_pool
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.learning.dataset.parts.executor import LocalExecutor, PartExecutor, Progress
from stablenew.learning.dataset.source.folder_scan import start_scan
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
    """A run, read strictly into the document models."""

    metadata: "RunMetadata"
    records: "list[LearningRecord]"


class DatasetBuilder:
    """Builds datasets of the runs in a store."""

    def __init__(
        self,
        runs: "RunStore | RunSource | Path | str" = "runs",
        *,
        executor: PartExecutor | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._source = _open(runs)
        self._executor = executor or LocalExecutor()
        self._clock = clock

    def collect_runs(self) -> Iterator[CollectedRun]:
        """Every sealed run of a local store, one at a time, read strictly.

        Runs that cannot be read are skipped here; `build_learning_dataset` reports them.
        """
        for run in self._store().iter_runs():
            with contextlib.suppress(OSError, ValueError):
                if run.is_sealed:
                    yield CollectedRun(run.metadata, list(run.iter_records()))

    def collect_feedback(self) -> "Iterator[tuple[str, FeedbackState]]":
        """Run id and merged feedback of each run of a local store that has feedback."""
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
        images: Mapping[str, Sequence[str]] | None = None,
        elsewhere: Mapping[str, Sequence[str]] | None = None,
        query: str = "",
        split: SplitPlan | None = None,
        formats: Sequence[str] = (),
        is_incremental: bool = True,
        progress: Progress = lambda _done, _total: None,
    ) -> "DatasetLedger":
        """Build the dataset into `folder` and return its ledger.

        `run_ids` are those that `query` found; None takes every run. `images` are the digests of the images to take of
        each run; None takes all, and a run that is not in it has none. `elsewhere` are digests of images that other
        runs of the store hold too, by these runs: what was said there counts. `formats` come besides Parquet (see
        `dataset_exports.FORMATS`); exports of an earlier build that are not requested again are removed. With
        `is_incremental`, parts that the last build left in the folder are reused where no run changed. `progress`
        counts the runs that must be read.

        Raises:
            ConfigError: there is no such format.
            WriteFailed: the disk would not take it; a dataset that was there is unharmed.
        """
        with garbage_collection.paused():
            with self._start_signatures() as wait_for_signatures:
                from stablenew.learning.dataset.build import DatasetBuild  # noqa: PLC0415  # meanwhile the signatures are taken

                build = DatasetBuild(
                    Path(folder),
                    self._source,
                    self._executor,
                    self._clock,
                    query=query,
                    images=images,
                    elsewhere=elsewhere,
                    split=split or SplitPlan(),
                    formats=formats,
                    is_incremental=is_incremental,
                )
                signatures = wait_for_signatures()
            return build.run(signatures, run_ids, progress)

    def _start_signatures(self) -> AbstractContextManager[Callable[[], Mapping[str, int]]]:
        """Start taking the signatures of all run folders in a child process, if there is much to import meanwhile."""
        if isinstance(self._source, LocalSource) and _BUILD not in sys.modules and worker_pool.is_available():
            return start_scan(self._source.location)
        return contextlib.nullcontext(self._source.signatures)


def _open(runs: "RunStore | RunSource | Path | str") -> RunSource:
    place = runs if isinstance(runs, (str, Path)) else getattr(runs, "root", None)
    return cast("RunSource", runs) if place is None else open_source(str(place))
