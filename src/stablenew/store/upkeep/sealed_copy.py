"""Copying sealed runs and their files, checked against the seal while they are copied: nothing else ever arrives."""

import contextlib
import hashlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from stablenew.disk.atomic_file import (
    naming_failures,
    new_file,
    sync_folder,
    sync_folder_steps,
    temporary_name,
    write_all,
    write_once,
)
from stablenew.disk.group_sync import SyncWork, file_steps, perform_together, results_of
from stablenew.disk.regular_file import open_regular, read_regular
from stablenew.errors import NotAsSealed
from stablenew.store.output_store import hash_file
from stablenew.store.run_folder import MAX_SEAL_BYTES, OUTPUTS, SEAL
from stablenew.store.run_writer import make_read_only
from stablenew.store.seal import parse_seal, read_seal, run_digest

_CHUNK_BYTES: Final = 1 << 20
_AT_ONCE: Final = 64
"""Files that wait for the disk together."""


def check_files(run_path: Path, sums: Mapping[str, str]) -> None:
    """Read these files (path → SHA-256) of a run, as copying them would.

    Raises:
        NotAsSealed: see `copy_files`.
    """
    for name, expected in sums.items():
        with reading_sealed(name):
            found = hash_file(run_path / name).sha256
        _check(name, found, expected)


@contextlib.contextmanager
def reading_sealed(name: str) -> Iterator[None]:
    """Turn an OSError of reading the file `name` of a run into NotAsSealed."""
    try:
        yield
    except OSError as error:
        raise NotAsSealed(f"{name}: {error.strerror or error}") from error


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise NotAsSealed(f"{name} was changed")


def copy_run(source: Path, target: Path, sums: Mapping[str, str]) -> None:
    """Copy a sealed run with these files of its seal durably: it appears whole or not at all.

    `sums` may lack outputs that were removed on purpose.

    Raises:
        NotAsSealed, WriteFailed: see `copy_files`.
    """
    temporary = target.with_name(temporary_name(target.name, secrets.token_hex(4)))
    try:
        with naming_failures(target):
            (temporary / OUTPUTS).mkdir(parents=True)
        copy_files(source, temporary, {**sums, SEAL: run_digest(source).partition(":")[2]})
        _check_seal(temporary, sums)
        with naming_failures(target):
            temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)


def _check_seal(run_path: Path, sums: Mapping[str, str]) -> None:
    """Whether the seal that was copied still says `sums`. Its own digest was compared while it was copied."""
    sealed = read_seal(run_path)
    if any(sealed.get(name) != sha256 for name, sha256 in sums.items()):
        raise NotAsSealed(f"{SEAL} was changed")


def copy_files(source: Path, target: Path, sums: Mapping[str, str]) -> None:
    """Copy these files (path → SHA-256) of a run durably, with the folders they need: `outputs/` may be missing.

    Raises:
        NotAsSealed: one is not what its seal says; those that are may have been copied.
        WriteFailed: the disk would not take one.
    """
    folders = {(target / name).parent for name in sums}
    with naming_failures(target):
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    names = list(sums)
    for first in range(0, len(names), _AT_ONCE):
        together = names[first : first + _AT_ONCE]
        results_of(perform_together([_copy_steps(source, target, name, sums[name]) for name in together]))
    make_read_only(target, sums)
    results_of(perform_together([sync_folder_steps(folder) for folder in {*folders, target}]))


def _copy_steps(source: Path, target: Path, name: str, expected: str) -> SyncWork[None]:
    """Copy the file `name` of a run, hashed on its way.

    Raises:
        NotAsSealed: it is not what the seal says; nothing is left of it.
        WriteFailed: it could not be written; nothing is left of it.
    """
    with reading_sealed(name):
        file = open_regular(source / name)
    hashes = hashlib.sha256()
    with file, naming_failures(target / name), new_file(target / name) as new:
        for chunk in _chunks(file, name):
            hashes.update(chunk)
            write_all(new.descriptor, chunk)
        _check(name, hashes.hexdigest(), expected)
        yield from file_steps(new.descriptor)
        new.move_to(target / name)


def _chunks(file: BinaryIO, name: str) -> Iterator[bytes]:
    with reading_sealed(name):
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def copy_seal(source: Path, target: Path) -> None:
    """Copy the seal of a run, as the last of its files.

    Raises:
        OSError, InvalidDocument: it cannot be read as one.
        WriteFailed: the disk would not take it.
    """
    data = read_regular(source / SEAL, MAX_SEAL_BYTES)
    parse_seal(data)
    write_once(target / SEAL, data)
    make_read_only(target, [SEAL])
