"""Putting a dataset together from parts: those that were just made, and those of the last build that still hold."""

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import parquet as pq

from stablenew.disk.atomic_file import replace_cached
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile
from stablenew.learning.dataset.columns import COLUMNS_VERSION, PREFERENCES_SCHEMA, RUNS_SCHEMA
from stablenew.learning.dataset.ledger_builder import text_of_joined
from stablenew.learning.dataset.part_maker import MadePart, PartTask, encode_parquet, set_splits
from stablenew.learning.dataset.source.run_tables import Problem
from stablenew.learning.dataset.split import TYING_COLUMNS, SplitTies, build_ties, name_splits, resolve_splits
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import (
    IMAGES,
    PREFERENCES,
    RUNS,
    BuildState,
    Stretch,
    part_name,
    ties_name,
    write_arrow,
)
from stablenew.worker_pool import processor_count

_TIES_SCHEMA: Final = pa.schema([("row", pa.int32()), ("key", pa.uint64())])
_SPLITS: Final = "splits"
_FEWEST_KEPT: Final = 0.1
"""The share of a stretch that must be the same, at least but for feedback, for its old part to be of use."""


class Recalled(NamedTuple):
    """A part of the last build that still holds."""

    stretch: Stretch
    runs: pa.Table
    preferences: pa.Table


class Kept(NamedTuple):
    """What still holds of a part of the last build."""

    run_ids: list[str]
    runs: pa.Table
    preferences: pa.Table


_NOTHING_KEPT: Final = Kept([], RUNS_SCHEMA.empty_table(), PREFERENCES_SCHEMA.empty_table())


@dataclass
class Assembly:
    """A dataset under way. Parts are added in the order of their runs."""

    folder: Path
    before: BuildState
    stretches: list[Stretch] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    splits: list[npt.NDArray[np.int8]] = field(default_factory=list)
    """Of each stretch: the split of each image, -1 where it is held out; there once they are settled."""
    _ties: list[SplitTies | None] = field(default_factory=list)
    """Of each stretch: what ties its images to others; None where the last build left that in a file."""
    _runs: list[pa.Table] = field(default_factory=list)
    _preferences: list[pa.Table] = field(default_factory=list)
    _old: tuple[pa.Table, pa.Table, list[str]] | None = None

    def look_back(self) -> None:
        """Read the tables of the last build, if there are any, before they are asked for."""
        if self.before.stretches:
            with contextlib.suppress(OSError, ValueError, LookupError):  # then each stretch is made anew
                self._read_old()

    @property
    def runs(self) -> pa.Table:
        """`RUNS_SCHEMA`, sorted."""
        return pa.concat_tables([RUNS_SCHEMA.empty_table(), *self._runs])

    @property
    def preferences(self) -> pa.Table:
        """Every comparison that stands."""
        return pa.concat_tables([PREFERENCES_SCHEMA.empty_table(), *self._preferences])

    @property
    def files(self) -> list[DatasetFile]:
        """The parts that hold images."""
        return [
            DatasetFile(
                path=one.part,
                content=IMAGES,
                row_count=one.row_count,
                size_bytes=one.size_bytes,
                digest=one.file_digest,
            )
            for one in self.stretches
            if one.part
        ]

    def add(self, task: PartTask, made: MadePart) -> pa.Table:
        """Take in a part that was just made. Returns its runs."""
        kept = self._keep_runs(task.run_ids, made.kept) if made.kept else _NOTHING_KEPT
        runs = _by_run(pa.concat_tables([kept.runs, made.runs]))
        stretch = Stretch(task.run_ids, digest_joined(runs), row_count=made.row_count, ties_digest=made.ties.digest)
        if made.row_count:
            self._keep(stretch, made.data, part_name(stretch.run_ids[0], stretch.digest))
            self._keep_ties(stretch, made.ties)
        self.stretches.append(stretch)
        self.problems += sorted([*self._old_problems(kept.run_ids), *made.problems], key=lambda one: one.run_id)
        self._ties.append(made.ties)
        self._runs.append(runs)
        self._preferences.append(_by_run(pa.concat_tables([kept.preferences, made.preferences])))
        return runs

    def recall(self, run_ids: list[str], looks: list[int]) -> Recalled | PartTask:
        """What the last build made of exactly these runs (with their signatures), if none changed since.

        Else what is to be made, with what of the last build is of use for it.
        """
        stretch = self.before.find(run_ids)
        if stretch is None:
            return PartTask(run_ids)
        kept = self.before.unchanged(stretch, run_ids, looks)
        try:
            tables = self._old_tables(stretch)
            if kept == run_ids == stretch.run_ids:
                return Recalled(stretch, *tables)
        except (OSError, ValueError, LookupError):
            return PartTask(run_ids)
        known = self._known(tables[0], run_ids, kept)
        if not stretch.part or len(kept) + len(known) < _FEWEST_KEPT * len(run_ids):
            return PartTask(run_ids)
        return PartTask(run_ids, kept, str((self.folder / stretch.part).absolute()), stretch.file_digest, known)

    def _known(self, runs: pa.Table, run_ids: Iterable[str], kept: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Digest and number of records of the runs that changed, as the last build read them without a problem."""
        changed = pa.array(set(run_ids).difference(kept, self._troubled), pa.string())
        joined = runs.filter(pc.and_(pc.is_in(runs["run_id"], changed), pc.is_null(runs["left_out"])))
        names, digests, counts = (joined[name].to_pylist() for name in ("run_id", "digest", "record_count"))
        return dict(zip(names, zip(digests, counts, strict=True), strict=True))

    @cached_property
    def _troubled(self) -> set[str]:
        """The runs of which something could not be read."""
        return {one.run_id for one in self.before.problems}

    def _keep_runs(self, run_ids: Sequence[str], kept: list[str]) -> Kept:
        """What the last build's tables say of runs that a new part takes over."""
        stretch = self.before.find(run_ids)
        assert stretch is not None  # noqa: S101  # `recall` found it
        wanted = pa.array(kept, pa.string())
        return Kept(kept, *(one.filter(pc.is_in(one["run_id"], wanted)) for one in self._old_tables(stretch)))

    def _old_problems(self, run_ids: Iterable[str]) -> list[Problem]:
        known = set(run_ids)
        return [one for one in self.before.problems if one.run_id in known]

    def take_over(self, recalled: "Recalled") -> pa.Table:
        """Use a part of the last build again. Returns its runs."""
        self.stretches.append(recalled.stretch)
        self._ties.append(None)
        self._runs.append(recalled.runs)
        self._preferences.append(recalled.preferences)
        self.problems += self._old_problems(recalled.stretch.run_ids)
        return recalled.runs

    def settle_splits(self, plan: SplitPlan) -> None:
        """Hold images out that ties to other parts forbid, and write those parts again in which that changes one."""
        known = self.before.splits_of(self.stretches)
        if known is None:
            self._ties = [self._find_ties(*one, plan) for one in zip(self.stretches, self._ties, strict=True)]
        self.splits = known if known is not None else resolve_splits([one for one in self._ties if one is not None])
        changed = []
        for stretch, ties, splits in zip(self.stretches, self._ties, self.splits, strict=True):
            if ties is None:  # then nothing changed
                continue
            held = np.flatnonzero(splits != ties.splits)
            held_digest = digest_bytes(held.astype("<i8").tobytes()) if len(held) else ""
            if held_digest != stretch.held_digest:
                changed.append((stretch, splits, held_digest))
        with ThreadPoolExecutor(processor_count()) as pool:  # Arrow leaves the interpreter free
            list(pool.map(self._write_splits, *zip(*changed, strict=True)))

    def _find_ties(self, stretch: Stretch, made: SplitTies | None, plan: SplitPlan) -> SplitTies:
        """The ties of a stretch: just made, left by the last build, or else those of the images in its part."""
        if made is not None:
            return made
        try:
            return self._read_ties(stretch)
        except (OSError, ValueError, LookupError):
            return build_ties(pq.read_table(self.folder / stretch.part, columns=TYING_COLUMNS), plan)

    def _write_splits(self, stretch: Stretch, splits: npt.NDArray[np.int8], held_digest: str) -> None:
        images = pq.read_table(self.folder / stretch.part)
        data = encode_parquet(set_splits(images, name_splits(splits)))
        digest = digest_bytes(f"{stretch.digest} {held_digest}".encode()) if held_digest else stretch.digest
        self._keep(stretch, data, part_name(stretch.run_ids[0], digest))
        stretch.held_digest = held_digest

    def _keep(self, stretch: Stretch, data: bytes, path: str) -> None:
        replace_cached(self.folder / path, data)
        stretch.part, stretch.size_bytes, stretch.file_digest = path, len(data), digest_bytes(data)

    def _keep_ties(self, stretch: Stretch, ties: SplitTies) -> None:
        table = pa.table([ties.rows, ties.keys], schema=_TIES_SCHEMA)
        table = table.replace_schema_metadata({_SPLITS: ties.splits.tobytes().hex()})
        write_arrow(self.folder / ties_name(stretch.run_ids[0], stretch.digest), table)

    def _read_ties(self, stretch: Stretch) -> SplitTies:
        if not stretch.part:
            return SplitTies(np.empty(0, np.int8), np.empty(0, np.int32), np.empty(0, np.uint64))
        with pa.memory_map(str(self.folder / ties_name(stretch.run_ids[0], stretch.digest))) as file:
            table = pa.ipc.open_file(file).read_all()
        splits = np.frombuffer(bytes.fromhex(table.schema.metadata[_SPLITS.encode()].decode()), np.int8)
        if len(splits) != stretch.row_count:
            raise ValueError(f"{stretch.part}: expected ties of {stretch.row_count} images, found {len(splits)}")
        return SplitTies(splits, table["row"].to_numpy(), table["key"].to_numpy())

    def _old_tables(self, stretch: Stretch) -> tuple[pa.Table, pa.Table]:
        """What the last build had in its tables about these runs."""
        runs, preferences, compared = self._old or self._read_old()
        found = runs.slice(stretch.first_row, len(stretch.run_ids))
        if found["run_id"][0].as_py() != stretch.run_ids[0] or found["run_id"][-1].as_py() != stretch.run_ids[-1]:
            raise ValueError("the table of runs is not that of the last build")
        first = bisect_left(compared, stretch.run_ids[0])
        return found, preferences.slice(first, bisect_right(compared, stretch.run_ids[-1]) - first)

    def _read_old(self) -> tuple[pa.Table, pa.Table, list[str]]:
        runs = pq.read_table(self.folder / self.before.tables[RUNS], schema=RUNS_SCHEMA)
        preferences = pq.read_table(self.folder / self.before.tables[PREFERENCES], schema=PREFERENCES_SCHEMA)
        self._old = runs, preferences, preferences["run_id"].to_pylist()
        return self._old


def _by_run(table: pa.Table) -> pa.Table:
    """Rows of whole runs in the order of their runs."""
    table = table.combine_chunks()
    return table.take(pc.sort_indices(table["run_id"]))


def digest_joined(runs: pa.Table) -> str:
    """The digest of the facts and the feedback of the joined ones of these runs: equal for equal rows."""
    return digest_bytes(b"columns %d" % COLUMNS_VERSION + text_of_joined(runs))
