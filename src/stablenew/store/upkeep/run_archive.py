"""A zip of run folders, opened as a store for a while."""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from stablenew.errors import FormatError, NotAStore
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.run_id import is_run_id
from stablenew.store.run_folder import METADATA, OUTPUTS, RECORDS, SEAL, is_feedback
from stablenew.store.run_store import RunStore

MAX_TOTAL_BYTES: Final = 64 * 1024**3
_CHUNK_BYTES: Final = 1 << 20


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[RunStore]:
    """The runs in a zip, unpacked into a folder of the system's that goes when the block ends.

    The zip holds one run's files at its top, or run folders, under any number of folders. Only files of the format are
    unpacked, to places inside the folder, whatever the zip calls them.

    Raises:
        NotAStore: it is no zip, holds no run, or more than 64 GiB.
    """
    folder = Path(tempfile.mkdtemp(prefix="stablenew-"))
    try:
        with _open_zip(path) as archive:
            _unpack(archive, folder, path)
        yield RunStore(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise NotAStore(f"expected a zip of runs, found something else: {path}: {error}") from None


def _unpack(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    members = [info for info in archive.infolist() if not info.is_dir()]
    if sum(info.file_size for info in members) > MAX_TOTAL_BYTES:
        raise NotAStore(f"{path} would unpack to more than {MAX_TOTAL_BYTES >> 30} GiB")
    roots = {PurePosixPath(info.filename).parent for info in members if PurePosixPath(info.filename).name == METADATA}
    if not roots:
        raise NotAStore(f"expected a zip of runs, found no {METADATA} in {path}")
    for info in members:
        name = PurePosixPath(info.filename)
        root = next((one for one in (name.parent, name.parent.parent) if one in roots), None)
        if root is not None and _belongs(name.relative_to(root)):
            _extract(archive, info, folder / _run_id(archive, root, path) / name.relative_to(root))


def _belongs(name: PurePosixPath) -> bool:
    if len(name.parts) == 1:
        return name.name in {METADATA, RECORDS, SEAL} or is_feedback(name.name)
    return name.parts[0] == OUTPUTS and len(name.parts) == 2 and not name.name.startswith(".") and "\\" not in name.name


def _run_id(archive: zipfile.ZipFile, root: PurePosixPath, path: Path) -> str:
    """The folder's name, or for files at the top of the zip what the metadata says."""
    if is_run_id(root.name):
        return root.name
    try:
        return RunMetadata.from_json(archive.read((root / METADATA).as_posix())).run_id
    except (FormatError, KeyError) as error:
        raise NotAStore(f"{path}: {root / METADATA} cannot be read: {error}") from None


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
