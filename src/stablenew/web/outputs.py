"""Outputs for the page: found by run and digest, read without following links, served as nothing but what they are.

A run folder may come from anybody. A path of a request never reaches the file system; a path of a record does, after
its form was checked, and only regular files are read.
"""

import errno
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from starlette.responses import Response, StreamingResponse

from stablenew.disk.regular_file import is_plain_folder, open_regular, read_regular
from stablenew.errors import OutputNotFound
from stablenew.formats.media_type import EXTENSIONS
from stablenew.store.run import OutputFinder, Run
from stablenew.store.run_folder import OUTPUTS
from stablenew.web.thumbnails import MAX_BYTES

_SHOWN: Final = {extension: media_type for media_type, extension in EXTENSIONS.items() if media_type != "image/svg+xml"}
"""What a browser shows in place; everything else, SVG and HTML too, it may only download."""
_CHUNK_BYTES: Final = 1 << 18
_HEADERS: Final = {
    "cache-control": "private, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; img-src 'self'; media-src 'self'; sandbox",
}


def output_response(run: Run, digest: str) -> Response:
    """An output as the browser may have it.

    Raises:
        OutputNotFound: the run has none of this digest.
    """
    path = find_output(run, digest)
    extension = path.suffix[1:].lower()
    file = _open(path)
    headers = {**_HEADERS, "content-length": str(os.fstat(file.fileno()).st_size)}
    if extension not in _SHOWN:
        headers["content-disposition"] = f'attachment; filename="{path.name}"'
    return StreamingResponse(
        _chunks(file), media_type=_SHOWN.get(extension, "application/octet-stream"), headers=headers
    )


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise OutputNotFound(f"{path.name} cannot be read: {error.strerror or error}") from None


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def read_output(run: Run, digest: str) -> bytes:
    """The bytes of an output.

    Raises:
        OutputNotFound: the run has none of this digest.
        OSError: it cannot be read, or is longer than anything that is decoded here.
    """
    return read_regular(find_output(run, digest), MAX_BYTES)


def find_output(run: Run, digest: str) -> Path:
    """Where an output is.

    Raises:
        OutputNotFound: the run has none of this digest.
        OSError: something that is no folder has the place of the outputs.
    """
    finder = _sealed_finder(run.path) if run.is_sealed else OutputFinder(run)
    path = run.path / finder.find(digest).path
    if not is_plain_folder(run.path / OUTPUTS):
        raise OSError(errno.ENOTDIR, "expected a folder of outputs, found something else", str(path.parent))
    return path


@functools.lru_cache(maxsize=512)
def _sealed_finder(run_path: Path) -> OutputFinder:
    return OutputFinder(Run(run_path))
