"""Making one part of a dataset: a stretch of runs, read, joined and encoded. It writes nothing and runs anywhere.

Where few of its runs changed, only those are read, and the rows of the others come from the part of the last build.
"""

import io
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import parquet as pq

from stablenew.formats.digest import digest_bytes
from stablenew.formats.i_json import encode_json
from stablenew.learning.arrow_column import whole
from stablenew.learning.dataset_columns import COLUMNS, IMAGES_SCHEMA
from stablenew.learning.dataset_kernel import build_part
from stablenew.learning.dataset_split import SplitTies, build_ties, name_splits
from stablenew.learning.run_source import RunSource
from stablenew.learning.run_tables import Problem
from stablenew.learning.split_plan import SplitPlan

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

    @property
    def read_count(self) -> int:
        """How many runs have to be read."""
        return len(self.run_ids) - len(self.kept)

    @property
    def changed(self) -> list[str]:
        """The runs that have to be read."""
        kept = set(self.kept)
        return [run_id for run_id in self.run_ids if run_id not in kept]

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
        old = _read_kept(task)
    except (OSError, ValueError):
        return make_part(source, task.without_old(), plan)
    part = build_part(map(source.read, task.changed))
    images = part.images if old is None else _weave(old, part.images, task.run_ids)
    ties = build_ties(images, plan)
    return MadePart(
        data=encode_parquet(set_splits(images, name_splits(ties.splits))),
        row_count=len(images),
        ties=ties,
        kept=task.kept,
        preferences=part.preferences,
        runs=part.runs,
        problems=part.problems,
    )


def _read_kept(task: PartTask) -> pa.Table | None:
    """The old rows of the runs that did not change.

    Raises:
        OSError, ValueError: the old part is not what it was, and no row of it is to be believed.
    """
    if not task.old_part:
        return None
    data = Path(task.old_part).read_bytes()
    if digest_bytes(data) != task.old_digest:
        raise ValueError(f"{task.old_part} is not what the last build wrote")
    images = pq.read_table(io.BytesIO(data), schema=IMAGES_SCHEMA)
    return images.filter(pc.is_in(images["run_id"], pa.array(task.kept, pa.string())))


def _weave(old: pa.Table, new: pa.Table, run_ids: list[str]) -> pa.Table:
    """Rows of different runs as one table, in the order of `run_ids`."""
    images = pa.concat_tables([old, new]).combine_chunks()
    places = pc.index_in(whole(images["run_id"]), pa.array(run_ids, pa.string()))
    return images.take(pa.array(np.argsort(places.to_numpy(zero_copy_only=False), kind="stable")))


def set_splits(images: pa.Table, splits: pa.Array) -> pa.Table:
    """The images with another split column."""
    place = images.schema.get_field_index("split")
    return images.set_column(place, images.schema.field(place), splits)


def encode_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file, compressed with Zstandard.

    What the columns mean stands in the file's own metadata, under `stablenew.columns`.
    """
    buffer = io.BytesIO()
    repeated = [name for name in table.schema.names if name not in _UNIQUE and not _is_nested(table.schema.field(name))]
    # Without a copy of the Arrow schema, which takes a third of the time: Parquet's own types say as much
    with pq.ParquetWriter(
        buffer, table.schema, compression="zstd", use_dictionary=repeated, store_schema=False
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"stablenew.columns": _MEANINGS})
    return buffer.getvalue()


def _is_nested(field: pa.Field) -> bool:
    return bool(pa.types.is_nested(field.type))
