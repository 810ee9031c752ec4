"""One build of a dataset: which parts of the last build are reused, which are made again, and what is written when.

`DatasetBuilder` is the public door and quick to import; this module imports Arrow and everything that builds. While it
is being imported, another process already takes the signatures of the run folders (see `DatasetBuilder`).
`dataset.json` is replaced last, so a build that is stopped leaves the old dataset whole.
"""

import contextlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from stablenew.disk.atomic_file import naming_failures, replace_file, sync_files
from stablenew.formats.clock import Clock, format_timestamp
from stablenew.formats.documents.dataset_ledger import DatasetFile, DatasetLedger
from stablenew.learning.dataset.assembly import Assembly
from stablenew.learning.dataset.card import CARD, build_card, is_our_card
from stablenew.learning.dataset.exports.dataset_exports import check_formats, describe_export, write_export
from stablenew.learning.dataset.exports.export_writer import Export
from stablenew.learning.dataset.last_build import LastBuild
from stablenew.learning.dataset.ledger_builder import BuildFacts, build_ledger
from stablenew.learning.dataset.parts.executor import PartExecutor, Progress
from stablenew.learning.dataset.parts.joining import left_out_runs
from stablenew.learning.dataset.parts.part_maker import PartTask
from stablenew.learning.dataset.source.run_source import REASONS, UNSELECTED, LeftOut, RunSource
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import (
    BUILD,
    IMAGES,
    LEDGER,
    PREFERENCES,
    RUNS,
    BuildState,
    cut_run_ranges,
    describe_purpose,
    is_file_of_ours,
    read_state,
    ties_name,
    write_state,
)
from stablenew.learning.dataset.tables import RunTableWriter, write_preferences


class DatasetBuild:
    """A build into `folder`, which may hold an earlier one."""

    def __init__(
        self,
        folder: Path,
        source: RunSource,
        executor: PartExecutor,
        clock: Clock,
        *,
        query: str,
        images: Mapping[str, Sequence[str]] | None = None,
        elsewhere: Mapping[str, Sequence[str]] | None = None,
        split: SplitPlan,
        formats: Sequence[str],
        is_incremental: bool,
    ) -> None:
        """Prepare the build, and read what the last one left.

        Raises:
            ConfigError: there is no such format.
        """
        self._folder = folder
        self._source = source
        self._executor = executor
        self._clock = clock
        self._exports = check_formats(formats) if formats else []
        location = _to_text(source.location)
        self._facts = BuildFacts(_software_version(), location, query, format_timestamp(clock.now()), split)
        self._purpose = describe_purpose(location, split, images)
        before = LastBuild(folder, read_state(folder, self._purpose) if is_incremental else BuildState())
        self._assembly = Assembly(folder, before, images, _runs_by_image(elsewhere or {}))
        before.read_tables()

    def run(self, signatures: Mapping[str, int], run_ids: Collection[str] | None, progress: Progress) -> DatasetLedger:
        """Build the dataset of the runs `run_ids` (None: all), and return its ledger.

        `signatures` are those of every run folder of the source.

        Raises:
            WriteFailed: the disk would not take it; a dataset that was there is unharmed.
        """
        _make_folders(self._folder)
        wanted = sorted(signatures if run_ids is None else signatures.keys() & set(run_ids))
        wanted_signatures = [signatures[run_id] for run_id in wanted]
        assembly = self._assembly
        with ThreadPoolExecutor(1) as thread:
            run_table = RunTableWriter(thread)
            self._add_parts(wanted, wanted_signatures, run_table, progress)
            unselected = sorted(signatures.keys() - set(wanted)) if len(wanted) < len(signatures) else []
            left_out = left_out_runs([LeftOut(run_id, UNSELECTED, REASONS[UNSELECTED]) for run_id in unselected])
            run_table.add(left_out)
            assembly.settle(self._facts.split, self._source)
            table, digest = run_table.write(self._folder, self._facts.split, assembly.heard)
        tables = [write_preferences(self._folder, assembly.preferences), table]
        runs = pa.concat_tables([assembly.runs, left_out])
        publication = _Publication(self._facts, assembly, runs, digest, tables, self._clock)
        splits = np.concatenate([np.empty(0, np.int8), *assembly.splits])
        state = BuildState(
            assembly.run_ranges,
            wanted_signatures,
            assembly.problems,
            publication.table_names,
            splits,
            assembly.copies,
            assembly.elsewhere_digest,
        )
        write_state(self._folder, self._purpose, state)
        return publication.publish([write_export(name, self._folder, self._source) for name in self._exports])

    def _add_parts(
        self, run_ids: list[str], signatures: list[int], run_table: RunTableWriter, progress: Progress
    ) -> None:
        """Reuse the parts of the last build that still hold, and make the others."""
        assembly = self._assembly
        rest = iter(signatures)
        found = [assembly.find_part(ids, list(islice(rest, len(ids)))) for ids in cut_run_ranges(run_ids)]
        tasks = [part for part in found if isinstance(part, PartTask)]
        made = self._executor.iter_parts(self._source, tasks, self._facts.split) if tasks else iter(())
        done, total = 0, sum(task.read_count for task in tasks)
        progress(done, total)
        for part in found:
            if not isinstance(part, PartTask):
                run_table.add(assembly.reuse(part))
                continue
            run_table.add(assembly.add(part, next(made)))
            done += part.read_count
            progress(done, total)


class _Publication:
    """The ledger of an assembled dataset: written first for the rows alone, then with the exports, which take longer.

    Whenever the build is stopped, also by a power cut, every file that the ledger names is whole: files are on the disk
    before a ledger names them, and the ledger is before the files of the last build are removed.
    """

    def __init__(
        self,
        facts: BuildFacts,
        assembly: Assembly,
        runs: pa.Table,
        digest: str,
        tables: Sequence[DatasetFile],
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._assembly = assembly
        self._folder = assembly.folder
        self._clock = clock
        self._runs = runs
        self._digest = digest
        self._tables = tables
        self._old_files = _files_of_last_build(self._folder)
        self._sync([*assembly.written, *(table.path for table in tables)])
        self._ledger = self._write_ledger(())

    @property
    def table_names(self) -> dict[str, str]:
        """Paths of the tables of runs and of preferences, by what they hold."""
        return {file.content: file.path for file in self._tables}

    def publish(self, exports: Sequence[Export]) -> DatasetLedger:
        """Add the exports to the ledger, and remove the files of earlier builds."""
        self._sync([file.path for export in exports for file in export.files])
        ledger = self._write_ledger(exports) if exports else self._ledger
        _remove_stale(self._folder, self._assembly, {file.path for file in ledger.files}, self._old_files)
        return ledger

    def _write_ledger(self, exports: Sequence[Export]) -> DatasetLedger:
        files = [*self._assembly.files, *self._tables, *(file for export in exports for file in export.files)]
        ledger = build_ledger(
            self._facts,
            format_timestamp(self._clock.now()),
            self._runs,
            self._digest,
            self._assembly.splits,
            [*self._assembly.problems, *(problem for export in exports for problem in export.problems)],
            files,
            [describe_export(export) for export in exports],
            self._assembly.own_columns,
            rated_count=sum(run_range.rated_count for run_range in self._assembly.run_ranges),
        )
        _write_card(self._folder, ledger)
        replace_file(self._folder / LEDGER, ledger.encode_document())
        return ledger

    def _sync(self, paths: Sequence[str]) -> None:
        """Wait until these files, and their names, are on the disk."""
        files = [self._folder / path for path in paths]
        folders = {
            self._folder,
            *(parent for file in files for parent in file.parents if self._folder in parent.parents),
        }
        sync_files(files, sorted(folders))


def _runs_by_image(images: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for run_id, digests in images.items():
        for digest in digests:
            found[digest].add(run_id)
    return found


def _make_folders(folder: Path) -> None:
    """Make the folders of a dataset; those above it that are new are on the disk afterwards."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for path in (folder / IMAGES, folder / BUILD):
        with naming_failures(path):
            path.mkdir(parents=True, exist_ok=True)
    sync_files([], [parent.parent for parent in reversed(missing)])


def _write_card(folder: Path, ledger: DatasetLedger) -> None:
    """Write the dataset's README, unless somebody put one of their own there."""
    path = folder / CARD
    with contextlib.suppress(OSError):
        if not is_our_card(path.read_bytes()):
            return
    replace_file(path, build_card(ledger))


def _to_text(location: str) -> str:
    """A location as JSON can hold it: names of files need not be Unicode."""
    return location.encode("utf-8", "backslashreplace").decode()


def _software_version() -> str:
    from stablenew import __version__  # noqa: PLC0415

    return __version__


def _files_of_last_build(folder: Path) -> set[str]:
    try:
        return {file.path for file in DatasetLedger.from_json((folder / LEDGER).read_bytes()).files}
    except (OSError, ValueError):
        return set()


def _remove_stale(folder: Path, assembly: Assembly, kept: set[str], old_files: set[str]) -> None:
    """Remove files that the last build's ledger named, and files of builds that were stopped."""
    ties = {ties_name(run_range.run_ids[0], run_range.digest) for run_range in assembly.run_ranges}
    for pattern in (f"{IMAGES}/*.parquet", f"{BUILD}/*.ties.arrow", f"{RUNS}.*.parquet", f"{PREFERENCES}.*.parquet"):
        old_files |= {path.relative_to(folder).as_posix() for path in folder.glob(pattern)}
    for path in old_files - kept - ties:
        if is_file_of_ours(path):
            (folder / path).unlink(missing_ok=True)
