"""Settings that are not in the table of settings, and metrics: what records hold under names of their own.

Arrow's parser reads fields that are known beforehand. Most records have no others, which shows by counting keys; only
where there are more, every record of the batch is parsed by itself.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc
from pydantic_core import from_json

from stablenew.formats.settings import BY_NAME, find_setting
from stablenew.formats.strict_json import JsonValue
from stablenew.learning.dataset.columns import OWN_METRICS, OWN_SETTINGS, STAGE_SETTINGS, whole
from stablenew.learning.dataset.source.json_tables import SETTINGS_STRUCT, fit
from stablenew.store.metric_files import Score, iter_scores

OWN_SCHEMA: Final = pa.schema(
    [
        ("settings", OWN_SETTINGS),
        ("requested_settings", OWN_SETTINGS),
        ("metrics", OWN_METRICS),
        ("output_metrics", pa.list_(OWN_METRICS)),
    ]
)
"""The columns that `add_own_settings` adds to a table of records. `output_metrics` has an entry for each output, or is
null where no output has metrics."""

_PARTS: Final = (b'"requested":{', b'"actual":{')
_OVERRIDES: Final = b'"overrides":{'
_METRICS: Final = b'"metrics":'
_KEY: Final = re.compile(rb'"([^"]*)":')
_KNOWN_OVERRIDES: Final = frozenset(f"{stage}.{name}".encode() for stage, name in STAGE_SETTINGS)
_EXTRA: Final = ".extra."


def has_own_names(data: bytes, records: pa.Table) -> bool:
    """Whether `data` (JSON Lines), parsed as `records`, may hold settings or metrics that `records` does not.

    True also where that cannot be told cheaply, such as for records that another program wrote with spaces.
    """
    if _METRICS in data or _has_own_overrides(data):
        return True
    return any(_has_own_keys(data, key, records) for key in _PARTS)


def _has_own_overrides(data: bytes) -> bool:
    for text in set(_iter_objects(data, _OVERRIDES)):
        is_cut = text.count(b'"') & 1  # at a brace within a name
        if is_cut or not _is_flat(text) or not _KNOWN_OVERRIDES.issuperset(_KEY.findall(text)):
            return True
    return False


def _has_own_keys(data: bytes, key: bytes, records: pa.Table) -> bool:
    """Whether the objects under `key` have other keys than those that were read from them."""
    texts = list(_iter_objects(data, key))
    column = whole(records[key[1:-3].decode()])
    read = sum(len(column) - pc.struct_field(column, field.name).null_count for field in column.type)
    joined = b"\n".join(texts)
    if len(texts) != len(column) - column.null_count or not _is_flat(joined):
        return True
    return joined.count(b'":') != read or any(text.count(b'"') & 1 for text in texts)


def _iter_objects(data: bytes, key: bytes) -> Iterator[bytes]:
    """The text from each `key`, which ends with an opening brace, to the next closing brace."""
    pieces = iter(data.split(key))
    next(pieces)
    return (piece[: piece.find(b"}")] for piece in pieces)


def _is_flat(text: bytes) -> bool:
    """Whether braces, quotes and colons in the text of an object mean what they seem to mean."""
    return not (b"{" in text or b"\\" in text or b'" ' in text or b'"\t' in text)


class OwnSettings(NamedTuple):
    """What one record holds under names of its own."""

    settings: dict[str, str]
    """Settings as they ran, else as they were requested; values as JSON."""
    requested: dict[str, str]
    """Settings as they were requested or overridden; values as JSON."""
    metrics: dict[str, float]
    """Metrics of the whole variant."""
    output_metrics: list[dict[str, float]]
    """Metrics of each output; empty where no output has any."""
    standard_requested: dict[str, Any]
    """Requested values of settings of the table that were given under another name."""
    standard_actual: dict[str, Any]
    """Reported values of settings of the table that were given under another name."""


def read_own_settings(record: Mapping[str, JsonValue]) -> OwnSettings:
    """What a record holds under names that are not in the table of settings."""
    variant, outputs = record.get("variant"), record.get("outputs")
    overrides = variant.get("overrides") if isinstance(variant, dict) else None
    requested, standard_requested = _read_settings(record.get("requested"))
    actual, standard_actual = _read_settings(record.get("actual"))
    asked = _read_overrides(overrides) | requested
    metrics = _read_metrics(scores) if (scores := record.get("metrics")) else {}
    digests = [output.get("digest") for output in outputs if isinstance(output, dict)] if metrics and outputs else []
    per_output = [metrics.get(digest, {}) for digest in digests]
    return OwnSettings(
        settings=_encode(asked | actual),
        requested=_encode(asked),
        metrics=metrics.get(None, {}),
        output_metrics=per_output if any(per_output) else [],
        standard_requested=standard_requested,
        standard_actual=standard_actual,
    )


def _read_settings(settings: JsonValue) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings under names of their own, and those under another name for a setting of the table."""
    own: dict[str, Any] = {}
    standard: dict[str, Any] = {}
    for name, value in _scalars(settings):
        if name in BY_NAME:
            continue
        setting = find_setting(name)
        given = settings.get(setting.name) if setting is not None and isinstance(settings, dict) else None
        if setting is None or (given is not None and given != value) or not _fits(value, setting.name):
            own[name] = value  # also where it says something else than the standard name beside it
        elif given is None:
            standard[setting.name] = value
    return own, standard


def _fits(value: Any, name: str) -> bool:
    return fit(value, SETTINGS_STRUCT.field(name).type) is not None


def _read_overrides(overrides: JsonValue) -> dict[str, Any]:
    return {_plain_name(name): value for name, value in _scalars(overrides) if name.encode() not in _KNOWN_OVERRIDES}


def _plain_name(dotted: str) -> str:
    """`foo` for `txt2img.extra.foo`, as an engine reports it, and `upscale.foo` for `upscale.extra.foo`."""
    return dotted.replace(_EXTRA, ".", 1).removeprefix("txt2img.")


def _scalars(settings: JsonValue) -> list[tuple[str, Any]]:
    items = settings.items() if isinstance(settings, dict) else ()
    return [(name, value) for name, value in items if isinstance(value, (str, int, float))]


def _read_metrics(metrics: JsonValue) -> dict[str | None, dict[str, float]]:
    """Scores by name, for each image id; None is the whole variant. A scorer's name is part of the name."""
    found: dict[str | None, dict[str, float]] = {}
    for score in iter_scores(metrics, ""):
        found.setdefault(score.image_id, {})[name_score(score)] = score.value
    return found


def name_score(score: Score) -> str:
    """The name of a score in the column of metrics; that of its scorer is a part of it."""
    return f"{score.metric} ({score.scorer})" if score.scorer else score.metric


def _encode(settings: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in sorted(settings.items())}


def parse_own_settings(data: bytes) -> list[OwnSettings]:
    """What each of the records in `data` (JSON Lines) holds under names of its own."""
    return [read_own_settings(from_json(line)) for line in data.split(b"\n") if line and not line.isspace()]


def add_own_settings(records: pa.Table, found: Sequence[OwnSettings]) -> pa.Table:
    """`records` with `OWN_SCHEMA`, and settings given under another name filled in. `found` is empty for none."""
    if not found:
        for field in OWN_SCHEMA:
            records = records.append_column(field, pa.nulls(len(records), field.type))
        return records
    for name, standard in (
        ("requested", [own.standard_requested for own in found]),
        ("actual", [own.standard_actual for own in found]),
    ):
        if any(standard):
            index = records.schema.get_field_index(name)
            records = records.set_column(index, records.schema.field(index), _fill(whole(records[name]), standard))
    columns = (
        [_to_list(own.settings) for own in found],
        [_to_list(own.requested) for own in found],
        [_to_list(own.metrics) for own in found],
        [[_to_list(metrics) for metrics in own.output_metrics] or None for own in found],
    )
    for field, column in zip(OWN_SCHEMA, columns, strict=True):
        records = records.append_column(field, pa.array(column, field.type))
    return records


def _to_list(named: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    """As a column of lists of name and value has it; null instead of an empty list."""
    return sorted(named.items()) or None


def _fill(settings: pa.StructArray, standard: Sequence[dict[str, Any]]) -> pa.StructArray:
    """Settings with those filled in that were given under another name."""
    used = {name for row in standard for name in row}
    parts = []
    for field in settings.type:
        part = pc.struct_field(settings, field.name)
        if field.name in used:
            values = [fit(row.get(field.name), field.type) for row in standard]
            part = pc.coalesce(part, pa.array(values, field.type))
        parts.append(part)
    is_null = np.array([not row for row in standard], bool) & settings.is_null().to_numpy(zero_copy_only=False)
    return pa.StructArray.from_arrays(parts, fields=list(settings.type), mask=pa.array(is_null))
