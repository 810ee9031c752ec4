"""Neighbours: variants that differ in exactly one setting. What changed between them is what made the difference."""

from typing import Any, Final, NamedTuple

from stablenew.index.asking.index_reader import IndexReader
from stablenew.index.stored_values import read_seed

SETTINGS: Final = (
    "prompt", "negative", "model", "sampler", "scheduler", "vae", "steps", "cfg_scale", "seed", "width", "height",
    "denoising_strength", "clip_skip",
)  # fmt: skip
_WORDS: Final = frozenset({"model", "sampler", "scheduler", "vae"})
_TEXTS: Final = frozenset({"prompt", "negative"})
_DIFFERENCES: Final = " + ".join(f"(v.{name} IS NOT o.{name})" for name in SETTINGS)
_MOST_CANDIDATES: Final = 10_000


class Neighbour(NamedTuple):
    """A variant that is like one of a run but for one setting."""

    run_id: str
    variant: int
    other_run_id: str
    other_variant: int
    setting: str
    value: Any
    other_value: Any


def find_neighbours(reader: IndexReader, run: int, limit: int) -> list[Neighbour]:
    """Neighbours of every variant of a run, by the settings that the index keeps, the newest first.

    A neighbour shares the prompt or the seed, so only variants with either are looked at.
    """
    rows: dict[tuple[Any, ...], None] = {}
    for column in ("prompt", "seed"):
        query = (
            f"SELECT v.run, v.position, o.run, o.position FROM variant v CROSS JOIN "
            f"(SELECT * FROM variant WHERE {column} IN (SELECT {column} FROM variant WHERE run = ?) "
            f"ORDER BY run DESC LIMIT {_MOST_CANDIDATES}) o "
            f"WHERE v.run = ? AND o.{column} = v.{column} AND {_DIFFERENCES} = 1 "
            f"ORDER BY o.run DESC, o.position, v.position LIMIT ?"
        )
        rows |= dict.fromkeys(reader.fetch(query, (run, run, limit)))
    newest = sorted(rows, key=lambda row: (-row[2], row[3], row[1]))[:limit]
    return [_describe(reader, *row) for row in newest]


def _describe(reader: IndexReader, run: int, position: int, other_run: int, other_position: int) -> Neighbour:
    mine, other = _settings(reader, run, position), _settings(reader, other_run, other_position)
    setting = next(name for name in SETTINGS if mine[name] != other[name])
    return Neighbour(
        mine["run_id"],
        mine["number"],
        other["run_id"],
        other["number"],
        setting,
        _value(reader, setting, mine[setting]),
        _value(reader, setting, other[setting]),
    )


def _settings(reader: IndexReader, run: int, position: int) -> dict[str, Any]:
    columns = f"run_id, number, {', '.join(f'v.{name}' for name in SETTINGS)}"
    query = f"SELECT {columns} FROM variant v JOIN run r ON r.id = v.run WHERE v.run = ? AND v.position = ?"
    return dict(zip(("run_id", "number", *SETTINGS), reader.fetch(query, (run, position))[0], strict=True))


def _value(reader: IndexReader, setting: str, value: Any) -> Any:
    if value is None:
        return None
    if setting in _WORDS:
        return reader.name(value)
    if setting in _TEXTS:
        return reader.fetch("SELECT body FROM text WHERE id = ?", (value,))[0][0]
    return read_seed(value) if setting == "seed" else value
