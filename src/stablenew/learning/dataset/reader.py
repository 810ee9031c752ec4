"""Reading a dataset that was built, and checking that it is what its ledger says."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet as pq

from stablenew.errors import FormatError, NotADataset
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile, DatasetLedger
from stablenew.learning.dataset.ledger_builder import digest_dataset, text_of_joined
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import IMAGES, LEDGER, PREFERENCES, RUNS


class Dataset:
    """A dataset in a folder."""

    def __init__(self, folder: Path | str) -> None:
        """Open it.

        Raises:
            NotADataset: there is none that can be read.
        """
        self.folder = Path(folder)
        try:
            self.ledger = DatasetLedger.from_json((self.folder / LEDGER).read_bytes())
        except OSError as error:
            reason = f"{LEDGER}: {error.strerror}; `stablenew dataset build` makes one"
            raise NotADataset(f"no dataset in {folder}: {reason}") from None
        except FormatError as error:
            raise NotADataset(f"{self.folder / LEDGER}: {error}") from None

    @property
    def parts(self) -> list[DatasetFile]:
        """The files that hold the images, in the order of their runs."""
        return [one for one in self.ledger.files if one.content == IMAGES]

    def iter_tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The images, a part at a time."""
        for one in self.parts:
            yield pq.read_table(self.folder / one.path, columns=None if columns is None else list(columns))

    def read_images(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All images as one table."""
        wanted = [one.name for one in self.ledger.columns] if columns is None else list(columns)
        tables = list(self.iter_tables(wanted))
        return pa.concat_tables(tables) if tables else _empty(wanted)

    def read_preferences(self) -> pa.Table:
        """Every comparison that stands."""
        return pq.read_table(self.folder / self._path_of(PREFERENCES))

    def read_runs(self) -> pa.Table:
        """Every run that was seen: its digests and counts, or why it was left out."""
        return pq.read_table(self.folder / self._path_of(RUNS))

    def _path_of(self, content: str) -> str:
        return next(one.path for one in self.ledger.files if one.content == content)

    def iter_findings(self, progress: Callable[[int, int], object] = lambda _done, _total: None) -> Iterator[str]:
        """What is not as the ledger says, one sentence each."""
        files = self.ledger.files
        for done, one in enumerate(files):
            progress(done, len(files))
            yield from self._check_file(one)
        progress(len(files), len(files))
        try:
            path = self._path_of(RUNS)
            runs = self.read_runs()
            plan = SplitPlan.from_dict(self.ledger.split.to_dict())
            digest = digest_dataset([text_of_joined(runs)], plan)
        except (OSError, ValueError, KeyError) as error:
            yield f"the table of runs cannot be read: {error}"
            return
        if digest != self.ledger.digest:
            yield f"{path}: comes to {digest}, {LEDGER} says {self.ledger.digest}"

    def _check_file(self, one: DatasetFile) -> Iterator[str]:
        try:
            data = (self.folder / one.path).read_bytes()
        except OSError as error:
            yield f"{one.path}: {error.strerror or error}"
            return
        if len(data) != one.size_bytes or digest_bytes(data) != one.digest:
            yield f"{one.path}: is not what was built; build the dataset again"
        elif one.path.endswith(".parquet"):
            rows = pq.read_metadata(pa.BufferReader(data)).num_rows
            if rows != one.row_count:
                yield f"{one.path}: has {rows:,} rows, {LEDGER} says {one.row_count:,}"


def _empty(columns: Sequence[str]) -> pa.Table:
    from stablenew.learning.dataset.columns import IMAGES_SCHEMA  # noqa: PLC0415

    return IMAGES_SCHEMA.empty_table().select(list(columns))
