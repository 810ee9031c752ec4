"""Images as rows: what is shown of each, with all the places where it is."""

from collections.abc import Iterable
from typing import Any, Final

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.index_reader import IndexReader, Row, timestamp_of
from stablenew.index.index_schema import VARIANT
from stablenew.index.stored_values import read_seed, split_names, unpack_digest, write_seed

MAX_PLACES: Final = 20
"""How many of the places of an image are shown: an all black image may have thousands."""
_TEXTS: Final = {column.name: column.text for column in VARIANT.columns}
_SETTINGS: Final = ", ".join(f"v.{setting.name}" for setting in INDEXED)
_SELECT: Final = (
    "SELECT r.run_id, r.created, v.number, p.number, p.path, p.width, p.height, p.type, p.stage, p.image, i.digest, "
    "i.rating, i.rater_count, (SELECT body FROM text WHERE id = v.prompt), "
    f"(SELECT body FROM text WHERE id = v.negative), v.other_settings, {_SETTINGS} "
    "FROM place p JOIN run r ON r.id = p.run JOIN variant v ON v.run = p.run AND v.position = p.position "
    "JOIN image i ON i.id = p.image WHERE p.run = ? AND p.position = ? AND p.number = ?"
)
_SELECT_PLACES: Final = (
    "SELECT r.run_id, v.number, p.number, p.path FROM place p JOIN run r ON r.id = p.run "
    "JOIN variant v ON v.run = p.run AND v.position = p.position WHERE p.image = ? "
    f"ORDER BY p.run, p.position, p.number LIMIT {MAX_PLACES}"
)
_SETTINGS_AT: Final = 16


def read_images(reader: IndexReader, keys: Iterable[tuple[int, int, int]], rater: str) -> list[Row]:
    """The images at these places (run, position, number), in order; deleted ones are left out."""
    with reader.snapshot():
        rows = ((key, reader.fetch(_SELECT, key)) for key in keys)
        return [_build(reader, key, found[0], rater) for key, found in rows if found]


def _build(reader: IndexReader, key: tuple[int, int, int], row: tuple[Any, ...], rater: str) -> Row:
    image = row[9]
    mine = reader.fetch(
        "SELECT rating FROM opinion WHERE image = ? AND is_latest AND rater = (SELECT id FROM name WHERE text = ?)",
        (image, rater),
    )
    tags = reader.fetch("SELECT DISTINCT text FROM tag JOIN name ON name.id = tag.name WHERE image = ?", (image,))
    flags = reader.fetch("SELECT DISTINCT text FROM opinion JOIN name ON name.id = flag WHERE image = ?", (image,))
    metrics = reader.fetch(
        "SELECT text, value FROM score JOIN name ON name.id = score.name WHERE image = ? ORDER BY scored_at, value",
        (image,),
    )
    return {
        "digest": unpack_digest(row[10]),
        "run_id": row[0],
        "name": f"{row[2]}/{row[3]}",
        "path": row[4],
        "created_at": None if row[1] is None else timestamp_of(row[1]),
        "width": row[5],
        "height": row[6],
        "media_type": reader.name(row[7]).rpartition("\0")[2],
        "stage": reader.name(row[8]),
        "prompt": row[13],
        "negative": row[14],
        "settings": _settings(reader, key, row),
        "rating": row[11],
        "rater_count": row[12] or 0,
        "mine": mine[0][0] if mine else None,
        "flags": sorted(text for (text,) in flags),
        "tags": sorted(text for (text,) in tags),
        "metrics": {text.removeprefix("metric."): value for text, value in metrics if text.startswith("metric.")},
        "places": [
            {"run_id": run_id, "name": f"{variant}/{number}", "path": path}
            for run_id, variant, number, path in reader.fetch(_SELECT_PLACES, (image,))
        ],
    }


def _settings(reader: IndexReader, key: tuple[int, int, int], row: tuple[Any, ...]) -> dict[str, Any]:
    """The settings of the image's variant as they ran, by name."""
    found: dict[str, Any] = {}
    for setting, value in zip(INDEXED, row[_SETTINGS_AT:], strict=True):
        if value is not None:
            shown = reader.name(value) if _TEXTS[setting.name] else value
            found[setting.name] = write_seed(read_seed(value)) if setting.name == "seed" else shown
    if row[15] is not None:
        query = (
            "SELECT value FROM setting WHERE name = (SELECT id FROM name WHERE text = ?) AND run = ? AND position = ?"
        )
        for name in split_names(reader.name(row[15])):
            for (value,) in reader.fetch(query, (name, *key[:2])):
                found[name] = value
    return found
