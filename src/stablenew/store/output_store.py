"""Outputs of a run on disk: hashed while they are written, named by what they hold."""

import functools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stablenew.disk.atomic_file import naming_failures, new_file, write_all
from stablenew.disk.group_sync import Steps, begin, file_steps
from stablenew.disk.regular_file import StrPath, open_regular
from stablenew.errors import WriteFailed
from stablenew.formats.digest import DoubleHash
from stablenew.store.run_folder import OUTPUTS, output_name

_CHUNK_BYTES = 1 << 20
_HASHING_THREADS = 2


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """An output on disk."""

    path: str
    """In the run, POSIX, `outputs/…`."""
    digest: str
    sha256: str
    size_bytes: int


def write_output_steps(
    run_path: StrPath,
    content: bytes | Path | Iterable[bytes],
    *,
    variant: int,
    stage: str,
    number: int,
    media_type: str,
    digest: str | None = None,
) -> Steps[StoredOutput]:
    """Put one output into the run, durably; its folder is still to be synced.

    `content` is the bytes, a file to copy, or chunks. They are hashed in the same pass that writes them; `digest` is
    their content address where it was just worked out.

    Raises:
        WriteFailed: the disk would not take it, or another output has this place; nothing is left behind.
    """
    hashes = DoubleHash(digest)
    target = os.path.join(run_path, OUTPUTS, f"{variant:04d}-{stage}-{number}")
    with naming_failures(target), new_file(target) as new:
        if isinstance(content, bytes):
            yield from _write_and_hash(new.descriptor, content, hashes)
        else:
            for chunk in _read_chunks(content) if isinstance(content, Path) else content:
                hashes.update(chunk)
                write_all(new.descriptor, chunk)
            yield from file_steps(new.descriptor)
        path = output_name(variant, stage, number, hashes.digest, media_type)
        place = os.path.join(run_path, path)
        if os.path.lexists(place):
            raise WriteFailed(f"output {path} is there already; a variant writes each of its outputs once")
        new.move_to(place)
    return StoredOutput(path, hashes.digest, hashes.sha256, hashes.size_bytes)


def hash_file(path: StrPath) -> DoubleHash:
    """Both hashes of a file, read once."""
    hashes = DoubleHash()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hashes.update(chunk)
    return hashes


def _write_and_hash(descriptor: int, data: bytes, hashes: DoubleHash) -> Steps[None]:
    """Hash `data` while the disk takes it: hashing and waiting for the disk both leave the interpreter free."""
    hashing = begin(_hashing_pool(os.getpid()), hashes.update, data)
    try:
        write_all(descriptor, data)
        yield from file_steps(descriptor)
    finally:
        hashing.result()


@functools.lru_cache(maxsize=1)
def _hashing_pool(_process: int) -> ThreadPoolExecutor:
    """Threads for hashing; a forked process has none of its parent's and makes its own."""
    return ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="stablenew-hash")


def _read_chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
