"""DatasetBuilder: walks run folders and joins records with feedback into one row an image.

The rows are kept in parts, a Parquet file for each stretch of runs. Another build into the same folder makes only those
parts anew whose runs changed. `dataset.json` is replaced last, so a build that is stopped leaves the old dataset whole.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from stablenew.formats.clock import SYSTEM_CLOCK, Clock, format_timestamp
from stablenew.formats.dataset_ledger import DatasetFile, DatasetLedger
from stablenew.formats.digest import digest_bytes
from stablenew.formats.feedback import FeedbackState
from stablenew.formats.learning_record import LearningRecord
from stablenew.formats.run_metadata import RunMetadata
from stablenew.learning.dataset_assembly import RUNS_SCHEMA, Assembly
from stablenew.learning.dataset_exports import check_formats, describe_export, write_export
from stablenew.learning.dataset_folder import (
    BUILD,
    IMAGES,
    LEDGER,
    PREFERENCES,
    RUNS,
    is_file_of_ours,
    table_name,
    ties_name,
)
from stablenew.learning.dataset_split import SplitPlan
from stablenew.learning.dataset_state import BuildState, cut_stretches, describe_purpose, read_state, write_state
from stablenew.learning.export_writer import Export
from stablenew.learning.ledger_builder import BuildFacts, build_ledger
from stablenew.learning.part_engine import LocalEngine, PartEngine
from stablenew.learning.part_maker import PartTask, encode_parquet
from stablenew.learning.remote_source import open_source
from stablenew.learning.run_source import REASONS, UNSELECTED, RunSource
from stablenew.store.atomic_file import replace_cached
from stablenew.store.feedback_log import FeedbackLog
from stablenew.store.run_store import RunStore

Progress = Callable[[int, int], object]
"""Is told how many runs are done, of how many."""


class CollectedRun(NamedTuple):
    """A run as the models have it."""

    metadata: RunMetadata
    records: list[LearningRecord]


class DatasetBuilder:
    """Makes a dataset of the runs in a store."""

    def __init__(
        self,
        runs: RunStore | RunSource | Path | str = "runs",
        *,
        engine: PartEngine | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        root = runs.root if isinstance(runs, RunStore) else runs
        self._source: RunSource = open_source(str(root)) if isinstance(root, (str, Path)) else root
        self._engine = engine or LocalEngine()
        self._clock = clock

    def collect_runs(self) -> Iterator[CollectedRun]:
        """Every sealed run of a local store, one after the other, as the models have it.

        What cannot be read is left out here; `build_learning_dataset` names it.
        """
        for run in RunStore(self._source.location).iter_runs():
            with contextlib.suppress(OSError, ValueError):
                if run.is_sealed:
                    yield CollectedRun(run.metadata, list(run.iter_records()))

    def collect_feedback(self) -> Iterator[tuple[str, FeedbackState]]:
        """What people think of each run of a local store that anybody spoke of, merged and folded."""
        for run in RunStore(self._source.location).iter_runs():
            reading = FeedbackLog(run.path).read()
            if reading.events:
                yield run.run_id, reading.build_document().state

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
    ) -> DatasetLedger:
        """Build the dataset into `folder` and return its ledger.

        `run_ids` are those that `query` found; None takes every run. `formats` names what else to write than Parquet
        (see `dataset_exports.FORMATS`); exports of an earlier build that are not asked for again go. With
        `is_incremental`, what a build into the same folder left is used again where no run changed. `progress` hears of
        the runs that have to be read.

        Raises:
            ConfigError: there is no such format.
            WriteFailed: the disk would not take it; a dataset that was there is unharmed.
        """
        wanted_exports = check_formats(formats)
        facts = BuildFacts(
            software_version=_software_version(),
            location=self._source.location,
            query=query,
            asked_at=format_timestamp(self._clock.now()),
            split=split or SplitPlan(),
        )
        target = Path(folder)
        for name in (IMAGES, BUILD):
            (target / name).mkdir(parents=True, exist_ok=True)
        signatures = self._source.signatures()
        wanted = sorted(signatures if run_ids is None else signatures.keys() & set(run_ids))
        purpose = describe_purpose(facts.location, facts.split)
        assembly = Assembly(target, read_state(target, purpose) if is_incremental else BuildState())
        self._add_parts(assembly, cut_stretches(wanted), signatures, facts.split, progress)
        assembly.settle_splits()
        unselected = sorted(signatures.keys() - set(wanted))
        publication = _Publication(facts, assembly, unselected, self._clock)
        looks = [signatures[run_id] for run_id in wanted]
        write_state(target, purpose, BuildState(assembly.stretches, looks, assembly.problems, publication.table_names))
        return publication.publish([write_export(name, target, self._source) for name in wanted_exports])

    def _add_parts(
        self,
        assembly: Assembly,
        stretches: Sequence[list[str]],
        signatures: Mapping[str, int],
        plan: SplitPlan,
        progress: Progress,
    ) -> None:
        """Take over the parts that still hold, and make the others."""
        found = [assembly.recall(run_ids, signatures) for run_ids in stretches]
        tasks = [one for one in found if isinstance(one, PartTask)]
        made = self._engine.iter_parts(self._source, tasks, plan) if tasks else iter(())
        done, total = 0, sum(task.read_count for task in tasks)
        progress(done, total)
        for one in found:
            if not isinstance(one, PartTask):
                assembly.take_over(one)
                continue
            assembly.add(one, next(made))
            done += one.read_count
            progress(done, total)


class _Publication:
    """The ledger of an assembled dataset: out first for the rows alone, then with the exports, which take longer.

    What is there under its final name is whole at every moment, whenever the build is stopped.
    """

    def __init__(self, facts: BuildFacts, assembly: Assembly, unselected: list[str], clock: Clock) -> None:
        self._facts = facts
        self._assembly = assembly
        self._folder = assembly.folder
        self._clock = clock
        self._runs = pa.concat_tables([assembly.runs, _describe_unselected(unselected)])
        self._old_files = _files_of_last_build(self._folder)
        tables = {PREFERENCES: assembly.preferences, RUNS: self._runs}
        self._tables = [_write_table(self._folder, kind, table) for kind, table in tables.items()]
        self._ledger = self._write_ledger(())

    @property
    def table_names(self) -> dict[str, str]:
        """Paths of the tables of runs and of preferences."""
        return {one.content: one.path for one in self._tables}

    def publish(self, exports: Sequence[Export]) -> DatasetLedger:
        """Name the exports too, and remove what earlier builds left."""
        ledger = self._write_ledger(exports) if exports else self._ledger
        _remove_stale(self._folder, self._assembly, {one.path for one in ledger.files}, self._old_files)
        return ledger

    def _write_ledger(self, exports: Sequence[Export]) -> DatasetLedger:
        ledger = build_ledger(
            self._facts,
            format_timestamp(self._clock.now()),
            self._runs,
            self._assembly.splits,
            [*self._assembly.problems, *(problem for one in exports for problem in one.problems)],
            [*self._assembly.files, *self._tables, *(file for one in exports for file in one.files)],
            [describe_export(one) for one in exports],
        )
        replace_cached(self._folder / LEDGER, ledger.encode_document())
        return ledger


def _software_version() -> str:
    from stablenew import __version__  # noqa: PLC0415

    return __version__


def _describe_unselected(run_ids: list[str]) -> pa.Table:
    rows = [{"run_id": run_id, "left_out": UNSELECTED, "detail": REASONS[UNSELECTED]} for run_id in run_ids]
    return pa.Table.from_pylist(rows, schema=RUNS_SCHEMA)


def _write_table(folder: Path, kind: str, table: pa.Table) -> DatasetFile:
    data = encode_parquet(table)
    digest = digest_bytes(data)
    name = table_name(kind, digest)
    replace_cached(folder / name, data)
    return DatasetFile(path=name, content=kind, row_count=len(table), size_bytes=len(data), digest=digest)


def _files_of_last_build(folder: Path) -> set[str]:
    try:
        return {one.path for one in DatasetLedger.from_json((folder / LEDGER).read_bytes()).files}
    except (OSError, ValueError):
        return set()


def _remove_stale(folder: Path, assembly: Assembly, kept: set[str], old_files: set[str]) -> None:
    """Remove what earlier builds left: files that their ledger named, and what builds left that were stopped."""
    ties = {ties_name(one.run_ids[0], one.digest) for one in assembly.stretches}
    for pattern in (f"{IMAGES}/*.parquet", f"{BUILD}/*.ties.arrow", f"{RUNS}.*.parquet", f"{PREFERENCES}.*.parquet"):
        old_files |= {path.relative_to(folder).as_posix() for path in folder.glob(pattern)}
    for path in old_files - kept - ties:
        if is_file_of_ours(path):
            (folder / path).unlink(missing_ok=True)
