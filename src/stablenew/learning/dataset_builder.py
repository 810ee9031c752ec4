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
from stablenew.learning.dataset_folder import BUILD, IMAGES, LEDGER, PREFERENCES, RUNS, is_file_of_ours, ties_name
from stablenew.learning.dataset_split import SplitPlan
from stablenew.learning.dataset_state import BuildState, cut_stretches, describe_purpose, read_state, write_state
from stablenew.learning.ledger_builder import BuildFacts, build_ledger
from stablenew.learning.part_engine import LocalEngine, PartEngine
from stablenew.learning.part_maker import encode_parquet
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
        asked_at = format_timestamp(self._clock.now())
        target, plan = Path(folder), split or SplitPlan()
        for name in (IMAGES, BUILD):
            (target / name).mkdir(parents=True, exist_ok=True)
        signatures = self._source.signatures()
        wanted = sorted(signatures if run_ids is None else signatures.keys() & set(run_ids))
        purpose = describe_purpose(self._source.location, plan)
        assembly = Assembly(target, read_state(target, purpose) if is_incremental else BuildState())
        self._add_parts(assembly, cut_stretches(wanted), signatures, plan, progress)
        assembly.settle_splits()
        runs = pa.concat_tables([assembly.runs, _describe_unselected(sorted(signatures.keys() - set(wanted)))])
        files = [
            *assembly.files,
            _write_table(target, PREFERENCES, "preferences", assembly.preferences),
            _write_table(target, RUNS, "runs", runs),
        ]
        parts = [one.path for one in assembly.files]
        exports = [write_export(name, target, parts, self._source) for name in wanted_exports]
        ledger = build_ledger(
            self._facts(query, asked_at, plan),
            runs,
            assembly.splits,
            [*assembly.problems, *(problem for one in exports for problem in one.problems)],
            [*files, *(file for one in exports for file in one.files)],
            [describe_export(one) for one in exports],
        )
        old_files = _files_of_last_build(target)
        replace_cached(target / LEDGER, lambda file: file.write(ledger.encode_document()))
        write_state(target, purpose, BuildState(assembly.stretches, dict(signatures), assembly.problems))
        _remove_stale(target, assembly, old_files - {one.path for one in ledger.files})
        return ledger

    def _add_parts(
        self,
        assembly: Assembly,
        stretches: Sequence[list[str]],
        signatures: Mapping[str, int],
        plan: SplitPlan,
        progress: Progress,
    ) -> None:
        """Take over the parts that still hold, and make the others."""
        recalled = [assembly.recall(run_ids, signatures) for run_ids in stretches]
        missing = [run_ids for run_ids, known in zip(stretches, recalled, strict=True) if known is None]
        made = self._engine.iter_parts(self._source, missing, plan) if missing else iter(())
        done, total = 0, sum(map(len, missing))
        progress(done, total)
        for run_ids, known in zip(stretches, recalled, strict=True):
            if known is not None:
                assembly.take_over(known)
                continue
            assembly.add(run_ids, next(made))
            done += len(run_ids)
            progress(done, total)

    def _facts(self, query: str, asked_at: str, plan: SplitPlan) -> BuildFacts:
        from stablenew import __version__  # noqa: PLC0415

        built_at = format_timestamp(self._clock.now())
        return BuildFacts(__version__, self._source.location, query, asked_at, built_at, plan)


def _describe_unselected(run_ids: list[str]) -> pa.Table:
    rows = [{"run_id": run_id, "left_out": UNSELECTED, "detail": REASONS[UNSELECTED]} for run_id in run_ids]
    return pa.Table.from_pylist(rows, schema=RUNS_SCHEMA)


def _write_table(folder: Path, name: str, content: str, table: pa.Table) -> DatasetFile:
    data = encode_parquet(table)
    replace_cached(folder / name, lambda file: file.write(data))
    return DatasetFile(
        path=name, content=content, row_count=len(table), size_bytes=len(data), digest=digest_bytes(data)
    )


def _files_of_last_build(folder: Path) -> set[str]:
    try:
        return {one.path for one in DatasetLedger.from_json((folder / LEDGER).read_bytes()).files}
    except (OSError, ValueError):
        return set()


def _remove_stale(folder: Path, assembly: Assembly, old_files: set[str]) -> None:
    """Remove what earlier builds left: files that their ledger named, and parts of builds that were stopped."""
    parts = {one.part for one in assembly.stretches}
    ties = {ties_name(one.run_ids[0], one.digest) for one in assembly.stretches}
    for kept, pattern in ((parts, f"{IMAGES}/*.parquet"), (ties, f"{BUILD}/*.ties.arrow")):
        old_files |= {path.relative_to(folder).as_posix() for path in folder.glob(pattern)} - kept
    for path in old_files:
        if is_file_of_ours(path):
            (folder / path).unlink(missing_ok=True)
