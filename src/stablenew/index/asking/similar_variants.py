"""Similar variants: pairs that differ in exactly one setting, which therefore made the difference."""

import json
from typing import Any, Final, NamedTuple

import numpy as np

from stablenew.formats.settings import BY_NAME
from stablenew.index.asking.columns.arrays import is_known
from stablenew.index.asking.columns.column_table import ColumnTable
from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.index_schema import VARIANT
from stablenew.index.stored_values import read_seed

_COMPARED: Final = {
    column.name: column.text
    for column in VARIANT.columns
    if column.name in BY_NAME or column.text in ("prompt", "negative")
}
"""The settings by which variants are compared, prompts included, and what their columns refer to."""
_DIFFERENCES: Final = " + ".join(f"(v.{name} IS NOT o.{name})" for name in _COMPARED)
_MOST_CANDIDATES: Final = 10_000


class SimilarVariant(NamedTuple):
    """A variant that differs from one of a run in one setting only."""

    run_id: str
    variant: int
    other_run_id: str
    other_variant: int
    setting: str
    value: Any
    other_value: Any


def find_similar_variants(reader: IndexReader, table: ColumnTable, run: int, limit: int) -> list[SimilarVariant]:
    """Variants that differ from one of a run in exactly one indexed setting, the newest first.

    Such variants share the prompt or the seed, so only variants with either are compared.
    """
    rows: dict[tuple[Any, ...], None] = {}
    for column in ("prompt", "seed"):
        query = (
            "SELECT v.run, v.position, o.run, o.position FROM json_each(?) AS found "
            "JOIN variant o ON o.run = json_extract(found.value, '$[0]') "
            "AND o.position = json_extract(found.value, '$[1]') "
            f"JOIN variant v ON v.run = ? AND v.{column} = o.{column} WHERE {_DIFFERENCES} = 1 "
            "ORDER BY o.run DESC, o.position, v.position LIMIT ?"
        )
        rows |= dict.fromkeys(reader.fetch(query, (json.dumps(_candidates(table, run, column)), run, limit)))
    newest = sorted(rows, key=lambda row: (-row[2], row[3], row[1]))[:limit]
    return [_describe(reader, *row) for row in newest]


def _candidates(table: ColumnTable, run: int, column: str) -> list[list[int]]:
    """Run and position of the newest variants that may have the same value of a column as one of a run."""
    own = table.rows_of(np.array([run]))
    name = "seed_low" if column == "seed" else column
    present = "seed_high" if column == "seed" else column
    known = table.rows.where(present, is_known) & table.rows["is_alive"]
    values = np.unique(table.rows.at(name, own[known[own]]))
    rows = np.flatnonzero(np.isin(table.rows[name], values) & known)
    keys = np.stack([table.runs["id"][table.rows["run"][rows]], table.rows.at("position", rows)], axis=1)
    newest = np.unique(keys, axis=0)[::-1]  # a variant with several outputs has several rows
    return newest[:_MOST_CANDIDATES].tolist()  # type: ignore[no-any-return]


def _describe(reader: IndexReader, run: int, position: int, other_run: int, other_position: int) -> SimilarVariant:
    mine, other = _settings(reader, run, position), _settings(reader, other_run, other_position)
    setting = next(name for name in _COMPARED if mine[name] != other[name])
    return SimilarVariant(
        mine["run_id"],
        mine["number"],
        other["run_id"],
        other["number"],
        setting,
        _value(reader, setting, mine[setting]),
        _value(reader, setting, other[setting]),
    )


def _settings(reader: IndexReader, run: int, position: int) -> dict[str, Any]:
    columns = f"run_id, number, {', '.join(f'v.{name}' for name in _COMPARED)}"
    query = f"SELECT {columns} FROM variant v JOIN run r ON r.id = v.run WHERE v.run = ? AND v.position = ?"
    return dict(zip(("run_id", "number", *_COMPARED), reader.fetch(query, (run, position))[0], strict=True))


def _value(reader: IndexReader, setting: str, value: Any) -> Any:
    if value is None:
        return None
    match _COMPARED[setting]:
        case "word":
            return reader.name(value)
        case "prompt" | "negative":
            return reader.fetch("SELECT body FROM text WHERE id = ?", (value,))[0][0]
        case None:
            return read_seed(value) if setting == "seed" else value
