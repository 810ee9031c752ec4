"""The files of one run as a check sees them: listed by what they are, each read and hashed once."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import is_temporary
from stablenew.disk.regular_file import is_plain_folder, is_surely_regular
from stablenew.formats.digest import DoubleHash
from stablenew.formats.output_path import is_output_path
from stablenew.store.output_store import hash_file
from stablenew.store.run_folder import METADATA, OUTPUTS, RECORDS, SEAL, is_sync_leftover, is_unsealed

IN_OUTPUTS: Final = f"{OUTPUTS}/"
"""How the path of every output begins."""


class RunFiles:
    """Hashes of the files of a run, by path in it."""

    def __init__(self, run_path: Path) -> None:
        self.path = run_path
        self.hashes: dict[str, DoubleHash] = {}
        """Of the files that were read."""
        self.unreadable: dict[str, str] = {}
        """Files that are there and cannot be read, and why."""

    def hash(self, path: str) -> DoubleHash | None:
        """The hashes of a file; None where it is not there or gives no bytes."""
        if path not in self.hashes:
            if path.startswith(IN_OUTPUTS) and not is_plain_folder(self.path / OUTPUTS):
                return None
            try:
                self.hashes[path] = hash_file(self.path / path)
            except OSError as error:
                if _may_be_file(self.path / path):
                    self.unreadable[path] = str(error.strerror or error)
                return None
        return self.hashes[path]

    def is_as_sealed(self, path: str, sums: Mapping[str, str]) -> bool:
        """Whether a file is as the seal says, or as it is where the seal does not name it."""
        hashes = self.hash(path)
        if hashes is None:
            return path not in sums and not os.path.lexists(self.path / path)
        return sums.get(path, hashes.sha256) == hashes.sha256


def walk(run_path: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Everything in a run folder and in `outputs/`, nothing deeper, by POSIX path."""
    with os.scandir(run_path) as entries:
        top = sorted(entries, key=lambda entry: entry.name)
    for entry in top:
        yield entry.name, entry
        if entry.name == OUTPUTS and entry.is_dir(follow_symlinks=False):
            with os.scandir(entry.path) as outputs:
                for output in sorted(outputs, key=lambda entry: entry.name):
                    yield f"{IN_OUTPUTS}{output.name}", output


def kind_of(path: str) -> str:
    """What a file of a run is by its path: `format`, `unsealed`, `leftover`, `output` or `foreign`."""
    name = path.rpartition("/")[2]
    if path in {METADATA, RECORDS, SEAL, OUTPUTS}:
        return "format"
    if "/" not in path and is_unsealed(name):  # before leftovers: a conflict copy is both
        return "unsealed"
    if is_temporary(name) or is_sync_leftover(name):
        return "leftover"
    return "output" if is_output_path(path) else "foreign"


def _may_be_file(path: Path) -> bool:
    """Whether a file is at `path`, as far as that can be examined now."""
    try:
        return is_surely_regular(path)
    except OSError:
        return True
