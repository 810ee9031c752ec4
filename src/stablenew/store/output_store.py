"""Outputs of a run on disk: hashed while they are written, and named by their digest."""

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from stablenew.disk.atomic_file import naming_failures, new_file, write_all
from stablenew.disk.file_clone import clone_into
from stablenew.disk.group_sync import SyncWork, begin, file_steps
from stablenew.disk.regular_file import StrPath, open_regular
from stablenew.errors import WriteFailed
from stablenew.formats.digest import DoubleHash
from stablenew.store.run_folder import OUTPUTS

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_CHUNK_BYTES = 1 << 20
_HASHING_THREADS = 2
_UNNAMED: Final = f"{OUTPUTS}/output"
"""Begins the temporary name of an output whose own name depends on bytes that are still to come."""

Content: TypeAlias = bytes | Path | Iterable[bytes]
"""The bytes of an output, a file to copy, or chunks."""


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
    content: Content,
    place: Callable[[str], str],
    *,
    digest: str | None = None,
) -> SyncWork[StoredOutput]:
    """Write one output into the run, durably; its folder is still to be synced.

    `content` is hashed in the same pass that writes it. `place` gives the output's path in the run, from its digest.
    `digest` is its content address, where that was just computed from these bytes.

    Raises:
        WriteFailed: the disk refused it, or another output has this path; nothing is left behind.
    """
    hashes = DoubleHash(digest)
    target = os.path.join(run_path, place(digest) if digest else _UNNAMED)
    with naming_failures(target), new_file(target) as new:
        if isinstance(content, bytes):
            yield from _write_and_hash(new.descriptor, content, hashes)
        else:
            if isinstance(content, Path) and clone_into(new.descriptor, content):
                for chunk in _read_chunks(Path(new.path)):
                    hashes.update(chunk)
            else:
                for chunk in _read_chunks(content) if isinstance(content, Path) else content:
                    hashes.update(chunk)
                    write_all(new.descriptor, chunk)
            yield from file_steps(new.descriptor)
        path = place(hashes.digest)
        target = os.path.join(run_path, path)
        if os.path.lexists(target):
            raise WriteFailed(f"output {path} is there already; a variant writes each of its outputs once")
        new.move_to(target)
    return StoredOutput(path, hashes.digest, hashes.sha256, hashes.size_bytes)


def hash_file(path: StrPath) -> DoubleHash:
    """Both hashes of a file, read once."""
    hashes = DoubleHash()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hashes.update(chunk)
    return hashes


def _write_and_hash(descriptor: int, data: bytes, hashes: DoubleHash) -> SyncWork[None]:
    """Hash `data` while the disk writes it: both release the interpreter's lock."""
    hashing = begin(_hashing_pool(os.getpid()), hashes.update, data)
    try:
        write_all(descriptor, data)
        yield from file_steps(descriptor)
    finally:
        hashing.result()


@functools.lru_cache(maxsize=1)
def _hashing_pool(_process: int) -> "ThreadPoolExecutor":
    """Threads for hashing. A forked process inherits none of them, so it makes its own."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # commands that only read do without

    return ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="stablenew-hash")


def _read_chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
