"""Tables with some of their values replaced."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stablenew.learning.dataset.columns import whole


def replace_column(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    """The table with the values of one column replaced."""
    index = table.schema.get_field_index(name)
    field_of = table.schema.field(index)
    return table.set_column(index, field_of, pa.array(values, field_of.type))


def replace_rows(table: pa.Table, rows: npt.NDArray[np.int64], columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table with the values of some columns replaced in these rows."""
    take = np.arange(len(table))
    take[rows] = len(table) + np.arange(len(rows))
    indices = pa.array(take)
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        column = pa.concat_arrays([whole(table[name]), values]).take(indices)
        table = table.set_column(index, table.schema.field(index), column)
    return table
