"""Outputs for the page: found by run and digest, read without following links, served as nothing but what they are.

A run folder may come from anybody. A path of a request never reaches the file system; a path of a record does, after
its form was checked, and only regular files are read. An image that lies elsewhere is read only where this machine was
told of its folder, and only while it is the recorded one.
"""

import errno
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from stablenew.disk.regular_file import is_plain_folder, open_regular, read_regular
from stablenew.errors import OutputNotFound
from stablenew.formats.digest import short_digest
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.formats.media_type import EXTENSIONS, extension_for
from stablenew.store.output_access import open_output
from stablenew.store.run import OutputFinder, OutputName, Run
from stablenew.store.run_folder import OUTPUTS
from stablenew.web.pictures.thumbnails import MAX_BYTES

_SHOWN: Final = {extension: media_type for media_type, extension in EXTENSIONS.items() if media_type != "image/svg+xml"}
"""What a browser shows in place; everything else, SVG and HTML too, it may only download."""
_CHUNK_BYTES: Final = 1 << 18
FOREVER: Final = "private, max-age=31536000, immutable"
"""How long a browser may keep what its address names by its digest."""
_HEADERS: Final = {
    "cache-control": FOREVER,
    "content-security-policy": "default-src 'none'; img-src 'self'; media-src 'self'; sandbox",
}


def output_response(run: Run, digest: str) -> Response:
    """An output as the browser may have it.

    Raises:
        OutputNotFound: the run has none of this digest, or what is there is not what was recorded.
    """
    file, name = _open_output(run, digest)
    extension = name.rpartition(".")[2].lower()
    headers = {**_HEADERS, "content-length": str(os.fstat(file.fileno()).st_size)}
    if extension not in _SHOWN:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    return StreamingResponse(
        iter_pieces(file), media_type=_SHOWN.get(extension, "application/octet-stream"), headers=headers
    )


def _open_output(run: Run, digest: str) -> tuple[BinaryIO, str]:
    """The open file of an output, and a name that tells its type."""
    found = _find(run, digest)
    if found.path:
        path = _held_path(run, found)
        return _open(path), path.name
    reference = _reference(run, found.digest)
    stem = short_digest(found.digest)
    return open_output(run, reference), f"{stem}.{extension_for(reference.media_type)}"


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise OutputNotFound(f"{path.name} cannot be read: {error.strerror or error}") from None


def iter_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, which is closed at the end."""
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def read_output(run: Run, digest: str) -> bytes:
    """The bytes of an output.

    Raises:
        OutputNotFound: the run has none of this digest, or what is there is not what was recorded.
        OSError: it cannot be read, or is longer than anything that is decoded here.
    """
    found = _find(run, digest)
    if found.path:
        return read_regular(_held_path(run, found), MAX_BYTES)
    reference = _reference(run, found.digest)
    if reference.size_bytes > MAX_BYTES:
        raise OSError(errno.EFBIG, f"expected at most {MAX_BYTES:,} bytes", reference.digest)
    with open_output(run, reference) as file:
        return file.read()


def _find(run: Run, digest: str) -> OutputName:
    finder = _sealed_finder(run.path) if run.is_sealed else OutputFinder(run)
    return finder.find(digest)


def _reference(run: Run, digest: str) -> OutputReference:
    references = _sealed_references(run.path) if run.is_sealed else _read_references(run.path)
    return references[digest]


def _held_path(run: Run, found: OutputName) -> Path:
    """Where a held output is. Raises OSError: something that is not a folder is in the place of the outputs."""
    if not is_plain_folder(run.path / OUTPUTS):
        raise OSError(errno.ENOTDIR, "expected a folder of outputs, found something else", str(run.path / OUTPUTS))
    return run.path / found.path


def _read_references(run_path: Path) -> dict[str, OutputReference]:
    return {output.digest: output for _, output in Run(run_path).iter_outputs() if not output.is_held}


@functools.lru_cache(maxsize=512)
def _sealed_references(run_path: Path) -> dict[str, OutputReference]:
    """The outputs of a sealed run that lie in their place."""
    return _read_references(run_path)


@functools.lru_cache(maxsize=512)
def _sealed_finder(run_path: Path) -> OutputFinder:
    return OutputFinder(Run(run_path))
