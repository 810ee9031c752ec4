"""Append-only files of lines: JSON Lines on disk.

A line is written by one `os.write`; only what ends in a newline and parses is a line. Lines are split at the byte 10
and nowhere else, because a prompt may contain U+2028.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from stablenew.disk.atomic_file import naming_failures, sync_folder_steps
from stablenew.disk.group_sync import SyncWork, file_steps, perform
from stablenew.disk.regular_file import StrPath, folder_of, open_regular
from stablenew.errors import SyncFailed, WriteFailed

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ_BYTES = 1 << 20
_LONGEST_LINE = 64 * 1024 * 1024


def append_line(path: StrPath, line: bytes) -> None:
    """Append `line` (given without its newline) to `path`, durably; see `append_steps`."""
    perform(append_steps(path, [line]))


def append_steps(path: StrPath, lines: Sequence[bytes]) -> SyncWork[None]:
    """Append lines (given without newlines) to `path` in one write; when this ends, they survive a power cut.

    The caller excludes other writers of the same file. A torn line that a crash left is ended first, so that it does
    not swallow the new ones. When only a part could be written, it is removed again.

    Raises:
        WriteFailed: none of the lines is there.
    """
    text = _join(lines)
    with _opened(path) as descriptor:
        is_new = _append(descriptor, text) == 0
        yield from file_steps(descriptor)
    if is_new:
        try:
            yield from sync_folder_steps(folder_of(path))
        except OSError:
            _remove_new(path)
            raise


def _remove_new(path: StrPath) -> None:
    """Delete a new file whose name may not be on the disk: its lines are not acknowledged, so they must not be read."""
    try:
        os.unlink(path)
    except OSError as error:
        raise SyncFailed(
            error.errno,
            f"what was appended can neither be kept nor removed: {error.strerror or error}",
            os.fspath(path),
        ) from error


def append_cached(path: StrPath, lines: Sequence[bytes]) -> None:
    """As `append_steps`, without waiting for the disk: for lines that a power cut may take."""
    text = _join(lines)
    with _opened(path) as descriptor:
        _append(descriptor, text)


def _join(lines: Sequence[bytes]) -> bytes:
    if any(b"\n" in line for line in lines):
        raise ValueError("expected one line, found a newline in it")
    return b"\n".join(lines) + b"\n"


@contextlib.contextmanager
def _opened(path: StrPath) -> Iterator[int]:
    with naming_failures(path):
        descriptor = os.open(path, _APPEND, 0o666)
        try:
            yield descriptor
        finally:
            # What was synced is on the disk, whatever closing says: an error here must not make lines count as lost.
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _append(descriptor: int, text: bytes) -> int:
    """Returns the size of the file before."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    data = b"\n" + text if _is_torn(descriptor, size) else text
    written = os.write(descriptor, data)
    if written != len(data):
        try:
            os.ftruncate(descriptor, size)
        except OSError as error:
            raise SyncFailed(error.errno, "a line was written only in part, and could not be removed again") from error
        raise WriteFailed(f"only {written} of {len(data)} bytes could be appended; the disk may be full")
    return size


def _is_torn(descriptor: int, size: int) -> bool:
    if size == 0:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"


def split_lines(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """The lines of `data`, in the form in which `iter_lines` gives those of a file."""
    *lines, rest = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line, True
    if rest:
        yield len(lines) + 1, rest, False


def iter_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Every line of a file as (number from 1, bytes without the newline, whether it is whole).

    Only the last line can be torn. Blank lines are left out. A line longer than 64 MiB ends the reading; its beginning
    is given as not whole.
    """
    number, rest = 0, b""
    with open_regular(path) as file:
        while chunk := file.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                number += 1
                if line.strip():
                    yield number, line, True
            if len(rest) > _LONGEST_LINE:
                yield number + 1, rest[:80], False
                return
    if rest:
        yield number + 1, rest, False
