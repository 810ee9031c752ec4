"""Every form in which a dataset can be had beside its Parquet parts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from stablenew.errors import ConfigError
from stablenew.formats.documents.dataset_ledger import DatasetExport
from stablenew.learning.dataset.exports.export_writer import Export
from stablenew.learning.dataset.exports.image_exports import write_image_folder, write_web_dataset
from stablenew.learning.dataset.exports.table_exports import write_csv, write_json_lines, write_pairs
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.source.run_source import RunSource

PARQUET: Final = "parquet"
EXPORTS: Final[dict[str, Callable[[Export], None]]] = {
    "jsonl": write_json_lines,
    "csv": write_csv,
    "pairs": write_pairs,
    "imagefolder": write_image_folder,
    "webdataset": write_web_dataset,
}
FORMATS: Final = (PARQUET, *EXPORTS)


def check_formats(names: Sequence[str]) -> list[str]:
    """The exports among `names`, each once; Parquet is always there.

    Raises:
        ConfigError: there is no such format.
    """
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"no format {name!r}; there are {', '.join(FORMATS)}")
    return [name for name in EXPORTS if name in names]


def write_export(name: str, folder: Path, source: RunSource) -> Export:
    """Write one export of the dataset in `folder`.

    Raises:
        WriteFailed: the disk would not take it.
    """
    export = Export(name, Dataset(folder), source)
    EXPORTS[name](export)
    return export


def describe_export(export: Export) -> DatasetExport:
    """The export as the ledger has it."""
    return DatasetExport(
        name=export.name,
        row_count=export.row_count,
        left_out=dict(sorted(export.left_out.items())),
        columns_left_out=tuple(export.columns_left_out),
    )
