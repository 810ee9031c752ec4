"""Columns of Arrow tables as a whole: as one array, as one text."""

import numpy as np
import pyarrow as pa


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """All of `column` as a single array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def text_of(column: pa.StringArray) -> bytes:
    """All texts of `column`, one after the other, without making each a Python string."""
    _, offsets, data = column.buffers()
    if data is None or len(column) == 0:
        return b""
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[ends[0] : ends[-1]].tobytes()
