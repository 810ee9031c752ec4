"""Making one part of a dataset: the runs of a range, read, joined and encoded. It writes nothing and runs anywhere.

Where few of the runs changed, only those are read, and the rows of the others are copied from the last build's part.
Where only feedback was added to a run, its rows are copied too and only the feedback columns are computed again.
"""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import parquet as pq

from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import encode_json
from stablenew.learning.dataset.columns import COLUMNS, IMAGES_SCHEMA, whole
from stablenew.learning.dataset.own_columns import OwnKinds, add_own_columns, choose_own_columns, find_own_kinds
from stablenew.learning.dataset.parts.joining import DatasetPart, build_part, join_feedback
from stablenew.learning.dataset.row_changes import replace_column, replace_rows
from stablenew.learning.dataset.source.run_source import LeftOut, Problem, RunFiles, RunSource
from stablenew.learning.dataset.split import SplitTies, build_ties, name_splits
from stablenew.learning.dataset.split_plan import SplitPlan

_MEANINGS: Final = {column.name: column.meaning for column in COLUMNS}
_UNIQUE: Final = frozenset(
    {"image_id", "path", "pixel_digest", "parents", "started_at", "seed", "image_seed", "digest", "feedback_digest"}
)
"""Columns whose values hardly ever repeat: a dictionary of them would save nothing."""


@dataclass(frozen=True, slots=True)
class PartTask:
    """Which runs to make a part of."""

    run_ids: list[str]
    """All runs of the part, sorted."""
    kept: list[str] = field(default_factory=list)
    """The runs that did not change since the last build; their rows are in the old part."""
    old_part: str = ""
    """The path of the last build's part; empty when nothing is to be copied from it."""
    old_digest: str = ""
    """The digest of the old part's file."""
    known: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """Digest and number of records, in the old part, of runs that changed: perhaps only feedback was added."""

    images: list[str] | None = None
    """The digests of the images to take; None takes all."""

    @property
    def read_count(self) -> int:
        """How many runs must be read."""
        return len(self.run_ids) - len(self.kept)

    @property
    def changed(self) -> list[str]:
        """The runs that must be read."""
        kept = set(self.kept)
        return [run_id for run_id in self.run_ids if run_id not in kept]

    def knows(self, run: RunFiles | LeftOut) -> bool:
        """Whether the old part has the rows of exactly this sealed run, so that only its feedback must be joined."""
        if not isinstance(run, RunFiles) or run.metrics:
            return False
        return run.run_id in self.known and self.known[run.run_id][0] == run.digest

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON, for another process."""
        return {field.name: getattr(self, field.name) for field in dataclass_fields(self)}

    def without_old(self) -> "PartTask":
        """The same task without an old part: every run is read."""
        return PartTask(self.run_ids, images=self.images)


@dataclass
class MadePart:
    """A part, ready to be written."""

    data: bytes
    """The images as a Parquet file."""
    row_count: int
    """Images in it."""
    rated_count: int
    """Those of them that somebody rated."""
    ties: SplitTies
    """What ties its images to others."""
    own: OwnKinds
    """The settings and metrics in it that are not in the table of settings."""
    kept: list[str]
    """The runs whose rows were copied from the last build; `preferences`, `runs` and `problems` are of the others."""
    preferences: pa.Table
    """`PREFERENCES_SCHEMA`."""
    runs: pa.Table
    """`RUNS_SCHEMA`, in no order."""
    problems: list[Problem]
    """What could not be read."""


def make_part(source: RunSource, task: PartTask, plan: SplitPlan) -> MadePart:
    """Make the part that `task` describes; if the old part cannot be read, every run is read instead."""
    try:
        old = _read_old(task)
    except (OSError, ValueError):
        return make_part(source, task.without_old(), plan)
    found = [source.read(run_id) for run_id in task.changed]
    part = build_part(run for run in found if not task.knows(run))
    if task.images is not None:
        part = _choose_images(part, task.images)
    if old is not None:
        part = _add_old(part, old, task, [run for run in found if isinstance(run, RunFiles) and task.knows(run)])
    ties = build_ties(part.images, plan)
    own = find_own_kinds(part.images)
    images = add_own_columns(set_splits(part.images, name_splits(ties.splits)), choose_own_columns(own))
    return MadePart(
        data=encode_parquet(images),
        row_count=len(part.images),
        rated_count=count_rated(part.images),
        ties=ties,
        own=own,
        kept=task.kept,
        preferences=part.preferences,
        runs=part.runs,
        problems=part.problems,
    )


def _choose_images(part: DatasetPart, digests: Sequence[str]) -> DatasetPart:
    """The part with no other images than these. Its comparisons may be of images in other parts, and stay."""
    images = part.images.filter(pc.is_in(whole(part.images["image_id"]), pa.array(digests, pa.string())))
    return DatasetPart(images, part.preferences, _count_again(part.runs, images), part.problems)


def _count_again(runs: pa.Table, images: pa.Table) -> pa.Table:
    """The runs with the numbers of what is left of them, and a digest of which images that is."""
    digests: dict[str, list[str]] = {}
    for run_id, digest in zip(images["run_id"].to_pylist(), images["image_id"].to_pylist(), strict=True):
        digests.setdefault(run_id, []).append(digest)
    rated = Counter(images.filter(pc.is_valid(images["rating"]))["run_id"].to_pylist())
    run_ids, reasons = runs["run_id"].to_pylist(), runs["left_out"].to_pylist()
    columns: dict[str, list[Any]] = {
        "image_count": [len(digests.get(run_id, ())) for run_id in run_ids],
        "rated_image_count": [rated[run_id] for run_id in run_ids],
        "chosen_digest": [digest_bytes("\n".join(digests.get(run_id, ())).encode()) for run_id in run_ids],
    }
    for name, values in columns.items():
        kept = [None if reason is not None else value for value, reason in zip(values, reasons, strict=True)]
        runs = replace_column(runs, name, kept)
    return runs


def _read_old(task: PartTask) -> pa.Table | None:
    """The images of the old part, if there is one.

    Raises:
        OSError, ValueError: the old part is not what the last build wrote, and no row of it can be trusted.
    """
    if not task.old_part:
        return None
    data = Path(task.old_part).read_bytes()
    if digest_bytes(data) != task.old_digest:
        raise ValueError(f"{task.old_part} is not what the last build wrote")
    return pq.read_table(io.BytesIO(data), schema=IMAGES_SCHEMA)


def _add_old(part: DatasetPart, old: pa.Table, task: PartTask, same: Sequence[RunFiles]) -> DatasetPart:
    """`part` with the old rows of the kept runs, and of the runs `same`, whose feedback alone may have changed."""
    positions = _positions(old, [run.run_id for run in same])
    rows = np.flatnonzero(positions >= 0)
    record_counts = np.array([task.known[run.run_id][1] for run in same], np.int64)
    feedback = join_feedback(whole(old["image_id"]).take(pa.array(rows)), positions[rows], same, record_counts)
    images = replace_rows(old, rows, feedback.columns)
    is_here = (positions >= 0) | (_positions(old, task.kept) >= 0)
    return DatasetPart(
        images=_interleave(images if is_here.all() else images.filter(pa.array(is_here)), part.images, task.run_ids),
        preferences=pa.concat_tables([feedback.preferences, part.preferences]),
        runs=pa.concat_tables([feedback.runs, part.runs]),
        problems=[*feedback.problems, *part.problems],
    )


def _positions(images: pa.Table, run_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """For each image the position of its run in `run_ids`, -1 where it is not among them."""
    found = pc.fill_null(pc.index_in(whole(images["run_id"]), pa.array(run_ids, pa.string())), -1)
    positions: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return positions


def _interleave(old: pa.Table, new: pa.Table, run_ids: Sequence[str]) -> pa.Table:
    """The rows of both tables in the order of `run_ids`; those of `old` are in that order already."""
    if not len(new):
        return old
    images = pa.concat_tables([old, new]).combine_chunks()
    return images.take(pa.array(np.argsort(_positions(images, run_ids), kind="stable")))


def count_rated(images: pa.Table) -> int:
    """How many of these images somebody rated."""
    return len(images) - int(images["rating"].null_count)


def set_splits(images: pa.Table, splits: pa.Array) -> pa.Table:
    """The images with their split column replaced."""
    index = images.schema.get_field_index("split")
    return images.set_column(index, images.schema.field(index), splits)


def encode_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file; see `open_parquet`."""
    buffer = io.BytesIO()
    with open_parquet(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def open_parquet(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file to write tables into, compressed with Zstandard.

    What the columns mean is in the file's own metadata, under `stablenew.columns`.
    """
    repeated = [field.name for field in schema if field.name not in _UNIQUE and not pa.types.is_nested(field.type)]
    # A copy of the Arrow schema would take a third of the time, and Parquet's own types say as much
    writer = pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated, store_schema=False)
    meanings = {name: _MEANINGS[name] for name in schema.names if name in _MEANINGS}
    writer.add_key_value_metadata({"stablenew.columns": encode_json(meanings).decode()})
    return writer
