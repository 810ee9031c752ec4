"""The tables of a dataset that are whole in themselves: preferences, and runs.

That of the runs is worked out while parts are still being made, and so is the digest of the dataset: most of the runs
are known before the first part is rebuilt, and Arrow leaves the interpreter free.
"""

import io
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Final

import pyarrow as pa

from stablenew.disk.atomic_file import replace_cached
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile
from stablenew.learning.dataset.columns import RUNS_SCHEMA
from stablenew.learning.dataset.ledger_builder import digest_dataset, text_of_joined
from stablenew.learning.dataset.parts.part_maker import encode_parquet, open_parquet
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import PREFERENCES, RUNS, table_name

_FEWEST_ROWS: Final = 8_192
"""Of a group of rows. It ends where a part ends, so that the same runs always give the same file."""


class RunTableWriter:
    """Takes what became of runs, in the order of their ids. Nothing is written before the end."""

    def __init__(self, thread: Executor) -> None:
        """`thread` does one thing after the other."""
        self._thread = thread
        self._buffer = io.BytesIO()
        self._writer = open_parquet(self._buffer, RUNS_SCHEMA)
        self._group = [RUNS_SCHEMA.empty_table()]
        self._row_count = 0
        self._texts: list[Future[bytes]] = []

    def add(self, runs: pa.Table) -> None:
        """Take in all runs of the next part, as `RUNS_SCHEMA`."""
        self._group.append(runs)
        self._row_count += len(runs)
        if sum(map(len, self._group)) >= _FEWEST_ROWS:
            self._pass_on()

    def _pass_on(self) -> None:
        group, self._group = pa.concat_tables(self._group), [RUNS_SCHEMA.empty_table()]
        self._texts.append(self._thread.submit(self._take, group))

    def _take(self, group: pa.Table) -> bytes:
        runs = group.combine_chunks()
        self._writer.write_table(runs)
        return text_of_joined(runs)

    def write(self, folder: Path, plan: SplitPlan, heard: bytes) -> tuple[DatasetFile, str]:
        """Write the table into a dataset's folder. Returns it, and the digest of the dataset.

        `heard` is what runs that are not in the dataset say of its images.

        Raises:
            WriteFailed: the disk would not take it.
        """
        self._pass_on()
        texts = [text.result() for text in self._texts]
        self._writer.close()
        return _write(folder, RUNS, self._buffer.getvalue(), self._row_count), digest_dataset([*texts, heard], plan)


def write_preferences(folder: Path, preferences: pa.Table) -> DatasetFile:
    """Write every comparison that stands into a dataset's folder.

    Raises:
        WriteFailed: the disk would not take it.
    """
    return _write(folder, PREFERENCES, encode_parquet(preferences), len(preferences))


def _write(folder: Path, kind: str, data: bytes, row_count: int) -> DatasetFile:
    digest = digest_bytes(data)
    name = table_name(kind, digest)
    replace_cached(folder / name, data)
    return DatasetFile(path=name, content=kind, row_count=row_count, size_bytes=len(data), digest=digest)
