"""Where a dataset's runs come from: run folders as bytes, checked against their seals.

Only sealed runs are taken: what is sealed never changes, so a row never has to be taken back. The bytes of metadata and
records are compared with the seal; a run that is damaged or still on its way from another machine is left out, with the
reason.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from stablenew.disk.regular_file import read_regular
from stablenew.errors import FormatError
from stablenew.learning.dataset.source.folder_scan import scan_folders
from stablenew.store.local_state import journal_path, known_replica_id
from stablenew.store.run_folder import (
    MAX_FEEDBACK_BYTES,
    MAX_METADATA_BYTES,
    MAX_RECORDS_BYTES,
    METADATA,
    RECORDS,
    SEAL,
    feedback_log_name,
    is_feedback,
)
from stablenew.store.seal import MAX_SEAL_BYTES, digest_seal, parse_seal

UNSEALED: Final = "unsealed"
DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"
NEWER: Final = "newer_format"
UNSELECTED: Final = "not_in_query"
VANISHED: Final = "vanished"

REASONS: Final[dict[str, str]] = {
    UNSEALED: "the run is not finished, or not all here yet; `stablenew repair` finishes an interrupted one",
    DAMAGED: "a file is not what it was when the run was sealed; `stablenew verify` says more",
    UNREADABLE: "a file cannot be read as what it should be",
    NEWER: "a later version wrote it; update StableNew",
    UNSELECTED: "the query did not find it",
    VANISHED: "it was there at first and then no more",
}
"""Why a run can be left out."""


class RunFiles(NamedTuple):
    """The documents of a sealed run, as bytes that its seal vouches for."""

    run_id: str
    digest: str
    """Of the run: `sha256:` of its seal."""
    metadata: bytes
    records: bytes
    feedback: tuple[tuple[str, bytes], ...]
    """Name and bytes of each feedback file, sorted."""


class LeftOut(NamedTuple):
    """A run that is not in the dataset, and why."""

    run_id: str
    reason: str
    """One of `REASONS`."""
    detail: str


class RunSource(Protocol):
    """A store as the dataset builder sees it: on this machine, or on object storage."""

    @property
    def location(self) -> str:
        """Where it is, for `open_source`."""

    def signatures(self) -> Mapping[str, int]:
        """Every run folder by id, with a number that is another one when something came to it, left it or was renamed.

        `UNSETTLED` where it changed so lately that the next change might not show.
        """

    def read(self, run_id: str) -> RunFiles | LeftOut:
        """The documents of a run, or why it is left out."""

    def read_output(self, run_id: str, path: str) -> bytes:
        """The bytes of an output. Raises OSError when it cannot be read."""


class LocalSource:
    """The runs in a folder of this machine."""

    def __init__(self, root: Path | str) -> None:
        self._root = os.path.abspath(root)
        replica = known_replica_id()
        self._journals = _journals_of(Path(self._root), replica) if replica else {}
        self._log_name = feedback_log_name(replica) if replica else ""

    @property
    def location(self) -> str:
        """The folder."""
        return self._root

    def signatures(self) -> dict[str, int]:
        """Every run folder by id. A store that does not exist yet has none."""
        return scan_folders(self._root)

    def read(self, run_id: str) -> RunFiles | LeftOut:
        """The documents of a run, or why it is left out."""
        folder = f"{self._root}{os.sep}{run_id}"
        try:
            names = os.listdir(folder)
        except OSError as error:
            is_gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
            return LeftOut(run_id, VANISHED if is_gone else UNREADABLE, str(error.strerror or error))
        found = read_documents(run_id, names, lambda name, limit: read_regular(f"{folder}{os.sep}{name}", limit))
        journal = self._journals.get(run_id)
        if journal is None or isinstance(found, LeftOut):
            return found
        return found._replace(feedback=(*found.feedback, *_read_journal(journal, self._log_name)))

    def read_output(self, run_id: str, path: str) -> bytes:
        """The bytes of an output."""
        return read_regular(f"{self._root}{os.sep}{run_id}{os.sep}{path}", 1 << 32)


def _journals_of(root: Path, replica: str) -> dict[str, str]:
    """This machine's journals of what it said, by run: a sync tool may have put an older log back."""
    folder = journal_path(root / "run", replica).parent
    try:
        with os.scandir(folder) as entries:
            return {entry.name.removesuffix(".jsonl"): entry.path for entry in entries}
    except OSError:
        return {}


def _read_journal(path: str, name: str) -> list[tuple[str, bytes]]:
    try:
        return [(name, read_regular(path, MAX_FEEDBACK_BYTES))]
    except OSError:
        return []


def read_documents(run_id: str, names: Iterable[str], read: Callable[[str, int], bytes]) -> RunFiles | LeftOut:
    """The documents of a run folder with files of these `names`; `read` gives the bytes of one, up to a limit."""
    here = set(names)
    if SEAL not in here:
        return LeftOut(run_id, UNSEALED, f"it has no {SEAL}")
    try:
        seal = read(SEAL, MAX_SEAL_BYTES)
        metadata = _read_sealed(seal, METADATA, here, read, MAX_METADATA_BYTES)
        records = _read_sealed(seal, RECORDS, here, read, MAX_RECORDS_BYTES)
        feedback = tuple(
            (name, read(name, MAX_FEEDBACK_BYTES))
            for name in sorted(here)
            if name.startswith("feedback") and is_feedback(name)
        )
    except _Damaged as error:
        return LeftOut(run_id, DAMAGED, str(error))
    except (OSError, FormatError) as error:
        return LeftOut(run_id, UNREADABLE, str(error))
    if metadata is None:
        return LeftOut(run_id, DAMAGED, f"its seal does not name {METADATA}")
    return RunFiles(run_id, digest_seal(seal), metadata, records or b"", feedback)


class _Damaged(Exception):
    pass


def _read_sealed(seal: bytes, name: str, here: set[str], read: Callable[[str, int], bytes], limit: int) -> bytes | None:
    """The bytes of a sealed file; None when the seal does not name it."""
    expected = _sum_of(seal, name)
    if expected is None:
        return None
    if name not in here:
        raise _Damaged(f"{name} is missing")
    data = read(name, limit)
    if hashlib.sha256(data).hexdigest() != expected:
        raise _Damaged(f"{name} is not what it was when the run was sealed")
    return data


def _sum_of(seal: bytes, name: str) -> str | None:
    """The SHA-256 a seal gives for a file at the top of the run. Outputs are not looked at: there may be thousands."""
    end = seal.find(b"  " + name.encode() + b"\n")
    if end < 0:
        return parse_seal(seal).get(name)
    start = seal.rfind(b"\n", 0, end) + 1
    if end - start != 64:
        return parse_seal(seal).get(name)
    return seal[start:end].decode("ascii", "replace")
