"""Columns that one dataset has and another has not: settings and metrics that are not in the table of settings.

The lists `settings` and `metrics` of each image hold all of them. Those whose values agree on a type get a column of
their own besides; all parts of a dataset have the same ones.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.learning.dataset.columns import OWN_PREFIXES, OWN_TYPES, Column, own_column, whole

OwnKinds = dict[str, tuple[str, int]]
"""Of each own column the kind of its values (a key of `OWN_TYPES`, or `mixed`) and how many images have one."""

MOST_OWN_COLUMNS: Final = 256
"""More would make files slow to open; those that most images have are chosen."""
MIXED: Final = "mixed"
_LONGEST_NAME: Final = 256
"""The ledger names columns of at most so many characters; what is longer stays in the lists."""
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


def find_own_kinds(images: pa.Table) -> OwnKinds:
    """The kinds of all settings and metrics in the lists of `images`."""
    kinds: OwnKinds = {}
    for prefix, source in OWN_PREFIXES.items():
        names, values, _ = _flatten(images[source])
        for name, kind, count in _count_kinds(names, values):
            kinds = merge_kinds([kinds, {f"{prefix}{name}": (kind, count)}])
    return kinds


def _flatten(lists: pa.ChunkedArray) -> tuple[pa.Array, pa.Array, npt.NDArray[np.int64]]:
    """Name and value of each entry, and the row that it belongs to."""
    column = whole(lists)
    entries = pc.list_flatten(column)
    rows: npt.NDArray[np.int64] = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
    return pc.struct_field(entries, "name"), pc.struct_field(entries, "value"), rows


def _count_kinds(names: pa.Array, values: pa.Array) -> list[tuple[str, str, int]]:
    """Each name with a kind of its values, and how many values of that kind it has."""
    if not len(names):
        return []
    if pa.types.is_floating(values.type):
        return [(pair["values"], "number", pair["counts"]) for pair in pc.value_counts(names).to_pylist()]
    encoded_names, encoded_values = names.dictionary_encode(), values.dictionary_encode()
    width = len(encoded_values.dictionary)
    pairs = encoded_names.indices.to_numpy().astype(np.int64) * width + encoded_values.indices.to_numpy()
    used, counts = np.unique(pairs, return_counts=True)
    kinds = [_kind_of(text) for text in encoded_values.dictionary.to_pylist()]
    known = encoded_names.dictionary.to_pylist()
    total: Counter[tuple[str, str]] = Counter()
    for pair, count in zip(used.tolist(), counts.tolist(), strict=True):
        total[known[pair // width], kinds[pair % width]] += count
    return [(name, kind, count) for (name, kind), count in sorted(total.items())]


def _kind_of(text: str) -> str:
    """The kind of a JSON scalar."""
    if text.startswith('"'):
        return "text"
    if text in ("true", "false"):
        return "boolean"
    if _INTEGER.fullmatch(text):
        return "integer"
    return "number" if not text.lstrip("-").isdigit() else MIXED  # an integer beyond 64 bits fits no column


def merge_kinds(parts: Iterable[Mapping[str, tuple[str, int]]]) -> OwnKinds:
    """The kinds of several parts together: integers and numbers are numbers, any other two are mixed."""
    merged: OwnKinds = {}
    for part in parts:
        for name, (kind, count) in part.items():
            known, known_count = merged.get(name, (kind, 0))
            merged[name] = (_merge_kind(known, kind), known_count + count)
    return merged


def _merge_kind(kind: str, other: str) -> str:
    if kind == other:
        return kind
    return "number" if {kind, other} == {"integer", "number"} else MIXED


def choose_own_columns(kinds: OwnKinds) -> list[Column]:
    """The own columns of a dataset, sorted by name."""
    fitting = {name: found for name, found in kinds.items() if len(name) <= _LONGEST_NAME}
    typed = {name: count for name, (kind, count) in fitting.items() if kind in OWN_TYPES}
    chosen = sorted(typed, key=lambda name: (-typed[name], name))[:MOST_OWN_COLUMNS]
    return [own_column(name, kinds[name][0]) for name in sorted(chosen)]


def add_own_columns(images: pa.Table, columns: Iterable[Column]) -> pa.Table:
    """The images with these own columns, filled from the lists."""
    flat = {source: _flatten(images[source]) for source in OWN_PREFIXES.values()}
    for column in columns:
        prefix = next(prefix for prefix in OWN_PREFIXES if column.name.startswith(prefix))
        names, values, rows = flat[OWN_PREFIXES[prefix]]
        is_here = pc.equal(names, column.name.removeprefix(prefix)).to_numpy(zero_copy_only=False).astype(bool)
        places = np.full(len(images), -1, np.int64)
        places[rows[is_here]] = np.arange(np.count_nonzero(is_here))
        typed = parse_values(values.filter(pa.array(is_here)), column.type)
        images = images.append_column(pa.field(column.name, column.type), typed.take(pa.array(places, mask=places < 0)))
    return images


def parse_values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """JSON scalars as values of one type."""
    if values.type == kind and not pa.types.is_string(kind):
        return values
    encoded = values.dictionary_encode()
    parsed: list[Any] = [json.loads(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(parsed, kind).take(encoded.indices)
