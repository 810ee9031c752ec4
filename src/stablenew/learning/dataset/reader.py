"""Reading a dataset that was built, and checking it against its ledger."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import parquet as pq

from stablenew.errors import FormatError, NotADataset
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.dataset_ledger import DatasetFile, DatasetLedger
from stablenew.learning.dataset.columns import COLUMNS, OWN_TYPES, Column
from stablenew.learning.dataset.ledger_builder import digest_dataset, text_of_joined
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import IMAGES, LEDGER, PREFERENCES, RUNS, read_parquet

_IMAGE: Final = "image_id"


NO_PICTURES: Final[Mapping[str, str]] = {}


class Dataset:
    """A dataset in a folder."""

    def __init__(
        self, folder: Path | str, *, images: Collection[str] | None = None, copies: Iterable[Sequence[str]] = ()
    ) -> None:
        """Open the dataset in `folder`; with `images` only the rows of these (digests) are read.

        `copies` are the digests of pictures that are there in several files: what learns from them counts each once.

        Raises:
            NotADataset: there is none, or its ledger cannot be read.
        """
        self.folder = Path(folder)
        self.pictures = {digest: min(group) for group in copies for digest in group}
        """For images that are there in several files one that stands for all of them."""
        self._images = None if images is None else pa.array(sorted(images), pa.string())
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
        return [file for file in self.ledger.files if file.content == IMAGES]

    @property
    def columns(self) -> list[Column]:
        """The columns of the images: those of every dataset, then those that only this one has."""
        fixed = {column.name: column for column in COLUMNS}
        types = {str(kind): kind for kind in OWN_TYPES.values()}
        return [
            fixed.get(column.name) or Column(column.name, types.get(column.type, pa.string()), column.meaning)
            for column in self.ledger.columns
        ]

    def iter_tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The images, a part at a time."""
        for part in self.parts:
            yield self._read_part(self.folder / part.path, columns)

    def _read_part(self, path: Path, columns: Sequence[str] | None) -> pa.Table:
        if self._images is None:
            return read_parquet(path, columns)
        added = [] if columns is None or _IMAGE in columns else [_IMAGE]
        table = read_parquet(path, None if columns is None else [*columns, *added])
        return table.filter(pc.is_in(table[_IMAGE], self._images)).drop_columns(added)

    @property
    def digest(self) -> str:
        """Changes with what is read of it."""
        if self._images is None and not self.pictures:
            return self.ledger.digest
        images = [] if self._images is None else self._images.to_pylist()
        copies = [f"{digest} {picture}" for digest, picture in sorted(self.pictures.items())]
        return digest_bytes("\n".join([self.ledger.digest, *images, *copies]).encode())

    def read_images(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All images as one table."""
        wanted = [column.name for column in self.ledger.columns] if columns is None else list(columns)
        types = {column.name: column.type for column in self.columns}
        empty = pa.schema([(name, types[name]) for name in wanted]).empty_table()
        return pa.concat_tables([empty, *self.iter_tables(wanted)])

    def read_preferences(self) -> pa.Table:
        """Every comparison that was not retracted."""
        return read_parquet(self.folder / self._path_of(PREFERENCES))

    def read_runs(self) -> pa.Table:
        """Every run that was seen: its digests and counts, or why it was left out."""
        return read_parquet(self.folder / self._path_of(RUNS))

    def _path_of(self, content: str) -> str:
        return next(file.path for file in self.ledger.files if file.content == content)

    def iter_findings(self, progress: Callable[[int, int], object] = lambda _done, _total: None) -> Iterator[str]:
        """Differences from the ledger, one sentence each."""
        files = self.ledger.files
        for done, file in enumerate(files):
            progress(done, len(files))
            yield from self._check_file(file)
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

    def _check_file(self, file: DatasetFile) -> Iterator[str]:
        try:
            data = (self.folder / file.path).read_bytes()
        except OSError as error:
            yield f"{file.path}: {error.strerror or error}"
            return
        if len(data) != file.size_bytes or digest_bytes(data) != file.digest:
            yield f"{file.path}: is not what was built; build the dataset again"
        elif file.path.endswith(".parquet"):
            rows = pq.read_metadata(pa.BufferReader(data)).num_rows
            if rows != file.row_count:
                yield f"{file.path}: has {rows:,} rows, {LEDGER} says {file.row_count:,}"
