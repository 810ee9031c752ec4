"""Many JSON documents as one Arrow table, parsed in one call, which is what makes the dataset builder fast.

A table has only the fields that the dataset uses, each of one type. A document that Arrow's parser rejects goes through
`fit`, which turns any JSON value into one of the right type, or null.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from pyarrow import json as arrow_json

from stablenew.formats.strict_json import JsonValue
from stablenew.learning.dataset.columns import MAIN_SETTINGS, SEED, STAGE_SETTINGS, stage_column

READ_SEED: Final = pa.decimal128(20, 0)
"""Reads numbers and decimal strings alike, from -1 to 2^64-1."""
_SEED_TEXT: Final = re.compile("-?[0-9]{1,20}")
_BLOCK_BYTES: Final = 1 << 30
_LINES_BYTES: Final = 1 << 21
"""A block of lines that fits the processor's cache. Runs with a longer line are left to the strict readers."""


def read_type(kind: pa.DataType) -> pa.DataType:
    """The type as which a column of type `kind` is read."""
    return READ_SEED if kind == SEED else kind


_TEXT: Final = pa.string()
_TEXTS: Final = pa.list_(pa.string())
SETTINGS_STRUCT: Final = pa.struct([(name, read_type(kind)) for name, kind in MAIN_SETTINGS.items()])


def _config_type() -> pa.DataType:
    stages: dict[str, list[tuple[str, pa.DataType]]] = {}
    for (stage, name), kind in STAGE_SETTINGS.items():
        stages.setdefault(stage, []).append((name, read_type(kind)))
    return pa.struct([(stage, pa.struct(fields)) for stage, fields in stages.items()])


METADATA_SCHEMA: Final = pa.schema(
    [
        ("kind", _TEXT),
        ("schema_version", _TEXT),
        ("run_id", _TEXT),
        ("created_at", _TEXT),
        ("status", _TEXT),
        ("source", pa.struct([(name, _TEXT) for name in ("name", "engine", "engine_version", "host_id", "user_id")])),
        ("correlation", pa.struct([(name, _TEXT) for name in ("job_id", "session_id", "parent_run_id")])),
        ("packs", pa.list_(pa.struct([("id", _TEXT)]))),
        ("one_click_action", _TEXT),
        ("learning_tags", _TEXTS),
        ("config_digest", _TEXT),
        ("config", _config_type()),
        ("variant_plan", pa.struct([("mode", _TEXT), ("size", pa.int64())])),
        ("record_count", pa.int64()),
    ]
)
_OVERRIDES: Final = [
    (f"{stage}.{name}", read_type(kind))
    for (stage, name), kind in STAGE_SETTINGS.items()
    if stage_column(stage, name) not in MAIN_SETTINGS
]
"""The settings a variant may override that are not in its `requested`."""
_OVERRIDES_KEY: Final = b'"overrides"'


_PROMPT: Final = pa.struct(
    [
        ("positive", _TEXT),
        ("negative", _TEXT),
        ("pack_id", _TEXT),
        ("prompt_id", _TEXT),
        ("loras", pa.list_(pa.struct([("name", _TEXT), ("weight", pa.float64())]))),
        ("embeddings", _TEXTS),
    ]
)
_OUTPUT: Final = pa.struct(
    [
        ("path", _TEXT),
        ("digest", _TEXT),
        ("size_bytes", pa.int64()),
        ("media_type", _TEXT),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("stage", _TEXT),
        ("role", _TEXT),
        ("seed", READ_SEED),
        ("pixel_digest", _TEXT),
        ("parents", _TEXTS),
    ]
)


def _record_schema(overrides: list[tuple[str, pa.DataType]]) -> pa.Schema:
    variant = [("index", pa.int64()), ("total", pa.int64()), ("label", _TEXT), ("overrides", pa.struct(overrides))]
    return pa.schema(
        [
            ("kind", _TEXT),
            ("schema_version", _TEXT),
            ("run_id", _TEXT),
            ("variant", pa.struct(variant)),
            ("started_at", _TEXT),
            ("duration_seconds", pa.float64()),
            ("status", _TEXT),
            ("prompt", _PROMPT),
            ("requested", SETTINGS_STRUCT),
            ("actual", SETTINGS_STRUCT),
            ("stages", pa.list_(pa.struct([("name", _TEXT)]))),
            ("outputs", pa.list_(_OUTPUT)),
        ]
    )


RECORD_SCHEMA: Final = _record_schema(_OVERRIDES)


def parse_records(data: bytes) -> pa.Table:
    """Records as one table: `RECORD_SCHEMA` without overrides that nobody uses; see `parse_table`."""
    return _parse(data, _record_schema(_used_overrides(data)), is_lines=True)


def _used_overrides(data: bytes) -> list[tuple[str, pa.DataType]]:
    """The overrides that may occur in `data`: most stores use few of very many."""
    texts = set(_iter_overrides(data))
    used = b"".join(texts)
    is_plain = all(text.startswith(b":{") and text.count(b'"') % 2 == 0 for text in texts)  # no brace in a string
    if not is_plain or used.count(b"{") != len(texts) or b"\\" in used:
        return _OVERRIDES
    return [override for override in _OVERRIDES if f'"{override[0]}"'.encode() in used]


def _iter_overrides(data: bytes) -> Iterator[bytes]:
    """The text between each `"overrides"` key and the next closing brace."""
    start = data.find(_OVERRIDES_KEY)
    while start >= 0:
        start += len(_OVERRIDES_KEY)
        end = data.find(b"}", start)
        yield data[start:end]
        start = data.find(_OVERRIDES_KEY, start)


def parse_table(documents: Sequence[bytes], schema: pa.Schema, *, is_lines: bool = False) -> pa.Table:
    """Documents, or with `is_lines` whole JSON Lines files, as one table: a row a document, in order.

    Raises:
        ValueError: something in them does not fit `schema`, or is not JSON; Arrow does not say where.
    """
    return _parse(b"\n".join(documents), schema, is_lines=is_lines)


def _parse(data: bytes, schema: pa.Schema, *, is_lines: bool) -> pa.Table:
    if not data or data.isspace():
        return schema.empty_table()
    if not data.isascii():
        data.decode("utf-8")  # Arrow does not check
    block = _LINES_BYTES if is_lines else _BLOCK_BYTES
    return arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=min(len(data) + 1, block)),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore", newlines_in_values=not is_lines
        ),
    ).combine_chunks()


def build_table(values: Sequence[JsonValue], schema: pa.Schema) -> pa.Table:
    """JSON objects as a table; a value that does not fit its column's type is null."""
    rows = [{field.name: fit(value.get(field.name), field.type) for field in schema} for value in values]
    return pa.Table.from_pylist(rows, schema=schema).combine_chunks()


def fit(value: JsonValue, kind: pa.DataType) -> Any:
    """`value` as a column of this type stores it; None if it does not fit."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return (
            {field.name: fit(value.get(field.name), field.type) for field in kind} if isinstance(value, dict) else None
        )
    if pa.types.is_list(kind):
        return [fit(item, kind.value_type) for item in value] if isinstance(value, list) else None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else None
    if pa.types.is_boolean(kind):
        return value if isinstance(value, bool) else None
    return None if isinstance(value, bool) else _fit_number(value, kind)


def _fit_number(value: JsonValue, kind: pa.DataType) -> Any:
    if kind == READ_SEED:
        return _fit_seed(value)
    if not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:  # not so: NaN, infinity, 10^400
        return None
    if pa.types.is_floating(kind):
        return float(value)
    return int(value) if float(value).is_integer() and abs(value) < 2**63 else None


def _fit_seed(value: JsonValue) -> Decimal | None:
    is_seed = _SEED_TEXT.fullmatch(value) if isinstance(value, str) else _is_whole(value)
    return Decimal(int(value)) if is_seed and abs(int(value)) < 2**64 else None


def _is_whole(value: JsonValue) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
