"""Jobs as rows, in the JSON form of JobSummary, and the settings of a whole job."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.index_reader import PATH_COLUMNS, IndexReader, Row
from stablenew.index.index_schema import FIELD_PACK, FIELD_TAG, NO_POSITION
from stablenew.index.stored_values import MAX_SHOWN_OUTPUTS, timestamp_of, unpack_digest, write_seed

_SELECT_RUN: Final = (
    "SELECT run_id, created, state, status, engine, action, plan_size, record_count, output_count, duration, seed, "
    "seed_count, rating, best_rating, rated_count, pick_count, reject_count, note_count, problem FROM run WHERE id = ?"
)
_SELECT_FIRST_VARIANT: Final = (
    "SELECT model, body FROM variant LEFT JOIN text ON text.id = prompt WHERE run = ? AND position = 0"
)
_SELECT_OUTPUTS: Final = (
    f"SELECT {PATH_COLUMNS} FROM place p JOIN variant v ON v.run = p.run AND v.position = p.position "
    "JOIN image i ON i.id = p.image WHERE p.run = ?"
)
_SHOWN: Final = ("model", "sampler", "steps", "cfg_scale")
"""Settings that are shown although they do not vary."""
_MOST_VALUES: Final = 4
_COLUMNS: Final = {
    setting: f"coalesce(nullif(p.{setting.name}, 0), v.{setting.name})"
    if setting.name in ("width", "height")
    else f"v.{setting.name}"
    for setting in INDEXED
    if setting.type != "seed"
}
_SELECT: Final = (
    f"SELECT {', '.join(f'json_group_array(DISTINCT {column})' for column in _COLUMNS.values())} FROM variant v "
    "LEFT JOIN place p ON p.run = v.run AND p.position = v.position WHERE v.run = ?"
)

JobSettings = dict[str, dict[str, Any]]
"""By name: the first `values`, and the `count` of them all."""


def read_jobs(reader: IndexReader, ids: Iterable[int]) -> list[Row]:
    """The runs in the form of JobSummary, in the given order; deleted ones are left out."""
    with reader.snapshot() as connection:
        if connection is None:
            return []
        return [row for row in (_read_job(reader, connection, identifier) for identifier in ids) if row is not None]


def final_outputs(reader: IndexReader, identifier: int) -> list[tuple[int, str, str]]:
    """Variant, path and digest of the final outputs that a run holds, in order."""
    rows = reader.fetch(
        f"{_SELECT_OUTPUTS} AND path IS NOT NULL ORDER BY p.position, p.number",
        (identifier,),
    )
    return [(row[1], reader.path_of(row) or "", unpack_digest(row[4])) for row in rows]


def output_at(reader: IndexReader, run: int, position: int, number: int) -> dict[str, Any] | None:
    """Path and digest of one output; None when it was deleted."""
    query = f"{_SELECT_OUTPUTS} AND p.position = ? AND p.number = ?"
    rows = reader.fetch(query, (run, position, number))
    return _output(reader, rows[0]) if rows else None


def _output(reader: IndexReader, stored: Sequence[Any]) -> dict[str, Any]:
    return {"path": reader.path_of(stored), "digest": unpack_digest(stored[4])}


def _read_job(reader: IndexReader, connection: sqlite3.Connection, identifier: int) -> Row | None:
    run = connection.execute(_SELECT_RUN, (identifier,)).fetchone()
    if run is None:
        return None
    model, prompt = connection.execute(_SELECT_FIRST_VARIANT, (identifier,)).fetchone()
    query = "SELECT field, name FROM label WHERE run = ? AND position = ?"
    labels = connection.execute(query, (identifier, NO_POSITION)).fetchall()
    tags = connection.execute("SELECT DISTINCT name FROM tag WHERE run = ? AND is_present", (identifier,)).fetchall()
    tag_ids = {name for kind, name in labels if kind == FIELD_TAG} | {name for (name,) in tags}
    query = f"{_SELECT_OUTPUTS} ORDER BY p.position, p.number LIMIT ?"
    outputs = connection.execute(query, (identifier, MAX_SHOWN_OUTPUTS)).fetchall()
    return {
        "kind": "stablenew.job_summary",
        "schema_version": "1.0",
        "run_id": run[0],
        "created_at": None if run[1] is None else timestamp_of(run[1]),
        "status": reader.name(run[3]),
        "state": reader.name(run[2]),
        "packs": sorted(reader.name(name).split("\0")[0] for kind, name in labels if kind == FIELD_PACK),
        "one_click_action": reader.name_or_none(run[5]),
        "engine": reader.name_or_none(run[4]),
        "model": reader.name_or_none(model),
        "prompt": prompt,
        "tags": sorted(map(reader.name, tag_ids)),
        "record_count": run[7],
        "plan_size": run[6],
        "output_count": run[8],
        "duration_seconds": run[9],
        "seed": write_seed(run[10]),
        "seed_count": run[11],
        "rating": run[12],
        "best_rating": run[13],
        "rated_count": run[14],
        "pick_count": run[15],
        "reject_count": run[16],
        "note_count": run[17],
        "outputs": [_output(reader, output) for output in outputs],
        "fitting": None,
        "problem": run[18],
    }


def read_job_settings(reader: IndexReader, identifier: int) -> JobSettings:
    """The settings of a run that people look for, and those that vary; seeds are left out."""
    settings: JobSettings = {}
    for row in reader.fetch(_SELECT, (identifier,)):
        for setting, listed in zip(_COLUMNS, row, strict=True):
            values = sorted(value for value in json.loads(listed) if value is not None)
            if len(values) > 1 or (values and setting.name in _SHOWN):
                shown = values[:_MOST_VALUES]
                texts = [reader.name(value) if setting.type == "text" else round(float(value), 5) for value in shown]
                settings[setting.name] = {"values": texts, "count": len(values)}
    return settings
