"""Removing the bytes of outputs on purpose. Record, digest and tombstone stay; other bytes are never touched.

A run holds its outputs, and there the file is deleted. An image in place belongs to another program: it goes to the
system's trash, from where it can be restored, and only from a disk of this machine.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stablenew.disk.atomic_file import sync_folder
from stablenew.errors import OutputNotFound, StoreError
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.store.output_access import locate_origin, open_output
from stablenew.store.output_store import hash_file
from stablenew.store.run import Run
from stablenew.store.run_folder import SEALED
from stablenew.store.seal import read_seal
from stablenew.store.upkeep.system_trash import NoTrash, move_to_system_trash


class NotRemoved(StoreError):
    """The bytes of an output were left where they are; the message says why."""


@dataclass(frozen=True, slots=True)
class RemovableOutput:
    """An output whose bytes are here and as recorded."""

    run: Run
    output: OutputReference
    path: Path
    sha256: str

    @property
    def is_in_place(self) -> bool:
        """Whether another program's folder holds it."""
        return self.output.origin is not None

    @property
    def file_key(self) -> tuple[int, int]:
        """Equal for outputs that share one file on the disk."""
        status = self.path.lstat()
        return (status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Take the bytes away. The caller has written the tombstone.

        Raises:
            NotRemoved: it could not be done; the bytes are still there.
        """
        if self.is_in_place:
            try:
                move_to_system_trash(self.path, self.sha256)
            except NoTrash as error:
                raise NotRemoved(str(error)) from None
            return
        try:
            if os.name == "nt":  # where a file that may not be written cannot be deleted
                self.path.chmod(stat.S_IWRITE | stat.S_IREAD)
            self.path.unlink()
        except OSError as error:
            raise NotRemoved(f"{self.path} could not be deleted: {error.strerror or error}") from None
        with contextlib.suppress(OSError):  # a power cut may bring it back, and the next emptying removes it
            sync_folder(self.path.parent)


def iter_removable(run: Run, digest: str) -> Iterator[RemovableOutput]:
    """The outputs of a run with this digest whose bytes are here; each was read whole and is as recorded.

    Raises:
        NotRemoved: the run is not sealed, or an output is not what was recorded.
    """
    if run.state != SEALED:
        raise NotRemoved(f"run {run.run_id} is {run.state}; only outputs of sealed runs are removed")
    sums = read_seal(run.path)
    for _, output in run.iter_outputs():
        if output.digest == digest:
            found = _find_held(run, output, sums) if output.is_held else _find_in_place(run, output)
            if found is not None:
                yield found


def _find_held(run: Run, output: OutputReference, sums: dict[str, str]) -> RemovableOutput | None:
    path = run.path / output.path_in_run
    if not os.path.lexists(path):
        return None
    sha256 = sums.get(output.path_in_run)
    try:
        hashes = hash_file(path)
    except OSError as error:
        raise NotRemoved(f"{path} cannot be read: {error.strerror or error}") from None
    if (hashes.digest, hashes.sha256) != (output.digest, sha256):
        raise NotRemoved(f"{path} is not what was recorded; `stablenew verify {run.run_id}` says more")
    return RemovableOutput(run, output, path, hashes.sha256)


def _find_in_place(run: Run, output: OutputReference) -> RemovableOutput | None:
    assert output.origin is not None  # noqa: S101
    try:
        path = locate_origin(run, output.origin)
        if not os.path.lexists(path):
            return None
        with contextlib.closing(open_output(run, output)):
            return RemovableOutput(run, output, path, output.sha256 or "")
    except OutputNotFound as error:
        raise NotRemoved(str(error)) from None
