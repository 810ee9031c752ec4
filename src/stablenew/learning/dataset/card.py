"""The card of a dataset: `README.md` in its folder, for whoever opens it without StableNew. Pure.

It begins with the metadata block that Hugging Face's `load_dataset` and its Hub read.
"""

from collections.abc import Iterator
from typing import Final

from stablenew.formats.documents.dataset_ledger import DatasetExport, DatasetLedger
from stablenew.learning.dataset.columns import PREFERENCE_COLUMNS
from stablenew.learning.dataset.exports.export_writer import LEFT_OUT

CARD: Final = "README.md"
_MARK: Final = "<!-- Written by `stablenew dataset build`; the next build replaces this file. -->"
_HEAD: Final = f"""---
configs:
- config_name: default
  data_files: images/*.parquet
---
{_MARK}
"""
_EXPORTS: Final = {
    "jsonl": "`images.jsonl`: one image per line, without the columns that are null.",
    "csv": "`images.csv`: every column; lists as JSON.",
    "pairs": "`pairs/<split>.parquet`: comparisons of two images of one prompt, in the columns of Pick-a-Pic v2.",
    "imagefolder": '`imagefolder/`: copies of the images, for `load_dataset("imagefolder", data_dir=...)`.',
    "webdataset": "`webdataset/<split>-*.tar`: each image with its prompt (`.txt`) and its facts (`.json`).",
}
_NOTES: Final = """\
A rating is a number from 0 to 5, and null where nobody rated the image. Seeds are exact: unsigned 64-bit integers in
Parquet and CSV; in JSON a seed column is text throughout if one of its seeds is beyond 2^53-1. The file of an image is
`<run_id>/<path>` in the store; `path` is null for an image that lies in the folder of its tool. `split` is null for
images that seed or ancestry tie to another split than their prompt's; they belong to no split. An image that is in
several runs has a row for each, which all say what people said of it in any; keep the rows whose `copy_of` is null to
have each image once. The same bytes are never in two splits."""


def is_our_card(data: bytes) -> bool:
    """Whether a `README.md` was written by a build, so that the next one may replace it."""
    return _MARK.encode() in data


def build_card(ledger: DatasetLedger) -> bytes:
    """The card of the dataset with this ledger."""
    return "\n".join(_lines(ledger)).encode("utf-8", "replace")


def _lines(ledger: DatasetLedger) -> Iterator[str]:
    counts, splits = ledger.counts, ledger.split_counts
    yield _HEAD
    yield "# Rated images\n"
    yield (
        f"{counts.images:,} images of {counts.runs_joined:,} runs, {counts.images_rated:,} of them rated, and "
        f"{counts.preferences:,} comparisons, built by StableNew {ledger.software_version} at {ledger.built_at}. "
        "One row is one output image with its run, variant, settings, prompt and what people think of it.\n"
    )
    if ledger.source.query:
        yield f"Only images that fit `{_escape(ledger.source.query)}` are in it.\n"
    yield "| split | images |\n|---|---|"
    for name in ("train", "validation", "test", "held_out"):
        yield f"| {name} | {getattr(splits, name):,} |"
    yield f"\nNo {', '.join(ledger.split.by)} is in two splits. {_NOTES}\n"
    yield "## Files\n"
    yield "- `images/*.parquet`: the images; all files together are one table. A file is named after its first run."
    yield "- `preferences.*.parquet`: the comparisons."
    yield "- `runs.*.parquet`: every run that was seen, and why it was left out."
    yield "- `dataset.json`: an account of the build, with the digest of every file."
    for export in ledger.exports:
        yield from _describe_export(export)
    yield "\n## Columns of the images\n\n| column | type | meaning |\n|---|---|---|"
    for column in ledger.columns:
        yield f"| `{_escape(column.name)}` | {_escape(column.type)} | {_escape(column.meaning)} |"
    yield "\n## Columns of the comparisons\n\n| column | type | meaning |\n|---|---|---|"
    for name, kind, meaning in PREFERENCE_COLUMNS:
        yield f"| `{name}` | {kind} | {_escape(meaning)} |"
    yield ""


def _describe_export(export: DatasetExport) -> Iterator[str]:
    yield f"- {_EXPORTS.get(export.name, export.name)} {export.row_count:,} rows."
    for reason, count in export.left_out.items():
        yield f"  - {count:,} left out: {LEFT_OUT.get(reason, reason)}."
    if export.columns_left_out:
        yield f"  - Columns without any value, left out: {', '.join(map(_escape, export.columns_left_out))}."


def _escape(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
