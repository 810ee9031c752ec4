"""Where a dataset's runs come from: run folders as bytes, checked against their seals.

Only sealed runs are used: what is sealed never changes, so no row ever has to be withdrawn. Metadata and records are
compared with the seal; a run that is damaged, or not completely synced from another machine, is left out with the
reason.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from stablenew.disk.regular_file import read_regular
from stablenew.errors import FormatError, OutputNotFound
from stablenew.learning.dataset.source.folder_scan import scan_folders
from stablenew.store.local_state import journal_path, known_replica_id
from stablenew.store.run_folder import (
    INCOMPLETE,
    INTERRUPTED,
    MAX_FEEDBACK_BYTES,
    MAX_METADATA_BYTES,
    MAX_RECORDS_BYTES,
    MAX_SEAL_BYTES,
    METADATA,
    RECORDS,
    RUNNING,
    SEAL,
    feedback_log_name,
    is_feedback,
    is_metrics,
)
from stablenew.store.seal import digest_seal, parse_seal

if TYPE_CHECKING:
    from stablenew.formats.documents.output_reference import OutputReference
    from stablenew.store.run import Run

DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"
NEWER: Final = "newer_format"
UNSELECTED: Final = "not_in_query"
VANISHED: Final = "vanished"

REASONS: Final[dict[str, str]] = {
    RUNNING: "the run is still being written",
    INTERRUPTED: "the run was not finished; `stablenew repair` finishes it",
    INCOMPLETE: "a sync, or another machine, still has the rest of the run",
    DAMAGED: "a file is not what it was when the run was sealed; `stablenew verify` gives details",
    UNREADABLE: "a file cannot be read, or is not a valid document",
    NEWER: "a later version of StableNew wrote it; update to read it",
    UNSELECTED: "the query did not find it",
    VANISHED: "it disappeared during the build",
}
"""Why a run is left out. The first three are states of a run, as history and `verify` report them."""


class RunFiles(NamedTuple):
    """The documents of a sealed run, as bytes; metadata and records agree with the seal."""

    run_id: str
    """The run."""
    digest: str
    """The digest of the run: `sha256:` of its seal."""
    metadata: bytes
    """The bytes of its metadata."""
    records: bytes
    """The bytes of its records."""
    feedback: tuple[tuple[str, bytes], ...]
    """Name and bytes of each feedback file, sorted."""
    metrics: tuple[tuple[str, bytes], ...] = ()
    """Name and bytes of each file of scores, sorted."""


class Problem(NamedTuple):
    """Something in a run that could not be read, while the rest of the run is in the dataset."""

    run_id: str
    path: str
    line: int | None
    reason: str


class LeftOut(NamedTuple):
    """A run that is not in the dataset, and why."""

    run_id: str
    """The run."""
    reason: str
    """One of `REASONS`."""
    detail: str
    """What exactly was found."""


class RunSource(Protocol):
    """A store as the dataset builder sees it: on this machine, or on object storage."""

    @property
    def location(self) -> str:
        """Where it is, for `open_source`."""

    def signatures(self) -> Mapping[str, int]:
        """Every run folder by id, with a number that changes when a file in it is added, removed or replaced.

        `UNSETTLED` where it changed so recently that another change might give the same number.
        """

    def read(self, run_id: str) -> RunFiles | LeftOut:
        """The documents of a run, or why it is left out."""

    def read_output(self, run_id: str, path: str | None, digest: str) -> bytes:
        """The bytes of an output; one without a path lies in its place. Raises OSError when it cannot be read."""


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
            with os.scandir(folder) as entries:  # links are ignored here as everywhere
                names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except OSError as error:
            is_gone = isinstance(error, (FileNotFoundError, NotADirectoryError))
            return LeftOut(run_id, VANISHED if is_gone else UNREADABLE, str(error.strerror or error))
        if SEAL not in names:
            return LeftOut(run_id, _state_of(folder), f"it has no {SEAL}")
        found = read_documents(run_id, names, lambda name, limit: read_regular(f"{folder}{os.sep}{name}", limit))
        journal = self._journals.get(run_id)
        if journal is None or isinstance(found, LeftOut):
            return found
        return found._replace(feedback=(*found.feedback, *_read_journal(journal, self._log_name)))

    def read_output(self, run_id: str, path: str | None, digest: str) -> bytes:
        """The bytes of an output, also of one that lies in its place."""
        folder = f"{self._root}{os.sep}{run_id}"
        return _read_in_place(folder, digest) if path is None else read_regular(f"{folder}{os.sep}{path}", 1 << 32)


def _read_in_place(folder: str, digest: str) -> bytes:
    from stablenew.store.output_access import open_output  # noqa: PLC0415  # only exports need it

    run, outputs = _outputs_in_place(folder)
    if digest not in outputs:
        raise OSError(errno.ENOENT, "no record names it")
    try:
        with open_output(run, outputs[digest]) as file:
            return file.read()
    except OutputNotFound as error:
        raise OSError(errno.ENOENT, str(error)) from None


@lru_cache(maxsize=4)
def _outputs_in_place(folder: str) -> "tuple[Run, dict[str, OutputReference]]":
    """A run and its outputs that it does not hold, by digest: images are asked for run by run."""
    from stablenew.store.run import Run  # noqa: PLC0415

    run = Run(Path(folder))
    try:
        return run, {output.digest: output for _, output in run.iter_outputs() if output.origin}
    except FormatError as error:
        raise OSError(errno.EIO, str(error)) from None


def _state_of(folder: str) -> str:
    """The state of a run without a seal."""
    from stablenew.store.run import Run  # noqa: PLC0415  # builders of a store of sealed runs need not wait for it

    return Run(Path(folder)).state


def _journals_of(root: Path, replica: str) -> dict[str, str]:
    """This machine's journals of its own feedback, by run: a sync tool may have restored an older log."""
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
        return LeftOut(run_id, INCOMPLETE, f"it has no {SEAL}")
    try:
        seal = read(SEAL, MAX_SEAL_BYTES)
        metadata = _read_sealed(seal, METADATA, here, read, MAX_METADATA_BYTES)
        records = _read_sealed(seal, RECORDS, here, read, MAX_RECORDS_BYTES)
        unsealed = sorted(here - _SEALED)
        feedback, metrics = (
            tuple((name, read(name, MAX_FEEDBACK_BYTES)) for name in unsealed if is_wanted(name))
            for is_wanted in (is_feedback, is_metrics)
        )
    except _Missing as error:
        return LeftOut(run_id, INCOMPLETE, str(error))
    except _Damaged as error:
        return LeftOut(run_id, DAMAGED, str(error))
    except (OSError, FormatError) as error:
        return LeftOut(run_id, UNREADABLE, str(error))
    if metadata is None:
        return LeftOut(run_id, DAMAGED, f"its seal does not name {METADATA}")
    return RunFiles(run_id, digest_seal(seal), metadata, records or b"", feedback, metrics)


_SEALED: Final = {METADATA, RECORDS, SEAL}


class _Missing(Exception):
    pass


class _Damaged(Exception):
    pass


def _read_sealed(seal: bytes, name: str, here: set[str], read: Callable[[str, int], bytes], limit: int) -> bytes | None:
    """The bytes of a sealed file; None when the seal does not name it."""
    expected = _sum_of(seal, name)
    if expected is None:
        return None
    if name not in here:
        raise _Missing(f"{name} is missing")
    data = read(name, limit)
    if hashlib.sha256(data).hexdigest() != expected:
        raise _Damaged(f"{name} is not what it was when the run was sealed")
    return data


def _sum_of(seal: bytes, name: str) -> str | None:
    """The SHA-256 a seal gives for a file at the top of the run, found without parsing thousands of outputs."""
    end = seal.find(b"  " + name.encode() + b"\n")
    if end < 0:
        return parse_seal(seal).get(name)
    start = seal.rfind(b"\n", 0, end) + 1
    if end - start != 64:
        return parse_seal(seal).get(name)
    return seal[start:end].decode("ascii", "replace")
