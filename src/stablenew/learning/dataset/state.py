"""What one build leaves for the next: which parts there are, and how every run folder looked.

A stretch of runs is made anew when one of its folders looks another way, came or went, but of its runs only those are
read; the other stretches are taken as they are.
Stretches end where the hash of a run id says so, hence the same runs give the same stretches, and a run that comes
changes only its own.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from stablenew.disk.atomic_file import replace_cached, replace_cached_by
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import JsonValue, encode_json
from stablenew.learning.dataset.columns import COLUMNS_VERSION
from stablenew.learning.dataset.source.folder_scan import UNSETTLED
from stablenew.learning.dataset.source.run_tables import Problem
from stablenew.learning.dataset.split_plan import SplitPlan

_FEWEST_RUNS: Final = 512
_MOST_RUNS: Final = 1536
_VERSION: Final = 2


@dataclass
class Stretch:
    """Runs that follow each other, and the part that was made of them."""

    run_ids: list[str]
    """All that were looked at, also those that were left out."""
    digest: str = ""
    """Over what the part was made from."""
    part: str = ""
    """Its path; empty when no run gave an image."""
    row_count: int = 0
    size_bytes: int = 0
    file_digest: str = ""
    ties_digest: str = ""
    """Over what ties its images to others."""
    held_digest: str = ""
    """Over which images are held out."""
    first_row: int = 0
    """Where its runs begin among all runs of the build."""


def cut_stretches(run_ids: Sequence[str]) -> list[list[str]]:
    """Sorted run ids in stretches."""
    stretches: list[list[str]] = []
    start = 0
    while start < len(run_ids):
        latest = min(start + _MOST_RUNS, len(run_ids))
        ends = (end for end in range(start + _FEWEST_RUNS, latest) if _is_end(run_ids[end - 1]))
        end = next(ends, latest)
        stretches.append(list(run_ids[start:end]))
        start = end
    return stretches


def _is_end(run_id: str) -> bool:
    return xxhash.xxh3_64_intdigest(run_id.encode()) % _FEWEST_RUNS == 0


@dataclass
class BuildState:
    """The last build, as far as it can be used again."""

    stretches: list[Stretch] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    """Of every run of every stretch, in order."""
    problems: list[Problem] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    """Paths of the tables of runs and of preferences."""
    splits: npt.NDArray[np.int8] | None = None
    """Of every image of every stretch, in order; -1 is held out."""

    def find(self, run_ids: Sequence[str]) -> Stretch | None:
        """The stretch that began with the same run."""
        return self._by_first.get(run_ids[0])

    def unchanged(self, stretch: Stretch, run_ids: list[str], looks: list[int]) -> list[str]:
        """Those of these runs, with their signatures, that still look as they did."""
        before = self.signatures[stretch.first_row : stretch.first_row + len(stretch.run_ids)]
        if run_ids == stretch.run_ids and looks == before and UNSETTLED not in looks:
            return run_ids
        known = dict(zip(stretch.run_ids, before, strict=True))
        pairs = zip(run_ids, looks, strict=True)
        return [run_id for run_id, look in pairs if known.get(run_id) == look != UNSETTLED]

    def splits_of(self, stretches: Sequence[Stretch]) -> list[npt.NDArray[np.int8]] | None:
        """The splits of the images in these stretches, if everything that ties them together is as it was."""
        ends = np.cumsum([0, *(one.row_count for one in stretches)])
        if self.splits is None or len(self.splits) != ends[-1] or _ties_of(stretches) != _ties_of(self.stretches):
            return None
        return np.split(self.splits, ends[1:-1]) if stretches else []

    def __post_init__(self) -> None:
        self._by_first = {one.run_ids[0]: one for one in self.stretches}


def _ties_of(stretches: Sequence[Stretch]) -> list[str]:
    return [one.ties_digest for one in stretches]


def read_state(folder: Path, made_for: JsonValue) -> BuildState:
    """The state that the last build left in a dataset's folder; an empty one when it is of no use."""
    try:
        state = json.loads((folder / STATE).read_bytes())
        if state["made_for"] != made_for:
            return BuildState()
        with pa.memory_map(str(folder / SIGNATURES)) as file:
            table = pa.ipc.open_file(file).read_all()
        run_ids = table["run_id"].to_pylist()
        signatures = table["signature"].to_pylist()
        problems = [Problem(*fields) for fields in state["problems"]]
        stretches = _read_stretches(folder, state["stretches"], run_ids)
        splits = _read_splits(folder, state["splits_digest"])
        return BuildState(stretches, signatures, problems, state["tables"], splits)
    except (OSError, ValueError, KeyError, TypeError):
        return BuildState()


def _read_splits(folder: Path, digest: str) -> npt.NDArray[np.int8] | None:
    data = (folder / SPLIT_BYTES).read_bytes()
    return np.frombuffer(data, np.int8) if digest_bytes(data) == digest else None


def _read_stretches(folder: Path, stretches: list[dict[str, Any]], run_ids: list[str]) -> list[Stretch]:
    """Those whose parts are still there in their size."""
    found, first = [], 0
    for fields in stretches:
        count = fields.pop("run_count")
        one = Stretch(run_ids[first : first + count], first_row=first, **fields)
        first += count
        if not one.part or (folder / one.part).stat().st_size == one.size_bytes:
            found.append(one)
    return found


def write_state(folder: Path, made_for: JsonValue, state: BuildState) -> None:
    """Keep what the next build needs; `made_for` is what it must have in common with this one."""
    stretches = state.stretches
    run_ids = [run_id for one in stretches for run_id in one.run_ids]
    table = pa.table({"run_id": run_ids, "signature": pa.array(state.signatures, pa.int64())})
    write_arrow(folder / SIGNATURES, table)
    splits = b"" if state.splits is None else state.splits.tobytes()
    replace_cached(folder / SPLIT_BYTES, splits)
    document = {
        "made_for": made_for,
        "stretches": [_describe(one) for one in stretches],
        "problems": [list(problem) for problem in state.problems],
        "tables": state.tables,
        "splits_digest": digest_bytes(splits),
    }
    replace_cached(folder / STATE, encode_json(document))


def _describe(stretch: Stretch) -> dict[str, Any]:
    fields = {name: value for name, value in vars(stretch).items() if name not in ("run_ids", "first_row")}
    return {"run_count": len(stretch.run_ids)} | fields


def describe_purpose(location: str, plan: SplitPlan) -> JsonValue:
    """What two builds must have in common to share parts."""
    return {
        "version": _VERSION,
        "columns": COLUMNS_VERSION,
        "location": location,
        "plan": plan.to_dict(),
    }


def write_arrow(path: Path, table: pa.Table) -> None:
    """Keep a table in Arrow's own file format, which is the quickest to read again."""

    def write(file: Any) -> None:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    replace_cached_by(path, write)


LEDGER: Final = "dataset.json"
IMAGES: Final = "images"
PREFERENCES: Final = "preferences"
RUNS: Final = "runs"
BUILD: Final = ".build"
STATE: Final = ".build/state.json"
SIGNATURES: Final = ".build/signatures.arrow"
SPLIT_BYTES: Final = ".build/splits"
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_OURS: Final = re.compile(
    rf"(?:{IMAGES}|pairs|webdataset|\.build)/{_NAME}|imagefolder/[a-z]+/{_NAME}|images\.(?:jsonl|csv)"
    rf"|(?:{PREFERENCES}|{RUNS})\.[0-9a-f]{{16}}\.parquet"
)


def part_name(first_run_id: str, digest: str) -> str:
    """The path of a part; names sort by run."""
    return f"{IMAGES}/{first_run_id}.{digest.partition(':')[2][:16]}.parquet"


def table_name(kind: str, digest: str) -> str:
    """The path of a table that is whole in itself; a new one never takes the place of an old one."""
    return f"{kind}.{digest.partition(':')[2][:16]}.parquet"


def ties_name(first_run_id: str, digest: str) -> str:
    """The path of what ties a part's images to others, kept for the next build."""
    return f"{BUILD}/{first_run_id}.{digest.partition(':')[2][:16]}.ties.arrow"


def is_file_of_ours(path: str) -> bool:
    """Whether a path in a dataset's folder is one that a build may have written, so that a later one may remove it."""
    return _OURS.fullmatch(path) is not None
