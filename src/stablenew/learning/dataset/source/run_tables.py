"""The documents of many runs as two Arrow tables: metadata, one row per run, and records, one row per executed variant.

All are parsed together. If that fails, the runs are halved until those that caused it stand alone; these are read by
the strict readers, which report exactly what is wrong and affect no other run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.disk.line_log import split_lines
from stablenew.errors import FormatError, NewerFormat
from stablenew.formats.digest import DIGEST_PATTERN
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.model_base import MEDIA_TYPE_PATTERN, SLUG_PATTERN, TIMESTAMP_PATTERN, VERSION_PATTERN
from stablenew.formats.output_path import PATTERN as PATH_PATTERN
from stablenew.formats.strict_json import MAX_BYTES, MAX_DEPTH, JsonValue, is_too_deep, parse_json
from stablenew.learning.dataset.columns import whole
from stablenew.learning.dataset.source.json_tables import (
    METADATA_SCHEMA,
    RECORD_SCHEMA,
    build_table,
    parse_records,
    parse_table,
)
from stablenew.learning.dataset.source.own_settings import (
    OWN_SCHEMA,
    add_own_settings,
    has_own_names,
    parse_own_settings,
    read_own_settings,
)
from stablenew.learning.dataset.source.run_source import NEWER, UNREADABLE, LeftOut, Problem, RunFiles
from stablenew.store.run_folder import METADATA, RECORDS

_RECORD_TABLE: Final = pa.schema([*RECORD_SCHEMA, *OWN_SCHEMA])
_METADATA_KIND: Final = pa.scalar(RunMetadata.KIND)
_RECORD_KIND: Final = pa.scalar(LearningRecord.KIND)
_ZERO: Final = pa.scalar(0, pa.int64())
"""Made once: converting a Python value, Arrow tries to import dateutil each time, which is slow where it is missing."""


@dataclass
class RunTables:
    """The documents of runs that could be read, and what could not be read."""

    runs: list[RunFiles]
    """The runs that could be read."""
    metadata: pa.Table
    """`METADATA_SCHEMA`, one row for each of `runs`."""
    records: pa.Table
    """`RECORD_SCHEMA`, perhaps without overrides that nobody uses, and `OWN_SCHEMA`."""
    record_runs: npt.NDArray[np.int64]
    """For each row of `records`, the row of its run in `metadata`."""
    left_out: list[LeftOut] = field(default_factory=list)
    """Runs that could not be read."""
    problems: list[Problem] = field(default_factory=list)
    """Records that could not be read."""


def read_run_tables(runs: Sequence[RunFiles]) -> RunTables:
    """The metadata and records of all `runs`, in order."""
    parts = _read_halving(list(runs))
    if len(parts) == 1:
        return parts[0]
    counts = np.cumsum([0, *(len(part.runs) for part in parts)])
    return RunTables(
        runs=[run for part in parts for run in part.runs],
        metadata=_join([part.metadata for part in parts], METADATA_SCHEMA),
        records=_join([part.records for part in parts], _RECORD_TABLE),
        record_runs=np.concatenate(
            [np.empty(0, np.int64), *(part.record_runs + first for part, first in zip(parts, counts, strict=False))]
        ),
        left_out=[run for part in parts for run in part.left_out],
        problems=[problem for part in parts for problem in part.problems],
    )


def _join(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *(_complete(table, schema) for table in tables)]).combine_chunks()


def _complete(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with columns, all null, for the overrides that only other runs use."""
    if table.schema == schema:
        return table
    index, field = schema.get_field_index("variant"), schema.field("variant")
    variant = whole(table["variant"])
    parts = [variant.field(member.name) for member in field.type]
    overrides = field.type.get_field_index("overrides")
    parts[overrides] = _complete_overrides(parts[overrides], field.type.field(overrides).type)
    completed = pa.StructArray.from_arrays(parts, fields=list(field.type), mask=variant.is_null())
    return table.set_column(index, field, completed)


def _complete_overrides(overrides: pa.StructArray, kind: pa.StructType) -> pa.StructArray:
    known = {field.name for field in overrides.type}
    parts = [
        overrides.field(field.name) if field.name in known else pa.nulls(len(overrides), field.type) for field in kind
    ]
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=overrides.is_null())


def _read_halving(runs: list[RunFiles]) -> list[RunTables]:
    if not runs:
        return []
    try:
        return [_read_together(runs)]
    except ValueError:
        pass
    if len(runs) == 1:
        return [_read_strictly(runs[0])]
    middle = len(runs) // 2
    return [*_read_halving(runs[:middle]), *_read_halving(runs[middle:])]


class _NeedsStrictReader(ValueError):
    pass


def _read_together(runs: list[RunFiles]) -> RunTables:
    """All runs in one call of the parser.

    Raises:
        ValueError: at least one of them needs the strict readers.
    """
    if not all(run.records.endswith(b"\n") or not run.records for run in runs):
        raise _NeedsStrictReader("the last line is cut off")
    if any(is_too_deep(run.metadata) for run in runs):
        raise _NeedsStrictReader("nested deeper than a document may be")
    metadata = parse_table([run.metadata for run in runs], METADATA_SCHEMA)
    data = b"\n".join([run.records for run in runs])
    _check_depth(data)
    records = parse_records(data)
    counts = [_count_lines(run.records) for run in runs]
    if len(metadata) != len(runs) or len(records) != sum(counts):
        raise _NeedsStrictReader("more or fewer documents than lines")
    record_runs = np.repeat(np.arange(len(runs)), counts)
    run_ids = pa.array([run.run_id for run in runs])
    _check_metadata(metadata, run_ids)
    _check_records(records, run_ids.take(pa.array(record_runs)))
    own = parse_own_settings(data) if has_own_names(data, records) else []
    return RunTables(runs, metadata, add_own_settings(records, own), record_runs)


def _check_depth(data: bytes) -> None:
    """Raise if a line is nested deeper than a document may be. Lines with few brackets need no closer look."""
    codes = np.frombuffer(data, np.uint8)
    brackets = np.flatnonzero((codes == ord("{")) | (codes == ord("[")))
    ends = np.append(np.flatnonzero(codes == ord("\n")), len(codes))
    counts = np.diff(np.searchsorted(brackets, ends), prepend=0)
    for line in np.flatnonzero(counts > MAX_DEPTH).tolist():
        if is_too_deep(data[ends[line - 1] if line else 0 : ends[line]]):
            raise _NeedsStrictReader("nested deeper than a document may be")


def _count_lines(data: bytes) -> int:
    """How many lines end in `data`. `bytes.count` compares byte by byte, which takes several times as long."""
    count, end = 0, data.find(b"\n")
    while end >= 0:
        count, end = count + 1, data.find(b"\n", end + 1)
    return count


def _expect(truth: pa.Array | pa.ChunkedArray) -> None:
    """Raise unless all are true; null counts as false."""
    if not pc.all(truth, skip_nulls=False, min_count=0).as_py():
        raise _NeedsStrictReader("a value that does not fit the format")


def _expect_text(column: pa.ChunkedArray, pattern: str) -> None:
    """Raise unless every text matches `pattern` to its end."""
    _expect(pc.match_substring_regex(column, pattern=pattern.replace("$", r"\z")))


def _expect_word(column: pa.ChunkedArray, pattern: str) -> None:
    """As `_expect_text`, for columns with few different values."""
    _expect_text(pc.unique(column), pattern)


def _expect_text_or_null(column: pa.ChunkedArray, pattern: str) -> None:
    _expect_text(pc.drop_null(column), pattern)


def _check_metadata(table: pa.Table, run_ids: pa.Array) -> None:
    _expect(pc.equal(table["kind"], _METADATA_KIND))
    _expect_word(table["schema_version"], VERSION_PATTERN)
    _expect(pc.equal(table["run_id"], run_ids))
    _expect_moments(table["created_at"])
    _expect_word(table["status"], SLUG_PATTERN)
    for name in ("source", "packs", "config", "config_digest"):
        _expect(pc.is_valid(table[name]))
    _expect(pc.is_valid(pc.struct_field(table["source"], "name")))
    _expect_finite(table.schema, table.columns)


def _check_records(table: pa.Table, run_ids: pa.Array) -> None:
    _expect(pc.equal(table["kind"], _RECORD_KIND))
    _expect_word(table["schema_version"], VERSION_PATTERN)
    _expect(pc.equal(table["run_id"], run_ids))
    _expect_moments(table["started_at"])
    _expect_word(table["status"], SLUG_PATTERN)
    for name in ("requested", "stages", "outputs"):
        _expect(pc.is_valid(table[name]))
    for name in ("index", "total"):
        _expect(pc.greater_equal(pc.struct_field(table["variant"], name), _ZERO))
    _expect(pc.is_valid(pc.struct_field(table["prompt"], "positive")))
    _expect_finite(table.schema, table.columns)
    _check_outputs(pc.list_flatten(table["outputs"]))


def _check_outputs(outputs: pa.ChunkedArray) -> None:
    _expect(pc.is_valid(outputs))
    _expect_text(pc.struct_field(outputs, "path"), PATH_PATTERN)
    _expect_text(pc.struct_field(outputs, "digest"), DIGEST_PATTERN)
    _expect(pc.greater_equal(pc.struct_field(outputs, "size_bytes"), _ZERO))
    _expect_word(pc.struct_field(outputs, "media_type"), MEDIA_TYPE_PATTERN)
    _expect_word(pc.struct_field(outputs, "stage"), SLUG_PATTERN)
    _expect_text_or_null(pc.unique(pc.struct_field(outputs, "role")), SLUG_PATTERN)
    _expect_text_or_null(pc.struct_field(outputs, "pixel_digest"), DIGEST_PATTERN)
    _expect_text_or_null(pc.list_flatten(pc.struct_field(outputs, "parents")), DIGEST_PATTERN)


def _expect_moments(column: pa.ChunkedArray) -> None:
    _expect_text(column, TIMESTAMP_PATTERN)


def _expect_finite(fields: pa.Schema | pa.StructType, columns: list[pa.ChunkedArray]) -> None:
    """Raise if a number is NaN or infinite, which Arrow's parser accepts."""
    for member, column in zip(fields, columns, strict=True):
        if column.null_count == len(column):
            continue
        if pa.types.is_floating(member.type):
            _expect(pc.is_finite(pc.drop_null(column)))
        elif pa.types.is_struct(member.type):
            inner = [part for part in member.type if _has_floats(part.type)]
            _expect_finite(inner, [pc.struct_field(column, part.name) for part in inner])


def _has_floats(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or (pa.types.is_struct(kind) and any(_has_floats(member.type) for member in kind))


def _read_strictly(run: RunFiles) -> RunTables:
    """One run, read by the document models."""
    try:
        metadata = RunMetadata.from_json(run.metadata)
    except FormatError as error:
        reason = NEWER if isinstance(error, NewerFormat) else UNREADABLE
        return _leave_out(LeftOut(run.run_id, reason, f"{METADATA}: {error}"))
    if metadata.run_id != run.run_id:
        return _leave_out(LeftOut(run.run_id, UNREADABLE, f"{METADATA}: it belongs to run {metadata.run_id}"))
    records: list[dict[str, JsonValue]] = []
    problems = []
    for number, line, is_whole in split_lines(run.records):
        try:
            records.append(_read_record(run.run_id, line, is_whole=is_whole).to_dict())
        except FormatError as error:
            problems.append(Problem(run.run_id, RECORDS, number, str(error)))
    return RunTables(
        [run],
        build_table([metadata.to_dict()], METADATA_SCHEMA),
        add_own_settings(build_table(records, RECORD_SCHEMA), [read_own_settings(record) for record in records]),
        np.zeros(len(records), np.int64),
        problems=problems,
    )


def _leave_out(left_out: LeftOut) -> RunTables:
    empty = np.empty(0, np.int64)
    return RunTables([], METADATA_SCHEMA.empty_table(), _RECORD_TABLE.empty_table(), empty, [left_out])


def _read_record(run_id: str, line: bytes, *, is_whole: bool) -> LearningRecord:
    if not is_whole:
        raise FormatError("the line is cut off")
    record = LearningRecord.from_dict(parse_json(line, max_bytes=MAX_BYTES))
    if record.run_id != run_id:
        raise FormatError(f"it is a record of run {record.run_id}")
    return record
