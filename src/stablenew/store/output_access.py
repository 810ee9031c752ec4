"""Opening the bytes of an output, wherever they are, and only if they are the recorded ones.

A record is not trusted with local files: it may have come by merge, sync or zip. An image in place is opened one name
after the other beneath a root that somebody added to this store on this machine, no link is followed, and the file must
be a regular one with the recorded size and SHA-256 before a byte of it is given to anybody.
"""

import base64
import contextlib
import errno
import functools
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO, Final

from stablenew.disk.regular_file import open_regular
from stablenew.errors import OutputNotFound
from stablenew.formats.documents.output_reference import Origin, OutputReference
from stablenew.store.run import Run
from stablenew.store.source_roots import SourceRoot, SourceRoots
from stablenew.store.sources.moved_files import MovedFiles

HELD: Final = "held"
IN_PLACE: Final = "in place"
MISSING: Final = "missing"
CHANGED: Final = "changed"

_CHUNK_BYTES: Final = 1 << 20
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_OPEN_FOLDER: Final = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_OPEN_FILE: Final = (
    os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_CAN_WALK: Final = os.open in os.supports_dir_fd
_DEVICES = re.compile(rb"\A(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?\Z", re.IGNORECASE | re.DOTALL)


def open_output(run: Run, output: OutputReference) -> BinaryIO:
    """The bytes of an output, open at the beginning.

    Raises:
        OutputNotFound: it is not there, or what is there is not what was recorded; the message says which.
    """
    if output.origin is None:
        path = run.path / output.path_in_run
        try:
            return open_regular(path)
        except OSError as error:
            raise OutputNotFound(f"{output.path} cannot be read: {error.strerror or error}") from None
    return _open_in_place(run, output, output.origin)


def place_of(run: Run, output: OutputReference) -> str:
    """Whether an output is `held`, `in place`, `missing` or `changed`. One in place is read whole."""
    if output.origin is None:
        return HELD if os.path.lexists(run.path / output.path_in_run) else MISSING
    try:
        _open_in_place(run, output, output.origin).close()
    except OutputNotFound as error:
        return CHANGED if isinstance(error, OriginChanged) else MISSING
    return IN_PLACE


class OriginChanged(OutputNotFound):
    """Another file is where an image in place was."""


def locate_origin(run: Run, origin: Origin) -> Path:
    """Where an image in place lies on this machine, as far as its root is known; nothing is opened.

    Raises:
        OutputNotFound: this machine does not know the root, or the path cannot lie beneath one.
    """
    return _beneath(_find_root(run, origin), _parts_of(origin))


def locate_output(run: Run, output: OutputReference) -> Path:
    """Where the file of an output lies on this machine, also where it was moved after its import; nothing is opened.

    Raises:
        OutputNotFound: nothing is there.
    """
    if output.origin is None:
        return run.path / output.path_in_run
    try:
        place = locate_origin(run, output.origin)
        if os.path.lexists(place):
            return place
        missing = OutputNotFound(f"{place} is not there any more")
    except OutputNotFound as error:
        missing = error
    if (moved := MovedFiles(run.path.parent).find(output.digest)) is not None:
        with contextlib.suppress(OutputNotFound):
            place = locate_origin(run, moved)
            if os.path.lexists(place):
                return place
    raise missing


def _beneath(root: SourceRoot, parts: list[bytes]) -> Path:
    return root.path.joinpath(*(os.fsdecode(part) for part in parts))


def _find_root(run: Run, origin: Origin) -> SourceRoot:
    root = SourceRoots(run.path.parent).find(origin.root)
    if root is None:
        raise OutputNotFound(
            f"{origin.name} lies in the source {origin.root}, which this machine does not know; say where it is with "
            f"`stablenew sources move {origin.root} FOLDER`"
        )
    return root


def _parts_of(origin: Origin) -> list[bytes]:
    """The names of the path, each a plain one. Raises OutputNotFound."""
    if origin.path_bytes is not None:
        path = base64.b64decode(origin.path_bytes)
    else:
        path = origin.path.encode("utf-8", "surrogateescape")
    parts = path.split(b"/")
    for part in parts:
        if part in (b"", b".", b"..") or b"\0" in part or _is_foreign(part):
            raise OutputNotFound(f"{origin.path!r} is not a path beneath a source; it was not opened")
    return parts


def _is_foreign(part: bytes) -> bool:
    return os.name == "nt" and (b"\\" in part or b":" in part or bool(_DEVICES.match(part)))


def _open_in_place(run: Run, output: OutputReference, origin: Origin) -> BinaryIO:
    """The file in its place, or where it was found after it was moved."""
    try:
        return _open_at(run, output, origin)
    except OutputNotFound:
        moved = MovedFiles(run.path.parent).find(output.digest)
        if moved is None:
            raise
        with contextlib.suppress(OutputNotFound):
            return _open_at(run, output, moved)
        raise


def _open_at(run: Run, output: OutputReference, origin: Origin) -> BinaryIO:
    root, parts = _find_root(run, origin), _parts_of(origin)
    place = _beneath(root, parts)
    try:
        file = _walk(root.path, parts) if _CAN_WALK else open_regular(_without_links(root.path, place))
    except OSError as error:
        raise OutputNotFound(f"{place} cannot be read: {error.strerror or error}") from None
    try:
        _check_bytes(file, output, place)
    except BaseException:
        file.close()
        raise
    return file


def _walk(root: Path, parts: list[bytes]) -> BinaryIO:
    """A file opened name by name, so that no name on the way may be a link, even one that is made meanwhile."""
    with contextlib.ExitStack() as opened:
        folder = os.open(root, _OPEN_FOLDER & ~_NOFOLLOW)  # the root itself is the user's own word
        opened.callback(os.close, folder)
        for part in parts[:-1]:
            folder = os.open(part, _OPEN_FOLDER, dir_fd=folder)
            opened.callback(os.close, folder)
        descriptor = os.open(parts[-1], _OPEN_FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "expected a regular file")
    return os.fdopen(descriptor, "rb")


def _without_links(root: Path, place: Path) -> Path:
    for folder in (place, *place.parents):
        if folder == root:
            return place
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "a link is on the way")
    raise OSError(errno.EINVAL, "it does not lie beneath its source")


def _check_bytes(file: BinaryIO, output: OutputReference, place: Path) -> None:
    """See that the open file is the recorded one. Raises OriginChanged."""
    status = os.fstat(file.fileno())
    if output.sha256 is None:
        raise OutputNotFound(f"the record of {place} has no SHA-256; it was not opened")
    if status.st_size != output.size_bytes:
        raise OriginChanged(f"{place} has {status.st_size:,} bytes, {output.size_bytes:,} were recorded")
    key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, output.sha256)
    if key in _verified():
        return
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != output.sha256:
        raise OriginChanged(f"{place} is not the file that was recorded: its SHA-256 is another one")
    file.seek(0)
    if len(_verified()) > _MOST_REMEMBERED:
        _verified().clear()
    _verified().add(key)


_MOST_REMEMBERED: Final = 100_000


@functools.cache
def _verified() -> set[tuple[int, int, int, int, str]]:
    """Files that were read whole in this process, by device, inode, times and SHA-256."""
    return set()
