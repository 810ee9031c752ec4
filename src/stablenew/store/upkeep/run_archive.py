"""A zip of run folders, unpacked and opened as a store for a while."""

import contextlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from stablenew.errors import FormatError, NotAStore
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.output_path import is_output_path
from stablenew.formats.run_id import is_run_id
from stablenew.store.run_folder import (
    MAX_BYTES,
    MAX_FEEDBACK_BYTES,
    MAX_METADATA_BYTES,
    METADATA,
    SEAL,
    is_unsealed,
)
from stablenew.store.run_store import RunStore

MAX_TOTAL_BYTES: Final = 64 * 1024**3
MAX_EXPANSION: Final = 200
"""How many times its own size a zip may unpack to. Images hardly compress, and records some twenty times."""
_ALWAYS_ALLOWED_BYTES: Final = 1 << 30
_CHUNK_BYTES: Final = 1 << 20
# What `zipfile` raises for damaged, encrypted or unknown contents; OSError also for a name that is too long here.
_UNPACKING_ERRORS: Final = (
    OSError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
)


class UnpackedRuns(RunStore):
    """The runs of a zip. What of a run could not be unpacked is missing from its folder, as after a broken copy."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.problems: dict[str, str] = {}
        """Why the first such file of a run could not be unpacked, by run id."""


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[UnpackedRuns]:
    """The runs in a zip, unpacked into a temporary folder that is deleted when the block ends.

    The zip holds one run's files at its top, or run folders, below any number of folders. Only files of the format are
    unpacked, to places inside the folder, whatever the zip calls them. A file that cannot be unpacked stops no other.

    Raises:
        NotAStore: it is not a zip, holds no run, or would unpack to more than is allowed or than there is room for.
    """
    with _open_zip(path) as archive:
        files = _list_files(archive)
        runs = _find_runs(archive, files, path)
        wanted = [(info, runs[root], name) for info, root, name in _belonging(files, set(runs))]
        folder = Path(tempfile.mkdtemp(prefix="stablenew-"))
        try:
            _check_size(path, folder, sum(info.file_size for info, _, _ in wanted))
            store = _unpack(archive, wanted, folder)
            if store.problems and not any(store.iter_runs()):
                raise NotAStore(f"nothing of {path} can be unpacked: {next(iter(store.problems.values()))}")
            yield store
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _UNPACKING_ERRORS as error:
        raise NotAStore(f"expected a zip of runs, found something else: {path}: {error}") from None


_Files = list[tuple[zipfile.ZipInfo, PurePosixPath]]


def _list_files(archive: zipfile.ZipFile) -> _Files:
    """The members that are files. Some programs of Windows write backslashes between the names of folders."""
    named = [(info, info.filename.replace("\\", "/")) for info in archive.infolist()]
    return [(info, PurePosixPath(name)) for info, name in named if not name.endswith("/")]


def _find_runs(archive: zipfile.ZipFile, files: _Files, path: Path) -> dict[PurePosixPath, str]:
    """The folders of runs and the id of each: a folder with metadata, or one that is named and sealed like a run.

    The id is the folder's name, or for files at the top of the zip what the metadata says.
    """
    runs: dict[PurePosixPath, str] = {}
    for info, name in files:
        if name.name in {METADATA, SEAL} and is_run_id(name.parent.name):
            runs[name.parent] = name.parent.name
        elif name.name == METADATA:
            runs[name.parent] = _read_run_id(archive, info, path)
    if not runs:
        raise NotAStore(f"expected a zip of runs, found no {METADATA} in {path}")
    return runs


def _read_run_id(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> str:
    try:
        if info.file_size > MAX_METADATA_BYTES:
            raise NotAStore(f"{path}: {info.filename} is longer than {MAX_METADATA_BYTES:,} bytes")
        return RunMetadata.from_json(archive.read(info)).run_id
    except (FormatError, *_UNPACKING_ERRORS) as error:
        raise NotAStore(f"{path}: {info.filename} cannot be read: {error}") from None


def _belonging(
    files: _Files, roots: set[PurePosixPath]
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath, PurePosixPath]]:
    """The files of the format: each with the folder of its run, and its name in it."""
    for info, name in files:
        root = next((folder for folder in (name.parent, name.parent.parent) if folder in roots), None)
        if root is not None and _is_of_the_format(name.relative_to(root)):
            yield info, root, name.relative_to(root)


def _is_of_the_format(name: PurePosixPath) -> bool:
    if len(name.parts) == 1:
        return name.name in MAX_BYTES or (is_unsealed(name.name) and ":" not in name.name)
    return is_output_path(name.as_posix())


def _check_size(path: Path, folder: Path, total: int) -> None:
    """Refuse before anything is unpacked.

    Raises:
        NotAStore: a zip bomb, or more than the disk has room for.
    """
    most = min(MAX_TOTAL_BYTES, max(_ALWAYS_ALLOWED_BYTES, path.stat().st_size * MAX_EXPANSION))
    if total > most:
        raise NotAStore(f"{path} would unpack to {total:,} bytes; at most {most:,} are taken from a zip of its size")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise NotAStore(f"{path} would unpack to {total:,} bytes, and {folder.parent} has room for {free:,}")


def _unpack(
    archive: zipfile.ZipFile, wanted: list[tuple[zipfile.ZipInfo, str, PurePosixPath]], folder: Path
) -> UnpackedRuns:
    store = UnpackedRuns(folder)
    for info, run_id, name in wanted:
        target = folder / run_id / name
        try:
            _extract(archive, info, target)
        except _UNPACKING_ERRORS as error:
            with contextlib.suppress(OSError):
                target.unlink()
            store.problems.setdefault(run_id, f"{name} cannot be unpacked: {error}")
    return store


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    most = MAX_FEEDBACK_BYTES if is_unsealed(target.name) else MAX_BYTES.get(target.name, info.file_size)
    if info.file_size > most:
        raise ValueError(f"it is longer than {most:,} bytes")
    # `zipfile` never gives more bytes than the member announces, and those were counted before.
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
