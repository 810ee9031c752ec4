"""Model files under their common names, in the columns of the dataset."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.formats.common_names import common_file_name
from stablenew.formats.settings import FILES, names_file
from stablenew.learning.dataset.columns import STAGE_SETTINGS, stage_column, whole

_COLUMNS: Final = frozenset(
    [stage_column(stage, name) for stage, name in STAGE_SETTINGS if names_file(f"{stage}.{name}")]
    + [f"requested_{setting.name}" for setting in FILES]
)


def with_common_names(columns: dict[str, Any]) -> dict[str, Any]:
    """The columns of records, with each model file, LoRA and embedding under the name by which it is counted."""
    renamed = {name: _rename(whole(column)) for name, column in columns.items() if name in _COLUMNS}
    return columns | renamed | {name: _rename_items(whole(columns[name])) for name in ("loras", "embeddings")}


def _rename(names: pa.StringArray) -> pa.StringArray:
    """Each of the different names is looked at once; where all are common ones, `names` itself."""
    if names.null_count == len(names):
        return names
    encoded = names.dictionary_encode()
    different = encoded.dictionary.to_pylist()
    common = [common_file_name(name) for name in different]
    return names if common == different else pa.array(common, pa.string()).take(encoded.indices)


def _rename_items(lists: pa.ListArray) -> pa.ListArray:
    """The same of names in lists, or in lists of structs that have a name."""
    items = lists.values
    names = pc.struct_field(items, "name") if pa.types.is_struct(items.type) else items
    renamed = _rename(names)
    if renamed is names:
        return lists
    if pa.types.is_struct(items.type):
        others = [renamed if field.name == "name" else pc.struct_field(items, field.name) for field in items.type]
        renamed = pa.StructArray.from_arrays(others, fields=list(items.type), mask=items.is_null())
    is_null = np.append(lists.is_null().to_numpy(zero_copy_only=False), np.False_)
    offsets = pc.if_else(pa.array(is_null), pa.scalar(None, pa.int32()), lists.offsets)
    return pa.ListArray.from_arrays(offsets, renamed)
