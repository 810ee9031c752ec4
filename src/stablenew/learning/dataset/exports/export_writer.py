"""What all exports share: where they read, how their files are written, and what they could not take."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import xxhash
from pyarrow import compute as pc

from stablenew.disk.atomic_file import replace_cached_by
from stablenew.formats.clock import format_timestamp
from stablenew.formats.digest import PREFIX, digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source.run_source import RunSource
from stablenew.learning.dataset.source.run_tables import Problem

INTERMEDIATE = "intermediate"
HELD_OUT = "held_out"
MISSING = "missing"
OTHER_PROMPTS = "other_prompts"
NO_IMAGE = "no_such_image"

Row = dict[str, Any]


class CountingFile(io.RawIOBase):
    """A file that is written from front to back; it knows the digest and the size of what went in."""

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
        """It is for writing."""
        return True

    def tell(self) -> int:
        """Where the next byte goes."""
        return self.size_bytes

    @property
    def digest(self) -> str:
        """The content address of what was written."""
        return PREFIX + self._hash.hexdigest()


@dataclass
class Export:
    """One export under way."""

    name: str
    dataset: Dataset
    source: RunSource
    files: list[DatasetFile] = field(default_factory=list)
    row_count: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Images that are in the dataset and not in the export, by reason."""
    columns_left_out: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def iter_rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The images, one by one."""
        for table in self.dataset.iter_tables(columns):
            yield from table.to_pylist()

    def find_rows(self, run_ids: set[str], columns: Sequence[str]) -> Iterator[Row]:
        """The images of some runs; `run_id` is one of the `columns`."""
        wanted = pa.array(sorted(run_ids), pa.string())
        for table in self.dataset.iter_tables(columns):
            yield from table.filter(pc.is_in(table["run_id"], wanted)).to_pylist()

    def write_file(self, path: str, write: Callable[[CountingFile], int]) -> None:
        """Write one file of the export; `write` says how many rows it holds."""
        target = self.dataset.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)

        def put(file: BinaryIO) -> None:
            counting = CountingFile(file)
            rows = write(counting)
            self.row_count += rows
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

    def read_image(self, run_id: str, path: str, image_id: str) -> bytes | None:
        """The bytes of an image; None when they are not there or not what was recorded, which is then reported."""
        try:
            data = self.source.read_output(run_id, path)
        except OSError as error:
            reason = f"it cannot be read: {error.strerror or error}"
        else:
            if digest_bytes(data) == image_id:
                return data
            reason = "it is not the image that was recorded"
        self.left_out[MISSING] += 1
        self.problems.append(Problem(run_id, path, None, reason))
        return None


def to_plain_json(value: Any) -> Any:
    """A row's value as JSON has it; seeds beyond 2^53-1 as decimal strings, as in the run folders."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, Mapping):
        return {key: to_plain_json(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [to_plain_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value
