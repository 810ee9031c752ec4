"""Every file name of the format, once, how long files may be, and which entries of a store are runs.

Asked for every entry of a store, so it is quick to import.
"""

import os
import re
from pathlib import Path
from typing import Final

from stablenew.disk.regular_file import is_regular
from stablenew.errors import NotAStore
from stablenew.formats.digest import short_digest
from stablenew.formats.media_type import extension_for
from stablenew.formats.run_id import is_generated_run_id, is_run_id
from stablenew.formats.strict_json import MAX_BYTES as MAX_JSON_BYTES

MARKER_FOLDER: Final = ".stablenew"
MARKER_FILE: Final = "store.json"
MARKER_SCHEMAS: Final = "schemas/v1"
MARKER_README: Final = "README.md"

METADATA: Final = "run_metadata.json"
RECORDS: Final = "records.jsonl"
OUTPUTS: Final = "outputs"
FEEDBACK: Final = "feedback.json"
SEAL: Final = "SHA256SUMS"

MAX_MARKER_BYTES: Final = 1 << 20
DOCUMENTS: Final = (METADATA, SEAL, RECORDS)
"""Files of which one is enough to tell a run folder: a sync brings them in any order, and any of them can be lost."""

SEALED: Final = "sealed"
RUNNING: Final = "running"
INTERRUPTED: Final = "interrupted"
INCOMPLETE: Final = "incomplete"
"""The states of a run folder: derived from its files each time, and never stored."""

# What is longer is neither written nor read, so that everything that is sealed here can be read here.
MAX_METADATA_BYTES: Final = MAX_JSON_BYTES
MAX_RECORD_BYTES: Final = MAX_JSON_BYTES
MAX_RECORDS_BYTES: Final = 1 << 32
MAX_FEEDBACK_BYTES: Final = 256 << 20
MAX_SEAL_BYTES: Final = 256 << 20
MAX_BYTES: Final = {METADATA: MAX_METADATA_BYTES, RECORDS: MAX_RECORDS_BYTES, SEAL: MAX_SEAL_BYTES}
"""Of each document that a seal makes final, and of the seal."""

_FEEDBACK = re.compile(r"\Afeedback.*\.json", re.DOTALL)
_METRICS = re.compile(r"\Ametrics\..+\.jsonl", re.DOTALL)
_FEEDBACK_LOG = re.compile(r"\Afeedback\.[a-z0-9]+(?:-[a-z0-9]+)*\.jsonl\Z")
_ON_ITS_WAY = re.compile(
    r".*\.(?:!sync|!ut|part|filepart|partial|crdownload|download|tmp|temp|swp|aria2)\Z|.*\.sb-[0-9a-f]+-[A-Za-z0-9]+\Z",
    re.DOTALL | re.IGNORECASE,
)
"""Names that programs give a file while it comes in or is edited. What it holds will have its own name in the end."""
_SYNC_LEFTOVERS = re.compile(
    r"\A\.syncthing\..*\.tmp\Z|\A~syncthing~.*|.*\.sync-conflict-.*|\A\.~tmp~\Z|\A\.rsync-partial\Z"
    r"|\A\..+\.[A-Za-z0-9]{6}\Z|.*\.partial\Z|.*\(.*conflict.*\).*|.*\.conflict[0-9]+\Z|.*\.\.path[0-9]+\Z"
    r"|\A@eaDir\Z|.*@SynoEAStream\Z|.*@SynoResource\Z|\A\.@__thumb\Z|\A[#@]recycle\Z|\A\.AppleDouble\Z|\A\._.*"
    r"|\A\.unison\..*|\A\.nfs[0-9a-f]+\Z|\A\.fuse_hidden.*|.*\.crdownload\Z|\A\.DS_Store\Z|\Adesktop\.ini\Z|\AThumbs\.db\Z",
    re.DOTALL,
)


def output_name(variant: int, stage: str, number: int, digest: str, media_type: str) -> str:
    """The path in the run of an output: `outputs/0000-txt2img-0.3f9a1c2b4d5e.png`."""
    return f"{OUTPUTS}/{variant:04d}-{stage}-{number}.{short_digest(digest)}.{extension_for(media_type)}"


def feedback_log_name(replica: str) -> str:
    """The name of a machine's own log of opinions."""
    return f"feedback.{replica}.jsonl"


def damaged_feedback_name(token: str) -> str:
    """A name for a `feedback.json` that cannot be read: kept, and read no more."""
    return f"damaged-feedback.{token}.json"


def metrics_name(replica: str) -> str:
    """The name of a machine's own file of scores."""
    return f"metrics.{replica}.jsonl"


def is_metrics(name: str) -> bool:
    """Whether a file at the top of a run may hold scores: by its name, its content decides."""
    return bool(_METRICS.match(name)) and not _ON_ITS_WAY.match(name)


def is_unsealed(name: str) -> bool:
    """Whether a file at the top of a run is one that may change after the seal: feedback or scores."""
    return is_feedback(name) or is_metrics(name)


def is_feedback_log(name: str) -> bool:
    """Whether a file name is that of a machine's log, and not of a conflict copy of one."""
    return bool(_FEEDBACK_LOG.match(name))


def is_feedback(name: str) -> bool:
    """Whether a file at the top of a run may hold feedback: by its name, its content decides."""
    return bool(_FEEDBACK.match(name)) and not _ON_ITS_WAY.match(name)


def is_sync_leftover(name: str) -> bool:
    """Whether a file name is one that a sync tool or a desktop makes for its own use."""
    return bool(_SYNC_LEFTOVERS.match(name) or _ON_ITS_WAY.match(name))


def check_place(root: Path) -> None:
    """See that nothing but a folder has the place of a store; nothing at all may have it too.

    Raises:
        NotAStore: something that is not a folder is there.
    """
    if root.exists() and not root.is_dir():
        raise NotAStore(f"expected a folder of runs, found something else: {root}")


def is_run_entry(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a store is a run folder: by its name, or under a chosen name by a document of a run in it."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    if is_generated_run_id(entry.name):
        return True
    return is_run_id(entry.name) and any(is_regular(f"{entry.path}{os.sep}{name}") for name in DOCUMENTS)
