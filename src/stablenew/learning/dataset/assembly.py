"""Putting a dataset together from parts: those that were just made, and those of the last build that still hold."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.disk.atomic_file import replace_cached
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile
from stablenew.learning.dataset.columns import (
    COLUMNS_VERSION,
    COPIES_SCHEMA,
    IMAGES_SCHEMA,
    PREFERENCES_SCHEMA,
    RUNS_SCHEMA,
    Column,
    whole,
)
from stablenew.learning.dataset.last_build import NOTHING_KEPT, AssembledPart, LastBuild, digest_held
from stablenew.learning.dataset.ledger_builder import text_of_joined
from stablenew.learning.dataset.own_columns import add_own_columns, choose_own_columns, merge_kinds
from stablenew.learning.dataset.parts.part_maker import (
    MadePart,
    PartTask,
    count_rated,
    encode_parquet,
    set_splits,
)
from stablenew.learning.dataset.row_changes import replace_column, replace_rows
from stablenew.learning.dataset.source.copies import (
    PLACE_COLUMNS,
    Place,
    SharedFeedback,
    SharedOpinions,
    build_copies,
    find_pairs,
    find_repeated,
    places_by_part,
)
from stablenew.learning.dataset.source.run_source import Problem, RunSource
from stablenew.learning.dataset.split import TYING_COLUMNS, SplitTies, build_ties, name_splits, resolve_splits
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import (
    IMAGES,
    RunRange,
    part_name,
    read_arrow,
    read_parquet,
    ties_name,
    write_arrow,
)
from stablenew.worker_pool import processor_count

_TIES_SCHEMA: Final = pa.schema([("row", pa.int32()), ("key", pa.uint64())])
_SPLITS: Final = "splits"


@dataclass
class Assembly:
    """A dataset being put together. Parts are added in the order of their runs."""

    folder: Path
    before: LastBuild
    images: Mapping[str, Sequence[str]] | None = None
    """The digests of the images to take of each run; None takes all."""
    elsewhere: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    """The runs that are not in the dataset and hold images of it, by image: what was said there counts."""
    parts: list[AssembledPart] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """What could not be read."""
    own_columns: list[Column] = field(default_factory=list)
    """The columns of settings and metrics that only this dataset has; known once it is settled."""
    copies: pa.Table = field(default_factory=COPIES_SCHEMA.empty_table)
    """`COPIES_SCHEMA`: the images that have several places; known once it is settled."""
    heard: bytes = b""
    """What the runs `elsewhere` say of images of the dataset, equal where that is equal; known once it is settled."""
    written: list[str] = field(default_factory=list)
    """Paths of the parts that were written and are perhaps not on the disk yet."""

    @cached_property
    def elsewhere_digest(self) -> str:
        """Over the images that other runs hold, and these runs; empty for none."""
        lines = [f"{image} {' '.join(sorted(runs))}" for image, runs in sorted(self.elsewhere.items())]
        return digest_bytes("\n".join(lines).encode()) if lines else ""

    @property
    def run_ranges(self) -> list[RunRange]:
        """The runs of each part."""
        return [part.run_range for part in self.parts]

    @property
    def splits(self) -> list[npt.NDArray[np.int8]]:
        """The split of each image, an array a part."""
        return [part.splits for part in self.parts]

    @property
    def runs(self) -> pa.Table:
        """`RUNS_SCHEMA`, sorted by run id."""
        return pa.concat_tables([RUNS_SCHEMA.empty_table(), *(part.runs for part in self.parts)])

    @property
    def preferences(self) -> pa.Table:
        """`PREFERENCES_SCHEMA`: every comparison that was not retracted."""
        return pa.concat_tables([PREFERENCES_SCHEMA.empty_table(), *(part.preferences for part in self.parts)])

    @property
    def files(self) -> list[DatasetFile]:
        """The Parquet files that hold images."""
        return [
            DatasetFile(
                path=run_range.part,
                content=IMAGES,
                row_count=run_range.row_count,
                size_bytes=run_range.size_bytes,
                digest=run_range.file_digest,
            )
            for run_range in self.run_ranges
            if run_range.part
        ]

    def find_part(self, run_ids: list[str], signatures: list[int]) -> AssembledPart | PartTask:
        """The last build's part of exactly these runs, if their folders still have these signatures.

        Otherwise the task of making one, which names what of the last build can be used for it.
        """
        part = self.before.find_part(run_ids, signatures)
        if self.images is not None and isinstance(part, PartTask):
            wanted = [digest for run_id in run_ids for digest in self.images.get(run_id, ())]
            # opinions of images that were left out are in no old part, so feedback cannot be joined to it alone
            return replace(part, images=sorted(set(wanted)), known={})
        return part

    def reuse(self, part: AssembledPart) -> pa.Table:
        """Add a part of the last build. Returns its runs."""
        self.parts.append(part)
        self.problems += self.before.problems_of(part.run_range.run_ids)
        return part.runs

    def add(self, task: PartTask, made: MadePart) -> pa.Table:
        """Write and add a part that was just made. Returns its runs."""
        kept = self.before.keep_runs(task.run_ids, made.kept) if made.kept else NOTHING_KEPT
        compared = self._choose_comparisons(made.preferences)
        found = made.runs if compared is made.preferences else _count_comparisons(made.runs, compared)
        runs = _sort_by_run(pa.concat_tables([kept.runs, found]))
        run_range = RunRange(task.run_ids, digest_joined(runs), row_count=made.row_count, ties_digest=made.ties.digest)
        run_range.rated_count = made.rated_count
        run_range.own, run_range.own_columns = made.own, _describe(choose_own_columns(made.own))
        if made.row_count:
            self._write_part(run_range, made.data)
            self._write_ties(run_range, made.ties)
        preferences = _sort_by_run(pa.concat_tables([kept.preferences, compared]))
        self.parts.append(AssembledPart(run_range, runs, preferences, made.ties, is_made=True))
        problems = [*self.before.problems_of(kept.run_ids), *made.problems]
        self.problems += sorted(problems, key=lambda problem: problem.run_id)
        return runs

    def _choose_comparisons(self, preferences: pa.Table) -> pa.Table:
        """The comparisons of two images that are taken, in whatever parts they are."""
        if self.images is None:
            return preferences
        is_in = [pc.is_in(whole(preferences[name]), self._wanted) for name in ("winner", "loser")]
        return preferences.filter(pc.and_(*is_in))

    @cached_property
    def _wanted(self) -> pa.Array:
        return pa.array({digest for digests in (self.images or {}).values() for digest in digests}, pa.string())

    def settle(self, plan: SplitPlan, source: RunSource) -> None:
        """Give all parts the same columns, images their final splits, and all rows of one image the same feedback.

        Only the parts are written again in which that changes any row. Images that are tied to another split than
        their prompt's are held out. `source` has the feedback of the runs.
        """
        known = self.before.state.splits_of(self.run_ranges)
        self.copies = self.before.state.copies
        if known is None or self.before.state.elsewhere_digest != self.elsewhere_digest:
            for part in self.parts:
                part.ties = self._find_ties(part, plan)
            ties = [part.ties for part in self.parts if part.ties is not None]
            known = known or resolve_splits(ties)
            self.copies = self._find_copies([part_ties.own_keys for part_ties in ties])
        shared = self._share_feedback(source)
        self.own_columns = choose_own_columns(merge_kinds(run_range.own for run_range in self.run_ranges))
        described = _describe(self.own_columns)
        changed = []
        for number, (part, splits) in enumerate(zip(self.parts, known, strict=True)):
            part.splits = splits
            held_digest, run_range = digest_held(part), part.run_range
            is_other = (held_digest, described) != (run_range.held_digest, run_range.own_columns)
            if run_range.part and (is_other or number in shared):
                changed.append((part, held_digest, shared.get(number, ())))
        with ThreadPoolExecutor(processor_count()) as pool:  # Arrow releases the interpreter lock
            list(pool.map(self._rewrite, *zip(*changed, strict=True)))

    def _find_ties(self, part: AssembledPart, plan: SplitPlan) -> SplitTies:
        """What ties its images to others: just found, kept by the last build, or else found again in its file."""
        if part.ties is not None:
            return part.ties
        try:
            return self._read_ties(part.run_range)
        except (OSError, ValueError, LookupError):
            return build_ties(read_parquet(self.folder / part.run_range.part, TYING_COLUMNS), plan)

    def _find_copies(self, keys: Sequence[npt.NDArray[np.uint64]]) -> pa.Table:
        """The images that have several rows, given for each part the `own_keys` of its images."""
        rows = find_repeated(keys, self.elsewhere.keys())
        found_rows = (
            (number, found, self._read_places(part).take(pa.array(found)))
            for number, (part, found) in enumerate(zip(self.parts, rows, strict=True))
            if len(found)
        )
        return build_copies(found_rows, self.elsewhere.keys())

    def _read_places(self, part: AssembledPart) -> pa.Table:
        return read_parquet(self.folder / part.run_range.part, PLACE_COLUMNS)

    def _share_feedback(self, source: RunSource) -> dict[int, list[SharedFeedback]]:
        """For parts, by number, the feedback on images with several places that their rows do not hold yet."""
        opinions = SharedOpinions.of_copies(source, self.copies, self._feedback_digests(), self.elsewhere)
        self.heard = opinions.heard(self.elsewhere)
        places = places_by_part(self.copies)
        parted = find_pairs(self.before.state.copies) - find_pairs(self.copies)
        found = {}
        for number, part in enumerate(self.parts):
            run_range, here = part.run_range, places.get(number, [])
            shared_by = opinions.digest(here)
            if not part.is_made and shared_by == run_range.shared_by:
                continue
            run_range.shared_by = shared_by
            feedback = [opinions.build(here), opinions.build(self._find_parted(part, parted))]
            is_other = part.is_made or feedback[0].digest != run_range.shared_digest
            if is_other and any(len(some.rows) for some in feedback):
                found[number] = feedback
            run_range.shared_digest = feedback[0].digest
        return found

    def _feedback_digests(self) -> dict[str, str]:
        """The digest of the feedback of each run that has any and an image with several places."""
        runs = self.runs if len(self.copies) else RUNS_SCHEMA.empty_table()
        is_concerned = pc.is_in(runs["run_id"], whole(self.copies["run_id"]))
        said = runs.filter(pc.and_(is_concerned, pc.greater(pc.fill_null(runs["event_count"], 0), 0)))
        return dict(zip(said["run_id"].to_pylist(), said["feedback_digest"].to_pylist(), strict=True))

    def _find_parted(self, part: AssembledPart, parted: AbstractSet[tuple[str, str]]) -> list[Place]:
        """The rows of a part whose images had several rows in the last build, and have one now."""
        if not part.run_range.part or not {run_id for run_id, _ in parted}.intersection(part.run_range.run_ids):
            return []
        pairs = zip(*(column.to_pylist() for column in self._read_places(part).columns), strict=True)
        return [Place(row, *pair) for row, pair in enumerate(pairs) if pair in parted]

    def _rewrite(self, part: AssembledPart, held_digest: str, shared: Sequence[SharedFeedback]) -> None:
        """Write a part again with the columns of the whole dataset, its final splits and the feedback of all runs."""
        run_range = part.run_range
        images = read_parquet(self.folder / run_range.part, schema=IMAGES_SCHEMA)
        for feedback in shared:
            images = replace_rows(images, feedback.rows, feedback.columns)
        run_range.rated_count = count_rated(images)
        images = add_own_columns(set_splits(images, name_splits(part.splits)), self.own_columns)
        run_range.held_digest, run_range.own_columns = held_digest, _describe(self.own_columns)
        self._write_part(run_range, encode_parquet(images))

    def _write_part(self, run_range: RunRange, data: bytes) -> None:
        path = part_name(run_range.run_ids[0], _digest_part(run_range))
        replace_cached(self.folder / path, data)
        self.written.append(path)
        run_range.part, run_range.size_bytes, run_range.file_digest = path, len(data), digest_bytes(data)

    def _write_ties(self, run_range: RunRange, ties: SplitTies) -> None:
        table = pa.table([ties.rows, ties.keys], schema=_TIES_SCHEMA)
        table = table.replace_schema_metadata({_SPLITS: ties.splits.tobytes().hex()})
        write_arrow(self.folder / ties_name(run_range.run_ids[0], run_range.digest), table)

    def _read_ties(self, run_range: RunRange) -> SplitTies:
        if not run_range.part:
            return SplitTies(np.empty(0, np.int8), np.empty(0, np.int32), np.empty(0, np.uint64))
        table = read_arrow(self.folder / ties_name(run_range.run_ids[0], run_range.digest))
        splits = np.frombuffer(bytes.fromhex(table.schema.metadata[_SPLITS.encode()].decode()), np.int8)
        if len(splits) != run_range.row_count:
            raise ValueError(f"{run_range.part}: expected ties of {run_range.row_count} images, found {len(splits)}")
        return SplitTies(splits, table["row"].to_numpy(), table["key"].to_numpy())


def _count_comparisons(runs: pa.Table, preferences: pa.Table) -> pa.Table:
    counts = Counter(preferences["run_id"].to_pylist())
    numbers = [counts[run_id] for run_id in runs["run_id"].to_pylist()]
    is_joined = pc.is_null(runs["left_out"]).to_pylist()
    values = [number if joined else None for number, joined in zip(numbers, is_joined, strict=True)]
    return replace_column(runs, "preference_count", values)


def _describe(columns: Iterable[Column]) -> list[str]:
    return [f"{column.name} {column.type}" for column in columns]


def _digest_part(run_range: RunRange) -> str:
    """A digest over everything that the file of a part depends on, so that another content has another name."""
    facts = [run_range.digest, run_range.held_digest, run_range.shared_digest, *run_range.own_columns]
    return digest_bytes("\n".join(facts).encode()) if any(facts[1:]) else run_range.digest


def _sort_by_run(table: pa.Table) -> pa.Table:
    """Sorted by run id; the rows of each run keep their order."""
    table = table.combine_chunks()
    return table.take(pc.sort_indices(table["run_id"]))


def digest_joined(runs: pa.Table) -> str:
    """A digest of the records and the feedback of those of `runs` that are joined: equal for equal rows."""
    return digest_bytes(b"columns %d" % COLUMNS_VERSION + text_of_joined(runs))
