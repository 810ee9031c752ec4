"""What one build leaves for the next: which parts there are, and the signature of every run folder.

A part is made of a range of runs. It is made again when the signature of one of its folders changed or a run came or
went, and then only the changed runs are read; all other parts are reused.
A range ends where the hash of a run id says so. So the same runs always give the same ranges, and a new run changes
only its own range.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pyarrow import parquet as pq

from stablenew.disk.atomic_file import replace_cached, replace_cached_by
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import JsonValue, encode_json
from stablenew.learning.dataset.columns import COLUMNS_VERSION, COPIES_SCHEMA
from stablenew.learning.dataset.own_columns import OwnKinds
from stablenew.learning.dataset.source.folder_scan import UNSETTLED
from stablenew.learning.dataset.source.run_source import Problem
from stablenew.learning.dataset.split_plan import SplitPlan

_FEWEST_RUNS: Final = 512
_MOST_RUNS: Final = 1536
_VERSION: Final = 5


@dataclass
class RunRange:
    """Consecutive runs, and the part that was made of them."""

    run_ids: list[str]
    """All runs of the range, including those that were left out."""
    digest: str = ""
    """Over the records and the feedback that the part was made from."""
    part: str = ""
    """The path of the part; empty when no run of the range has an image."""
    row_count: int = 0
    """Images in the part."""
    rated_count: int = 0
    """Those of them that somebody rated."""
    size_bytes: int = 0
    """Size of the part's file."""
    file_digest: str = ""
    """Digest of the part's file."""
    ties_digest: str = ""
    """Over what ties the part's images to other images."""
    held_digest: str = ""
    """Over which of its images are held out; empty for none."""
    shared_by: str = ""
    """Over its images that have several rows, and what is said in all their runs; empty for none."""
    shared_digest: str = ""
    """Over what its rows of such images say; empty for none."""
    own: OwnKinds = field(default_factory=dict)
    """The settings and metrics of its images that are not in the table of settings."""
    own_columns: list[str] = field(default_factory=list)
    """The own columns that its part was written with, as `name type`."""
    first_row: int = 0
    """The row of its first run in the build's table of runs."""


def cut_run_ranges(run_ids: Sequence[str]) -> list[list[str]]:
    """Sorted run ids, cut into the ranges that parts are made of."""
    run_ranges: list[list[str]] = []
    start = 0
    while start < len(run_ids):
        latest = min(start + _MOST_RUNS, len(run_ids))
        ends = (end for end in range(start + _FEWEST_RUNS, latest) if _is_end(run_ids[end - 1]))
        end = next(ends, latest)
        run_ranges.append(list(run_ids[start:end]))
        start = end
    return run_ranges


def _is_end(run_id: str) -> bool:
    return xxhash.xxh3_64_intdigest(run_id.encode()) % _FEWEST_RUNS == 0


@dataclass
class BuildState:
    """What the last build left that can be reused."""

    run_ranges: list[RunRange] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    """The signature of each run folder, in the order of all runs."""
    problems: list[Problem] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    """Paths of the tables of runs and of preferences, by what they hold."""
    splits: npt.NDArray[np.int8] | None = None
    """The split of each image, in the order of all images; -1 is held out."""
    copies: pa.Table = field(default_factory=COPIES_SCHEMA.empty_table)
    """`COPIES_SCHEMA`: the images that have several places."""
    elsewhere_digest: str = ""
    """Over which of them other runs hold; empty for none."""

    def find(self, run_ids: Sequence[str]) -> RunRange | None:
        """The range that began with the same run."""
        return self._by_first.get(run_ids[0])

    def unchanged(self, run_range: RunRange, run_ids: list[str], signatures: list[int]) -> list[str]:
        """Those of `run_ids` whose `signatures` are still the same."""
        before = self.signatures[run_range.first_row : run_range.first_row + len(run_range.run_ids)]
        if run_ids == run_range.run_ids and signatures == before and UNSETTLED not in signatures:
            return run_ids
        known = dict(zip(run_range.run_ids, before, strict=True))
        pairs = zip(run_ids, signatures, strict=True)
        return [run_id for run_id, signature in pairs if known.get(run_id) == signature != UNSETTLED]

    def splits_of(self, run_ranges: Sequence[RunRange]) -> list[npt.NDArray[np.int8]] | None:
        """The splits of the images in these ranges, if nothing changed that ties images together."""
        ends = np.cumsum([0, *(run_range.row_count for run_range in run_ranges)])
        if self.splits is None or len(self.splits) != ends[-1] or _ties_of(run_ranges) != _ties_of(self.run_ranges):
            return None
        return np.split(self.splits, ends[1:-1]) if run_ranges else []

    def __post_init__(self) -> None:
        self._by_first = {run_range.run_ids[0]: run_range for run_range in self.run_ranges}


def _ties_of(run_ranges: Sequence[RunRange]) -> list[str]:
    return [run_range.ties_digest for run_range in run_ranges]


def read_state(folder: Path, made_for: JsonValue) -> BuildState:
    """The state that the last build left in a dataset's folder; an empty one when it cannot be used."""
    try:
        state = json.loads((folder / STATE).read_bytes())
        if state["made_for"] != made_for:
            return BuildState()
        table = read_arrow(folder / SIGNATURES)
        run_ids = table["run_id"].to_pylist()
        signatures = table["signature"].to_pylist()
        problems = [Problem(*fields) for fields in state["problems"]]
        run_ranges = _read_run_ranges(folder, state["run_ranges"], run_ids)
        splits = _read_splits(folder, state["splits_digest"])
        copies = read_arrow(folder / COPIES).cast(COPIES_SCHEMA)
        elsewhere_digest = state["elsewhere_digest"]
        return BuildState(run_ranges, signatures, problems, state["tables"], splits, copies, elsewhere_digest)
    except (OSError, ValueError, KeyError, TypeError):
        return BuildState()


def _read_splits(folder: Path, digest: str) -> npt.NDArray[np.int8] | None:
    data = (folder / SPLIT_BYTES).read_bytes()
    return np.frombuffer(data, np.int8) if digest_bytes(data) == digest else None


def _read_run_ranges(folder: Path, run_ranges: list[dict[str, Any]], run_ids: list[str]) -> list[RunRange]:
    """The ranges whose part is still there with its size."""
    found, first = [], 0
    for fields in run_ranges:
        count = fields.pop("run_count")
        fields["own"] = {name: (kind, images) for name, (kind, images) in fields["own"].items()}
        run_range = RunRange(run_ids[first : first + count], first_row=first, **fields)
        first += count
        if not run_range.part or (folder / run_range.part).stat().st_size == run_range.size_bytes:
            found.append(run_range)
    return found


def write_state(folder: Path, made_for: JsonValue, state: BuildState) -> None:
    """Write what the next build needs; `made_for` is what it must have in common with this one."""
    run_ranges = state.run_ranges
    run_ids = [run_id for run_range in run_ranges for run_id in run_range.run_ids]
    table = pa.table({"run_id": run_ids, "signature": pa.array(state.signatures, pa.int64())})
    write_arrow(folder / SIGNATURES, table)
    write_arrow(folder / COPIES, state.copies)
    splits = b"" if state.splits is None else state.splits.tobytes()
    replace_cached(folder / SPLIT_BYTES, splits)
    document = {
        "made_for": made_for,
        "run_ranges": [_describe(run_range) for run_range in run_ranges],
        "problems": [list(problem) for problem in state.problems],
        "tables": state.tables,
        "splits_digest": digest_bytes(splits),
        "elsewhere_digest": state.elsewhere_digest,
    }
    replace_cached(folder / STATE, encode_json(document))


def _describe(run_range: RunRange) -> dict[str, Any]:
    fields = {name: value for name, value in vars(run_range).items() if name not in ("run_ids", "first_row")}
    return {"run_count": len(run_range.run_ids)} | fields


def describe_purpose(location: str, plan: SplitPlan, images: Mapping[str, Sequence[str]] | None = None) -> JsonValue:
    """What two builds must have in common to share parts."""
    chosen = {run_id: list(digests) for run_id, digests in sorted(images.items())} if images is not None else None
    return {
        "version": _VERSION,
        "columns": COLUMNS_VERSION,
        "location": location,
        "plan": plan.to_dict(),
        "images": None if chosen is None else digest_bytes(encode_json(chosen)),
    }


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write a table in Arrow's own file format, which is the fastest to read."""

    def write(file: Any) -> None:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    replace_cached_by(path, write)


def read_arrow(path: Path) -> pa.Table:
    """The table that `write_arrow` wrote."""
    with pa.memory_map(str(path)) if _is_unicode(path) else pa.BufferReader(path.read_bytes()) as file:
        return pa.ipc.open_file(file).read_all()


def read_parquet(path: Path, columns: Sequence[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """The table in a Parquet file. Arrow opens no file whose name is not Unicode; such a file is read first."""
    names = None if columns is None else list(columns)
    source = path if _is_unicode(path) else pa.BufferReader(path.read_bytes())
    return pq.read_table(source, columns=names, schema=schema)


def _is_unicode(path: Path) -> bool:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


LEDGER: Final = "dataset.json"
IMAGES: Final = "images"
PREFERENCES: Final = "preferences"
RUNS: Final = "runs"
BUILD: Final = ".build"
STATE: Final = ".build/state.json"
SIGNATURES: Final = ".build/signatures.arrow"
SPLIT_BYTES: Final = ".build/splits"
COPIES: Final = ".build/copies.arrow"
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_OURS: Final = re.compile(
    rf"(?:{IMAGES}|pairs|webdataset|\.build)/{_NAME}|imagefolder/[a-z]+/{_NAME}|images\.(?:jsonl|csv)"
    rf"|(?:{PREFERENCES}|{RUNS})\.[0-9a-f]{{16}}\.parquet"
)


def part_name(first_run_id: str, digest: str) -> str:
    """The path of a part; names sort by run."""
    return f"{IMAGES}/{first_run_id}.{digest.partition(':')[2][:16]}.parquet"


def table_name(kind: str, digest: str) -> str:
    """The path of a table that is one file; named by its digest, so a new one never replaces an old one."""
    return f"{kind}.{digest.partition(':')[2][:16]}.parquet"


def ties_name(first_run_id: str, digest: str) -> str:
    """The path of the file that says what ties a part's images to others, for the next build."""
    return f"{BUILD}/{first_run_id}.{digest.partition(':')[2][:16]}.ties.arrow"


def is_file_of_ours(path: str) -> bool:
    """Whether a build may have written this path in a dataset's folder, so that a later build may remove it."""
    return _OURS.fullmatch(path) is not None
