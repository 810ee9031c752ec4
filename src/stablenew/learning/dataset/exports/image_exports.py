"""Exports with the images beside what is known of them: Hugging Face imagefolder and WebDataset.

Both hold the final images that belong to a split; the others are counted. Image files are copies: the run folders stay
the truth, and whoever changes a dataset changes no run.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from stablenew.formats.media_type import extension_for
from stablenew.formats.strict_json import encode_json
from stablenew.learning.dataset.columns import SPLITS
from stablenew.learning.dataset.exports.export_writer import HELD_OUT, INTERMEDIATE, CountingFile, Export, Row

_TEXTS: Final = ("run_id", "image_id", "negative_prompt", "model", "sampler", "scheduler", "stage", "engine")
_NUMBERS: Final = (
    "variant", "steps", "cfg_scale", "denoising_strength", "image_width", "image_height",
    "rating_count", "pick_count", "reject_count", "win_count", "loss_count",
)  # fmt: skip
_COLUMNS: Final = (*_TEXTS, *_NUMBERS, "prompt", "seed", "rating", "tags", "path", "media_type", "role", "split")
SHARD_IMAGES: Final = 10_000
SHARD_BYTES: Final = 1_000_000_000


class _Sample(NamedTuple):
    name: str
    """Without a dot: WebDataset takes what follows the first one for the kind of a file."""
    extension: str
    data: bytes
    facts: dict[str, Any]


def _iter_samples(export: Export, split: str) -> Iterator[_Sample]:
    for row in export.iter_rows(_COLUMNS):
        if row["split"] == split and _is_final(row):
            data = export.read_image(row["run_id"], row["path"], row["image_id"])
            if data is not None:
                yield _Sample(_name(row), extension_for(row["media_type"]), data, describe_image(row))


def _is_final(row: Row) -> bool:
    """Whether a variant came to this image; programs that mark none count all."""
    return row["role"] in (None, "final")


def _count_left_out(export: Export) -> None:
    for row in export.iter_rows(("split", "role")):
        if not _is_final(row):
            export.left_out[INTERMEDIATE] += 1
        elif row["split"] is None:
            export.left_out[HELD_OUT] += 1


def _name(row: Row) -> str:
    stem = row["path"].partition("/")[2].rpartition(".")[0]
    return f"{row['run_id']}-{stem}".replace(".", "-")


def describe_image(row: Row) -> dict[str, Any]:
    """What is known of an image, each fact of one type wherever it is read; `text` is the prompt.

    Seeds are texts, because they exceed 2^53; so is the rating, because unrated is not zero and a number that is null
    in all rows of a file has no type; so are tags, divided by commas. A text that is not known is empty.
    """
    return {
        "text": row["prompt"],
        **{name: row[name] or "" for name in _TEXTS},
        "seed": "" if row["seed"] is None else str(row["seed"]),
        "rating": "" if row["rating"] is None else f"{row['rating']:g}",
        "tags": ", ".join(row["tags"] or ()),
        **{name: row[name] for name in _NUMBERS},
    }


def write_image_folder(export: Export) -> None:
    """`imagefolder/<split>/`: image files and a `metadata.jsonl`, as `load_dataset("imagefolder")` reads them."""
    export.columns_left_out = _untyped_numbers(export)
    for split in SPLITS:
        lines = []
        for sample in _iter_samples(export, split):
            file_name = f"{sample.name}.{sample.extension}"
            export.write_file(f"imagefolder/{split}/{file_name}", lambda file, data=sample.data: _put(file, data))  # type: ignore[misc]
            facts = {name: fact for name, fact in sample.facts.items() if name not in export.columns_left_out}
            lines.append(encode_json({"file_name": file_name} | facts) + b"\n")
        if lines:
            export.write_file(f"imagefolder/{split}/metadata.jsonl", lambda file, data=lines: _put_lines(file, data))  # type: ignore[misc]
    _count_left_out(export)


def _untyped_numbers(export: Export) -> list[str]:
    """The numbers that some split knows of none of its images: its reader would take them for another type."""
    known: dict[str, set[str]] = {}
    for row in export.iter_rows((*_NUMBERS, "split", "role")):
        if row["split"] is not None and _is_final(row):
            known.setdefault(row["split"], set()).update(name for name in _NUMBERS if row[name] is not None)
    return [name for name in _NUMBERS if not all(name in names for names in known.values())]


def _put(file: CountingFile, data: bytes) -> int:
    file.write(data)
    return 1


def _put_lines(file: CountingFile, lines: list[bytes]) -> int:
    for line in lines:
        file.write(line)
    return 0


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
        count = 0
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
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
