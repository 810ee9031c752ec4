"""Making one part of a dataset: a stretch of runs, read, joined and encoded. It writes nothing and runs anywhere."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from pyarrow import parquet as pq

from stablenew.formats.digest import digest_bytes
from stablenew.formats.i_json import encode_json
from stablenew.learning.dataset_columns import COLUMNS, COLUMNS_VERSION
from stablenew.learning.dataset_kernel import JoinedRun, build_part
from stablenew.learning.dataset_split import SplitPlan, SplitTies, build_ties, name_splits
from stablenew.learning.run_source import LeftOut, RunSource
from stablenew.learning.run_tables import Problem

_MEANINGS: Final = encode_json({one.name: one.meaning for one in COLUMNS}).decode()
_UNIQUE: Final = frozenset({"image_id", "path", "pixel_digest", "parents", "started_at", "seed", "image_seed"})
"""Columns whose values hardly ever come twice: a dictionary of them would be for nothing."""


@dataclass
class MadePart:
    """A part, ready to be kept."""

    digest: str
    """Over what it was made from: equal for equal rows."""
    data: bytes
    """The images as a Parquet file."""
    row_count: int
    ties: SplitTies
    preferences: pa.Table
    runs: list[JoinedRun]
    left_out: list[LeftOut]
    problems: list[Problem]


def make_part(source: RunSource, run_ids: Sequence[str], plan: SplitPlan) -> MadePart:
    """The part of these runs."""
    part = build_part(map(source.read, run_ids))
    ties = build_ties(part.images, plan)
    images = set_splits(part.images, name_splits(ties.splits))
    return MadePart(
        digest=digest_runs(part.runs),
        data=encode_parquet(images),
        row_count=len(images),
        ties=ties,
        preferences=part.preferences,
        runs=part.runs,
        left_out=part.left_out,
        problems=part.problems,
    )


def digest_runs(runs: Sequence[JoinedRun]) -> str:
    """The digest of the facts and the feedback of some runs."""
    lines = (f"{run.run_id} {run.digest} {run.feedback_digest}" for run in runs)
    return digest_bytes("\n".join([f"columns {COLUMNS_VERSION}", *lines]).encode())


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
