"""Exports with the images beside their facts: Hugging Face imagefolder and WebDataset.

Both hold the final images that belong to a split; the others are counted. Image files are copies: changing an exported
dataset changes no run.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
from pyarrow import parquet as pq

from stablenew.formats.digest import short_digest
from stablenew.formats.media_type import extension_for
from stablenew.formats.settings import SETTINGS
from stablenew.formats.strict_json import encode_json
from stablenew.learning.dataset.columns import SPLITS, is_own_column
from stablenew.learning.dataset.exports.export_writer import (
    HELD_OUT,
    IMAGE_COLUMNS,
    INTERMEDIATE,
    CountingFile,
    Export,
    Row,
)

_FACTS: Final = (
    "run_id", "image_id", "negative_prompt", "stage", "engine", "variant", "image_height",
    *(setting.name for setting in SETTINGS if setting.name not in ("model_hash", "width", "height")),
    "rating", "rating_count", "pick_count", "reject_count", "win_count", "loss_count",
)  # fmt: skip
"""Columns that are written beside each image under their own name. `text` (the prompt) and `tags` come on top."""
_COLUMNS: Final = tuple(dict.fromkeys((*_FACTS, *IMAGE_COLUMNS, "prompt", "tags", "role", "split")))
SHARD_IMAGES: Final = 10_000
SHARD_BYTES: Final = 1_000_000_000
_ROWS_THAT_TELL: Final = 1_000
"""A reader of JSON Lines decides on a column's type by its first rows."""


class _Sample(NamedTuple):
    name: str
    """The file name without extension. It has no dot: WebDataset takes everything after the first one as the type."""
    extension: str
    """The file name extension."""
    data: bytes
    """The image."""
    facts: dict[str, Any]
    """See `describe_image`."""


def _own_columns(export: Export) -> list[str]:
    """Columns of settings and metrics that only this dataset has."""
    return [column.name for column in export.dataset.ledger.columns if is_own_column(column.name)]


def _iter_samples(export: Export, split: str) -> Iterator[_Sample]:
    own = _own_columns(export)
    for row in export.iter_rows((*_COLUMNS, *own)):
        if row["split"] == split and _is_final(row):
            data = export.read_image(row)
            if data is not None:
                yield _Sample(_name(row), extension_for(row["media_type"]), data, describe_image(export, row, own))


def _is_final(row: Row) -> bool:
    """Whether the image is the result of its variant; if a program marks none, all are."""
    return row["role"] in (None, "final")


def _count_left_out(export: Export) -> None:
    for row in export.iter_rows(("split", "role")):
        if not _is_final(row):
            export.left_out[INTERMEDIATE] += 1
        elif row["split"] is None:
            export.left_out[HELD_OUT] += 1


def _name(row: Row) -> str:
    in_place = short_digest(row["image_id"])  # its own name may be anything, and that of another image too
    stem = row["path"].partition("/")[2].rpartition(".")[0] if row["path"] else in_place
    return f"{row['run_id']}-{stem}".replace(".", "-")


def describe_image(export: Export, row: Row, own: Sequence[str] = ()) -> dict[str, Any]:
    """The facts of an image: numbers as numbers, tags as one text divided by commas, what is not known as null.

    `text` is the prompt. A seed column is text throughout where one of its seeds is beyond 2^53-1.
    """
    seeds = {name: str(row[name]) for name in export.text_seeds if name in _FACTS and row[name] is not None}
    facts = {name: row[name] for name in (*_FACTS, *own)}
    return {"text": row["prompt"], **facts, **seeds, "tags": ", ".join(row["tags"] or ()) or None}


def write_image_folder(export: Export) -> None:
    """`imagefolder/<split>/`: image files and their facts, as `load_dataset("imagefolder")` reads them.

    The facts are in `metadata.jsonl`. JSON Lines have no types: where a column is null throughout the first rows of one
    split and not of another, the splits would not fit together, and the facts are in `metadata.parquet` instead.
    """
    rows = {split: _write_images(export, split) for split in SPLITS}
    found = {split: facts for split, facts in rows.items() if facts}
    known = {name for facts in found.values() for row in facts for name, value in row.items() if value is not None}
    names = [name for name in next(iter(found.values()), [{}])[0] if name in known]
    export.columns_left_out = [name for name in next(iter(found.values()), [{}])[0] if name not in known]
    is_typed = all(_are_known(facts[:_ROWS_THAT_TELL], names) for facts in found.values())
    schema = None if is_typed else _facts_schema(export, names)
    for split, facts in found.items():
        _write_facts(export, split, [{name: row[name] for name in names} for row in facts], schema)
    _count_left_out(export)


def _write_facts(export: Export, split: str, facts: list[dict[str, Any]], schema: pa.Schema | None) -> None:
    """Write the facts of a split's images: as JSON Lines, or with a `schema` as Parquet."""
    if schema is None:
        lines = b"".join(encode_json(row) + b"\n" for row in facts)
        export.write_file(f"imagefolder/{split}/metadata.jsonl", lambda file: _put(file, lines, 0))
        return
    table = pa.Table.from_pylist(facts, schema)
    export.write_file(f"imagefolder/{split}/metadata.parquet", lambda file: _put_table(file, table), adds_rows=False)


def _write_images(export: Export, split: str) -> list[dict[str, Any]]:
    """Write the images of a split; return their facts."""
    facts = []
    for sample in _iter_samples(export, split):
        file_name = f"{sample.name}.{sample.extension}"
        export.write_file(f"imagefolder/{split}/{file_name}", lambda file, data=sample.data: _put(file, data, 1))  # type: ignore[misc]
        facts.append({"file_name": file_name} | sample.facts)
    return facts


def _are_known(facts: Sequence[dict[str, Any]], names: Sequence[str]) -> bool:
    """Whether each of the columns has a value in some row."""
    return all(any(row[name] is not None for row in facts) for name in names)


def _facts_schema(export: Export, names: Sequence[str]) -> pa.Schema:
    types = {column.name: column.type for column in export.dataset.columns}
    texts = {"file_name", "text", "tags", *export.text_seeds}
    return pa.schema([(name, pa.string() if name in texts else types[name]) for name in names])


def _put(file: CountingFile, data: bytes, count: int) -> int:
    file.write(data)
    return count


def _put_table(file: CountingFile, table: pa.Table) -> int:
    pq.write_table(table, pa.PythonFile(file, "w"))
    return len(table)


def write_web_dataset(export: Export) -> None:
    """`webdataset/<split>-000000.tar` and so on: each image with a `.txt` of its prompt and a `.json` of its facts."""
    for split in SPLITS:
        samples = iter(_iter_samples(export, split))
        first = next(samples, None)
        number = 0
        while first is not None:
            shard = _Shard(first, samples)
            export.write_file(f"webdataset/{split}-{number:06d}.tar", shard.write)
            first, number = shard.next_sample, number + 1
    _count_left_out(export)


class _Shard:
    """One tar file: as many samples as fit."""

    def __init__(self, first: _Sample, rest: Iterator[_Sample]) -> None:
        self.next_sample: _Sample | None = first
        self._rest = rest

    def write(self, file: CountingFile) -> int:
        """Write the file; return how many samples are in it."""
        count = 0
        # PAX is USTAR but for names of more than 100 characters, which USTAR cannot hold
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            while self.next_sample is not None and count < SHARD_IMAGES and file.size_bytes < SHARD_BYTES:
                _add_sample(tar, self.next_sample)
                count += 1
                self.next_sample = next(self._rest, None)
        return count


def _add_sample(tar: tarfile.TarFile, sample: _Sample) -> None:
    parts: Sequence[tuple[str, bytes]] = (
        (sample.extension, sample.data),
        ("txt", sample.facts["text"].encode()),
        ("json", encode_json(sample.facts)),
    )
    for extension, data in parts:
        member = tarfile.TarInfo(f"{sample.name}.{extension}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
