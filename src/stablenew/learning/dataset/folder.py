"""Where the files of a dataset are, once.

DIR/
dataset.json                  the ledger, replaced last: it names every file that counts
images/<first run>.<digest>.parquet     the rows, a part for each stretch of runs
preferences.<digest>.parquet  every comparison that stands
      runs.<digest>.parquet         every run that was seen: its digests and counts, or why it was left out
exports                       images.jsonl, images.csv, pairs/, imagefolder/, webdataset/
.build/                       what makes the next build quick; it can be deleted
"""

import re
from typing import Final

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
