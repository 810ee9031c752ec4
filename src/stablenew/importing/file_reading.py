"""Reading files to take in, in child processes: digests, metadata and facts of each, from one pass over its bytes."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from stablenew import worker_pool
from stablenew.disk.regular_file import open_regular
from stablenew.formats.digest import DoubleHash
from stablenew.image_metadata.metadata import ImageMetadata
from stablenew.image_metadata.reading import read_image_metadata, read_sidecar
from stablenew.importing.folder_walk import FoundFile, modified_ns

_CHUNK: Final = 16
"""Files a task: enough to keep a process busy, few enough for the first images to come at once."""
_ENDS: Final = {"image/png": b"IEND", "image/jpeg": b"\xff\xd9"}
_TAIL_BYTES: Final = 4096
"""Some programs write a little behind the end."""
_READ_BYTES: Final = 256 << 10
"""Small enough to stay in the processor's cache from the one digest to the other."""
_SIDECAR_ENDINGS: Final = (".txt", ".json")
_LOG: Final = "log.html"
_LONGEST_SIDECAR: Final = 4 << 20
_LONGEST_LOG: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What a file holds."""

    file: FoundFile
    digest: str = ""
    sha256: str = ""
    metadata: ImageMetadata | None = None
    is_cut_off: bool = False
    """Whether the end that its format asks for is missing: it may still be being written."""
    problem: str | None = None
    """Why it could not be read; then the rest is empty."""


def iter_read(root: Path, files: Sequence[FoundFile], *, processes: int | None = None) -> Iterator[list[ReadFile]]:
    """What `files` beneath `root` hold, in their order, a few at a time."""
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    if len(chunks) < 2 or not worker_pool.is_available():
        yield from (read_files(root, chunk) for chunk in chunks)
        return
    tasks: Iterable[Any] = ([_encode(file) for file in chunk] for chunk in chunks)
    yield from worker_pool.iter_answers(__name__, [os.fspath(root)], tasks, count=processes, ahead=3)


def read_files(root: Path, files: Iterable[FoundFile]) -> list[ReadFile]:
    """What each of `files` beneath `root` holds. One that cannot be read says why, and keeps nobody from the others."""
    buffer = memoryview(bytearray(_READ_BYTES))  # one for all: new memory for every piece costs as much as the hashing
    return [_read(root, file, buffer) for file in files]


def read_metadata(root: Path, file: FoundFile) -> ReadFile:
    """What `file` says, without its digests: only the parts of it that hold metadata are read."""
    path = _path_of(root, file)
    try:
        with open_regular(path) as opened:
            metadata = read_image_metadata(opened)
    except OSError as error:
        return ReadFile(file, problem=error.strerror or str(error))
    if not metadata.has_generation_data:
        metadata = _read_beside(path) or metadata
    return ReadFile(file, metadata=metadata)


def _path_of(root: Path, file: FoundFile) -> str:
    return os.path.join(root, *file.path.split("/"))


def _read(root: Path, file: FoundFile, buffer: memoryview) -> ReadFile:
    path = _path_of(root, file)
    try:
        with open_regular(path) as opened:
            before = os.fstat(opened.fileno())
            hashes = DoubleHash()
            while count := opened.readinto(buffer):
                hashes.update(buffer[:count])
            opened.seek(0)
            metadata = read_image_metadata(opened)
            is_cut_off = _is_cut_off(opened, metadata.media_type, before.st_size)
            after = os.fstat(opened.fileno())
    except OSError as error:
        return ReadFile(file, problem=error.strerror or str(error))
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return ReadFile(file, problem="it changed while it was read")
    found = file._replace(size_bytes=hashes.size_bytes, modified_ns=modified_ns(after))
    if not metadata.has_generation_data:
        metadata = _read_beside(path) or metadata
    return ReadFile(found, hashes.digest, hashes.sha256, metadata, is_cut_off)


def _is_cut_off(opened: BinaryIO, media_type: str, size_bytes: int) -> bool:
    """Whether a file lacks its end: the last chunk of a PNG, the end of a JPEG, the length that a WebP says."""
    if media_type == "image/webp":
        opened.seek(4)
        return int.from_bytes(opened.read(4), "little") + 8 > size_bytes
    end = _ENDS.get(media_type)
    if end is None:
        return False
    opened.seek(-min(size_bytes, _TAIL_BYTES), os.SEEK_END)
    return end not in opened.read()


def _read_beside(path: str) -> ImageMetadata | None:
    """What a file beside the image says, where the image itself says nothing."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(path)[0]
    beside = [(f"{stem}{ending}", _LONGEST_SIDECAR) for ending in _SIDECAR_ENDINGS]
    beside += [(f"{path}{ending}", _LONGEST_SIDECAR) for ending in _SIDECAR_ENDINGS]
    for other, longest in (*beside, (os.path.join(folder, _LOG), _LONGEST_LOG)):
        with contextlib.suppress(OSError):
            if os.path.islink(other) or os.path.getsize(other) > longest:
                continue
            said = read_sidecar(Path(other).read_bytes(), os.path.basename(other), name)
            if said.has_generation_data:
                return said
    return None


def _encode(file: FoundFile) -> list[Any]:
    # Names that are not UTF-8 hold lone surrogates, which JSON escapes and reads back.
    return [file.path, file.size_bytes, file.modified_ns]


def _serve(root: Path) -> None:
    # What is sent back must be of this module under its own name, not of `__main__`.
    from stablenew.importing import file_reading  # noqa: PLC0415, PLW0406

    worker_pool.serve(lambda task: file_reading.read_files(root, [FoundFile(*fields) for fields in task]))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
