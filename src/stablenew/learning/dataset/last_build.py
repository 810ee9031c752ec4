"""LastBuild: the dataset as the last build left it, and what of it still holds."""

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.digest import digest_bytes
from stablenew.learning.dataset.columns import PREFERENCES_SCHEMA, RUNS_SCHEMA
from stablenew.learning.dataset.parts.part_maker import PartTask
from stablenew.learning.dataset.source.run_source import Problem
from stablenew.learning.dataset.split import SplitTies
from stablenew.learning.dataset.state import PREFERENCES, RUNS, BuildState, RunRange, read_parquet
from stablenew.store.run_folder import RECORDS

_LEAST_KEPT: Final = 0.1
"""The share of a range's runs that must be unchanged, apart from feedback, for its old part to be worth reading."""


@dataclass
class AssembledPart:
    """One part of the dataset, with everything that is needed to publish it."""

    run_range: RunRange
    runs: pa.Table
    """`RUNS_SCHEMA`: what became of each run of the range."""
    preferences: pa.Table
    """`PREFERENCES_SCHEMA`: the comparisons in those runs."""
    ties: SplitTies | None = None
    """What ties its images to others; None while the last build's file of them has not been read."""
    splits: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    """The split of each image, -1 where it is held out; empty until the splits are settled."""
    is_made: bool = False
    """Whether this build made it."""


def digest_held(part: AssembledPart) -> str:
    """A digest over which images are held out; empty for none."""
    if part.ties is None:  # the last build's splits still hold
        return part.run_range.held_digest
    held = np.flatnonzero(part.splits != part.ties.splits)
    return digest_bytes(held.astype("<i8").tobytes()) if len(held) else ""


class KeptRuns(NamedTuple):
    """What the last build's tables say of the runs that a new part takes over."""

    run_ids: list[str]
    runs: pa.Table
    preferences: pa.Table


NOTHING_KEPT: Final = KeptRuns([], RUNS_SCHEMA.empty_table(), PREFERENCES_SCHEMA.empty_table())


class LastBuild:
    """What the last build left in `folder`, as `state` describes it."""

    def __init__(self, folder: Path, state: BuildState) -> None:
        self._folder = folder
        self.state = state

    def read_tables(self) -> None:
        """Read its tables, if there are any, before they are needed."""
        if self.state.run_ranges:
            with contextlib.suppress(OSError, ValueError, LookupError):  # then every part is made again
                _ = self._tables

    def find_part(self, run_ids: list[str], signatures: list[int]) -> AssembledPart | PartTask:
        """The part of exactly these runs, if their folders still have these signatures; else the task of making one."""
        run_range = self.state.find(run_ids)
        if run_range is None:
            return PartTask(run_ids)
        kept = self.state.unchanged(run_range, run_ids, signatures)
        try:
            tables = self._tables_of(run_range)
            if kept == run_ids == run_range.run_ids:
                return AssembledPart(run_range, *tables)
        except (OSError, ValueError, LookupError):
            return PartTask(run_ids)
        known = self._find_known(tables[0], run_ids, kept)
        if not run_range.part or len(kept) + len(known) < _LEAST_KEPT * len(run_ids):
            return PartTask(run_ids)
        return PartTask(run_ids, kept, str((self._folder / run_range.part).absolute()), run_range.file_digest, known)

    def _find_known(self, runs: pa.Table, run_ids: Iterable[str], kept: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Digest and number of records of the runs that changed, if the last build read all of their records."""
        changed = pa.array(set(run_ids).difference(kept, self._runs_with_unread_records), pa.string())
        is_known = pc.and_(pc.is_null(runs["left_out"]), pc.is_null(runs["metrics_digest"]))
        joined = runs.filter(pc.and_(pc.is_in(runs["run_id"], changed), is_known))
        names, digests, counts = (joined[name].to_pylist() for name in ("run_id", "digest", "record_count"))
        return dict(zip(names, zip(digests, counts, strict=True), strict=True))

    @cached_property
    def _runs_with_unread_records(self) -> set[str]:
        """Runs whose records must be read again, so that the problems with them are reported again."""
        return {problem.run_id for problem in self.state.problems if problem.path == RECORDS}

    def keep_runs(self, run_ids: Sequence[str], kept: list[str]) -> KeptRuns:
        """What the tables say of the runs `kept`, out of those of one part."""
        run_range = self.state.find(run_ids)
        assert run_range is not None  # noqa: S101  # `find_part` found it
        wanted = pa.array(kept, pa.string())
        tables = self._tables_of(run_range)
        return KeptRuns(kept, *(table.filter(pc.is_in(table["run_id"], wanted)) for table in tables))

    def problems_of(self, run_ids: Iterable[str]) -> list[Problem]:
        """What could not be read of some runs."""
        known = set(run_ids)
        return [problem for problem in self.state.problems if problem.run_id in known]

    def _tables_of(self, run_range: RunRange) -> tuple[pa.Table, pa.Table]:
        """The rows of these runs in the tables of runs and of preferences."""
        runs, preferences, compared = self._tables
        found = runs.slice(run_range.first_row, len(run_range.run_ids))
        if found["run_id"][0].as_py() != run_range.run_ids[0] or found["run_id"][-1].as_py() != run_range.run_ids[-1]:
            raise ValueError("the table of runs is not that of the last build")
        first = bisect_left(compared, run_range.run_ids[0])
        return found, preferences.slice(first, bisect_right(compared, run_range.run_ids[-1]) - first)

    @cached_property
    def _tables(self) -> tuple[pa.Table, pa.Table, list[str]]:
        """The tables of runs and of preferences, and the run ids of the latter."""
        runs = read_parquet(self._folder / self.state.tables[RUNS], schema=RUNS_SCHEMA)
        preferences = read_parquet(self._folder / self.state.tables[PREFERENCES], schema=PREFERENCES_SCHEMA)
        return runs, preferences, preferences["run_id"].to_pylist()
