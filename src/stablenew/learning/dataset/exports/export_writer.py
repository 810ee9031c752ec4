"""What all exports share: what they read, how their files are written, and what they could not include."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, BinaryIO, Final

import pyarrow as pa
import xxhash
from pyarrow import compute as pc

from stablenew.disk.atomic_file import replace_cached_by
from stablenew.formats.clock import format_timestamp
from stablenew.formats.digest import PREFIX, digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile
from stablenew.formats.image_files import open_image
from stablenew.formats.media_type import extension_for
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from stablenew.learning.dataset.columns import COLUMNS, SEED
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source.run_source import Problem, RunSource

INTERMEDIATE: Final = "intermediate"
HELD_OUT: Final = "held_out"
ACROSS_SPLITS: Final = "across_splits"
MISSING: Final = "missing"
NOT_AN_IMAGE: Final = "not_an_image"
OTHER_PROMPTS: Final = "other_prompts"
NO_IMAGE: Final = "no_such_image"
LEFT_OUT: Final[Mapping[str, str]] = {
    INTERMEDIATE: "images that a later stage took as its input",
    HELD_OUT: "images in no split, because seed or lineage tie them to another split than their prompt",
    ACROSS_SPLITS: "comparisons of images in two different splits",
    MISSING: "files that are not there or not what was recorded; `problems` in dataset.json names them",
    NOT_AN_IMAGE: "videos and files that the library would not open as an image",
    OTHER_PROMPTS: "comparisons of images of different prompts",
    NO_IMAGE: "comparisons of an image that the dataset does not have",
}
"""Why an export does not include something, by the reason's name in the ledger."""

_OPENED: Final = frozenset({"png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"})
"""Extensions of the images that every build of Pillow opens and that Hugging Face's imagefolder recognises."""

Row = dict[str, Any]


class CountingFile(io.RawIOBase):
    """A file written from front to back, which knows digest and size of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = xxhash.xxh3_128()
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        self._hash.update(data)
        count = memoryview(data).nbytes
        self.size_bytes += count
        self._file.write(data)
        return count

    def writable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self.size_bytes

    @property
    def digest(self) -> str:
        """The content address of what was written."""
        return PREFIX + self._hash.hexdigest()


@dataclass
class Export:
    """One export while it is written."""

    name: str
    """One of `dataset_exports.EXPORTS`."""
    dataset: Dataset
    """The dataset it is made of."""
    source: RunSource
    """Where the images are read from."""
    files: list[DatasetFile] = field(default_factory=list)
    """The files written so far."""
    row_count: int = 0
    """Rows written so far."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many images or comparisons of the dataset are not included, by reason (see `LEFT_OUT`)."""
    columns_left_out: list[str] = field(default_factory=list)
    """Columns that are not included because no image has a value."""
    problems: list[Problem] = field(default_factory=list)
    """Images that could not be read."""

    def iter_rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """Each image as a dict."""
        for table in self.dataset.iter_tables(columns):
            yield from table.to_pylist()

    def find_rows(self, run_ids: set[str], columns: Sequence[str]) -> Iterator[Row]:
        """The images of some runs; `run_id` is one of the `columns`."""
        wanted = pa.array(sorted(run_ids), pa.string())
        for table in self.dataset.iter_tables(columns):
            yield from table.filter(pc.is_in(table["run_id"], wanted)).to_pylist()

    @cached_property
    def text_seeds(self) -> frozenset[str]:
        """The seed columns to write as text in JSON, because a seed is beyond 2^53-1, where JSON readers round.

        A column has one type throughout, or its library could not read it.
        """
        names = [column.name for column in COLUMNS if column.type == SEED]
        found = set()
        for table in self.dataset.iter_tables(names):
            found |= {name for name in names if (pc.max(table[name]).as_py() or 0) > MAX_SAFE_INTEGER}
        return frozenset(found)

    def to_plain_row(self, row: Row) -> Row:
        """A row as JSON, without values that are null."""
        plain = {name: to_plain_json(value) for name, value in row.items() if value is not None}
        return plain | {name: str(row[name]) for name in self.text_seeds & plain.keys()}

    def write_file(self, path: str, write: Callable[[CountingFile], int], *, adds_rows: bool = True) -> None:
        """Write one file of the export; `write` returns how many rows it wrote.

        With `adds_rows` false they are facts about rows of other files and not counted again.
        """
        target = self.dataset.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)

        def put(file: BinaryIO) -> None:
            counting = CountingFile(file)
            rows = write(counting)
            self.row_count += rows if adds_rows else 0
            self.files.append(
                DatasetFile(
                    path=path,
                    content=self.name,
                    row_count=rows,
                    size_bytes=counting.size_bytes,
                    digest=counting.digest,
                )
            )

        replace_cached_by(target, put)

    def read_image(self, row: Row) -> bytes | None:
        """The bytes of an image, given its `run_id`, `path`, `image_id`, `media_type` and `image_width`.

        None where its library could not open it, or where it is not there or not what was recorded, which is reported.
        """
        if extension_for(row["media_type"]) not in _OPENED:
            self.left_out[NOT_AN_IMAGE] += 1
            return None
        data = self._read_output(row)
        if data is not None and row["image_width"] is None and not _is_image(data):
            self.left_out[NOT_AN_IMAGE] += 1
            return None
        return data

    def _read_output(self, row: Row) -> bytes | None:
        try:
            data = self.source.read_output(row["run_id"], row["path"], row["image_id"])
        except OSError as error:
            reason = f"it cannot be read: {error.strerror or error}"
        else:
            if digest_bytes(data) == row["image_id"]:
                return data
            reason = "it is not the image that was recorded"
        self.left_out[MISSING] += 1
        self.problems.append(Problem(row["run_id"], row["path"] or row["image_id"], None, reason))
        return None


def _is_image(data: bytes) -> bool:
    """Whether Pillow can open and decode it."""
    try:
        with open_image(data) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, Warning):
        return False
    return True


IMAGE_COLUMNS: Final = ("run_id", "path", "image_id", "media_type", "image_width")
"""What `Export.read_image` needs of a row."""


def to_plain_json(value: Any) -> Any:
    """A value of a row as JSON: times as text, integers beyond 2^53-1 as decimal text."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, Mapping):
        return {key: to_plain_json(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [to_plain_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SAFE_INTEGER:
        return str(value)
    return value
