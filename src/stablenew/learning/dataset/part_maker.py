"""Making one part of a dataset: a stretch of runs, read, joined and encoded. It writes nothing and runs anywhere.

Where few of its runs changed, only those are read, and the rows of the others come from the part of the last build;
where only feedback came to a run, all of its rows but what people think.
"""

import io
from collections.abc import Mapping, Sequence
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
from stablenew.learning.dataset.joining import DatasetPart, build_part, hear
from stablenew.learning.dataset.source.run_source import LeftOut, RunFiles, RunSource
from stablenew.learning.dataset.source.run_tables import Problem
from stablenew.learning.dataset.split import SplitTies, build_ties, name_splits
from stablenew.learning.dataset.split_plan import SplitPlan

_MEANINGS: Final = encode_json({one.name: one.meaning for one in COLUMNS}).decode()
_UNIQUE: Final = frozenset(
    {"image_id", "path", "pixel_digest", "parents", "started_at", "seed", "image_seed", "digest", "feedback_digest"}
)
"""Columns whose values hardly ever come twice: a dictionary of them would be for nothing."""


@dataclass(frozen=True, slots=True)
class PartTask:
    """Which runs a part is to be made of."""

    run_ids: list[str]
    kept: list[str] = field(default_factory=list)
    """Those that did not change since the last build, ..."""
    old_part: str = ""
    """... whose part has their rows: its path, empty when they have none, ..."""
    old_digest: str = ""
    """... and the digest of its bytes."""
    known: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """Of those that changed: digest and number of records as the old part has them. Perhaps only feedback came."""

    @property
    def read_count(self) -> int:
        """How many runs have to be read."""
        return len(self.run_ids) - len(self.kept)

    @property
    def changed(self) -> list[str]:
        """The runs that have to be read."""
        kept = set(self.kept)
        return [run_id for run_id in self.run_ids if run_id not in kept]

    def knows(self, run: RunFiles | LeftOut) -> bool:
        """Whether the old part has the rows of exactly this sealed run, so that only its feedback is to be joined."""
        return isinstance(run, RunFiles) and run.run_id in self.known and self.known[run.run_id][0] == run.digest

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON has it, for another process."""
        return {one.name: getattr(self, one.name) for one in dataclass_fields(self)}

    def without_old(self) -> "PartTask":
        """The same part, every run read."""
        return PartTask(self.run_ids)


@dataclass
class MadePart:
    """A part, ready to be kept."""

    data: bytes
    """The images as a Parquet file."""
    row_count: int
    ties: SplitTies
    kept: list[str]
    """Runs whose rows were taken from the last build; what follows is about the others."""
    preferences: pa.Table
    runs: pa.Table
    """`RUNS_SCHEMA`, in no order."""
    problems: list[Problem]


def make_part(source: RunSource, task: PartTask, plan: SplitPlan) -> MadePart:
    """The part that `task` names; where the old one cannot be read, every run is."""
    try:
        old = _read_old(task)
    except (OSError, ValueError):
        return make_part(source, task.without_old(), plan)
    found = [source.read(run_id) for run_id in task.changed]
    part = build_part(run for run in found if not task.knows(run))
    if old is not None:
        part = _add_old(part, old, task, [run for run in found if isinstance(run, RunFiles) and task.knows(run)])
    ties = build_ties(part.images, plan)
    return MadePart(
        data=encode_parquet(set_splits(part.images, name_splits(ties.splits))),
        row_count=len(part.images),
        ties=ties,
        kept=task.kept,
        preferences=part.preferences,
        runs=part.runs,
        problems=part.problems,
    )


def _read_old(task: PartTask) -> pa.Table | None:
    """The images of the old part, if there is one.

    Raises:
        OSError, ValueError: the old part is not what it was, and no row of it is to be believed.
    """
    if not task.old_part:
        return None
    data = Path(task.old_part).read_bytes()
    if digest_bytes(data) != task.old_digest:
        raise ValueError(f"{task.old_part} is not what the last build wrote")
    return pq.read_table(io.BytesIO(data), schema=IMAGES_SCHEMA)


def _add_old(part: DatasetPart, old: pa.Table, task: PartTask, same: Sequence[RunFiles]) -> DatasetPart:
    """With the old images of the runs that were kept, and of the `same`, of which only feedback may be another."""
    places = _places(old, [run.run_id for run in same])
    rows = np.flatnonzero(places >= 0)
    record_counts = np.array([task.known[run.run_id][1] for run in same], np.int64)
    heard = hear(whole(old["image_id"]).take(pa.array(rows)), places[rows], same, record_counts)
    images = _replace_rows(old, rows, heard.columns)
    is_here = (places >= 0) | (_places(old, task.kept) >= 0)
    return DatasetPart(
        images=_weave(images if is_here.all() else images.filter(pa.array(is_here)), part.images, task.run_ids),
        preferences=pa.concat_tables([heard.preferences, part.preferences]),
        runs=pa.concat_tables([heard.runs, part.runs]),
        problems=[*heard.problems, *part.problems],
    )


def _places(images: pa.Table, run_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """For each image the place of its run in `run_ids`, -1 where it is not among them."""
    found = pc.fill_null(pc.index_in(whole(images["run_id"]), pa.array(run_ids, pa.string())), -1)
    places: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def _replace_rows(table: pa.Table, rows: npt.NDArray[np.int64], columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table with other values in these rows of some columns."""
    take = np.arange(len(table))
    take[rows] = len(table) + np.arange(len(rows))
    indices = pa.array(take)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        column = pa.concat_arrays([whole(table[name]), values]).take(indices)
        table = table.set_column(place, table.schema.field(place), column)
    return table


def _weave(old: pa.Table, new: pa.Table, run_ids: Sequence[str]) -> pa.Table:
    """Rows of different runs as one table, in the order of `run_ids`; those of `old` are in it already."""
    if not len(new):
        return old
    images = pa.concat_tables([old, new]).combine_chunks()
    return images.take(pa.array(np.argsort(_places(images, run_ids), kind="stable")))


def set_splits(images: pa.Table, splits: pa.Array) -> pa.Table:
    """The images with another split column."""
    place = images.schema.get_field_index("split")
    return images.set_column(place, images.schema.field(place), splits)


def encode_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file; see `open_parquet`."""
    buffer = io.BytesIO()
    with open_parquet(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def open_parquet(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file to write tables into, compressed with Zstandard.

    What the columns mean stands in the file's own metadata, under `stablenew.columns`.
    """
    repeated = [field.name for field in schema if field.name not in _UNIQUE and not pa.types.is_nested(field.type)]
    # Without a copy of the Arrow schema, which takes a third of the time: Parquet's own types say as much
    writer = pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated, store_schema=False)
    writer.add_key_value_metadata({"stablenew.columns": _MEANINGS})
    return writer
