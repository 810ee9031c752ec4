"""Exports of the rows themselves: JSON Lines, CSV, and preference pairs for training by comparison."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet as pq

from stablenew.formats.strict_json import encode_json
from stablenew.learning.dataset.columns import SPLITS
from stablenew.learning.dataset.exports.export_writer import (
    ACROSS_SPLITS,
    HELD_OUT,
    IMAGE_COLUMNS,
    NO_IMAGE,
    OTHER_PROMPTS,
    CountingFile,
    Export,
    Row,
    to_plain_json,
)


def write_json_lines(export: Export) -> None:
    """`images.jsonl`: one line per image, without the columns that are null."""

    def write(file: CountingFile) -> int:
        count = 0
        for row in export.iter_rows():
            file.write(encode_json(export.to_plain_row(row)) + b"\n")
            count += 1
        return count

    export.write_file("images.jsonl", write)


def write_csv(export: Export) -> None:
    """`images.csv`: every column; lists as JSON."""
    columns = pa.schema([(column.name, column.type) for column in export.dataset.columns])
    schema = pa.schema([field if _is_flat(field) else field.with_type(pa.string()) for field in columns])

    def write(file: CountingFile) -> int:
        count = 0
        with arrow_csv.CSVWriter(pa.PythonFile(file, "w"), schema) as writer:
            for table in export.dataset.iter_tables():
                flat = [_flatten(table[field.name], field) for field in columns]
                writer.write_table(pa.table(flat, schema=schema))
                count += len(table)
        return count

    export.write_file("images.csv", write)


def _is_flat(field: pa.Field) -> bool:
    return not pa.types.is_nested(field.type)


def _flatten(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if _is_flat(field):
        return column
    texts = [
        None if value is None else json.dumps(to_plain_json(value), ensure_ascii=False) for value in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


PAIRS_SCHEMA: Final = pa.schema(
    [
        ("caption", pa.string()),
        ("jpg_0", pa.binary()),
        ("jpg_1", pa.binary()),
        ("label_0", pa.float64()),
        ("label_1", pa.float64()),
        ("image_0_uid", pa.string()),
        ("image_1_uid", pa.string()),
        ("best_image_uid", pa.string()),
        ("model_0", pa.string()),
        ("model_1", pa.string()),
        ("has_label", pa.bool_()),
        ("are_different", pa.bool_()),
        ("user_id", pa.string()),
        ("ranking_id", pa.string()),
        ("created_at", pa.string()),
    ]
)
"""The columns of Pick-a-Pic v2 that Diffusion-DPO reads, and their labels: 1 for the better image, 0.5 for a tie.

The images are the recorded bytes, even if they are not JPEG: readers detect the format from the content.
"""
_PAIR_COLUMNS: Final = (*IMAGE_COLUMNS, "prompt", "model", "split", "run_created_at")
_RUNS: Final = ("run_id", "other_run_id")
"""Of a comparison."""
_ROW_GROUP: Final = 64


_Pair = tuple[Row, Row, Row]
"""A comparison, its winner and its loser."""


def write_pairs(export: Export) -> None:
    """`pairs/<split>.parquet`: one row for each comparison of two images of one prompt in one split."""
    preferences = export.dataset.read_preferences().to_pylist()
    runs = {preference[name] for preference in preferences for name in _RUNS if preference[name]}
    images = {(row["run_id"], row["image_id"]): row for row in export.find_rows(runs, _PAIR_COLUMNS)}
    by_split: dict[str, list[_Pair]] = {split: [] for split in SPLITS}
    for preference in preferences:
        winner, loser = (_find(images, preference, preference[name]) for name in ("winner", "loser"))
        reason = _why_not(winner, loser)
        if reason is not None:
            export.left_out[reason] += 1
        elif winner is not None and loser is not None:
            by_split[winner["split"]].append((preference, winner, loser))
    for split, pairs in by_split.items():
        if pairs:
            export.write_file(f"pairs/{split}.parquet", lambda file, pairs=pairs: _write_pairs(export, pairs, file))  # type: ignore[misc]


def _find(images: Mapping[tuple[str, str], Row], preference: Row, image: str) -> Row | None:
    """The row of an image that was compared: in the run of the comparison, or in the other one."""
    return next((row for name in _RUNS if (row := images.get((preference[name], image)))), None)


def _why_not(winner: Row | None, loser: Row | None) -> str | None:
    """Why a comparison cannot be learned from; None if it can."""
    if winner is None or loser is None:
        return NO_IMAGE
    if winner["prompt"] != loser["prompt"]:
        return OTHER_PROMPTS
    if winner["split"] is None or loser["split"] is None:
        return HELD_OUT
    return None if winner["split"] == loser["split"] else ACROSS_SPLITS


def _write_pairs(export: Export, pairs: list[_Pair], file: CountingFile) -> int:
    count = 0
    with pq.ParquetWriter(pa.PythonFile(file, "w"), PAIRS_SCHEMA, compression="zstd") as writer:
        for start in range(0, len(pairs), _ROW_GROUP):
            rows = [row for pair in pairs[start : start + _ROW_GROUP] if (row := _build_pair(export, *pair))]
            writer.write_table(pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA))
            count += len(rows)
    return count


def _build_pair(export: Export, preference: Row, winner: Row, loser: Row) -> dict[str, Any] | None:
    data = [export.read_image(row) for row in (winner, loser)]
    if None in data:
        return None
    is_win = preference["outcome"] == "win"
    is_winner_first = _is_winner_first(preference)
    first, second = (winner, loser) if is_winner_first else (loser, winner)
    jpgs = data if is_winner_first else data[::-1]
    label = (1.0 if is_winner_first else 0.0) if is_win else 0.5
    return {
        "caption": winner["prompt"],
        "jpg_0": jpgs[0],
        "jpg_1": jpgs[1],
        "label_0": label,
        "label_1": 1 - label,
        "image_0_uid": first["image_id"],
        "image_1_uid": second["image_id"],
        "best_image_uid": winner["image_id"] if is_win else "",
        "model_0": first["model"],
        "model_1": second["model"],
        "has_label": True,
        "are_different": winner["image_id"] != loser["image_id"],
        "user_id": preference["rater"],
        "ranking_id": preference["event_id"],
        "created_at": to_plain_json(winner["run_created_at"]),
    }


def _is_winner_first(preference: Row) -> bool:
    """As it was shown, else by the last bit of the event's id, so that the order says nothing."""
    if preference["shown"] in {"left", "right"}:
        return bool(preference["shown"] == "left")
    return int(preference["event_id"][-1], 16) % 2 == 0
