"""A column of an Arrow table as one array, whatever pieces it came in."""

import pyarrow as pa


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """All of `column` as a single array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])
