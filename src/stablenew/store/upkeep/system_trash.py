"""The trash of the operating system, for files of other programs.

A file goes there only from a disk of this machine that has a trash: on a network share or a removable disk "moving to
the trash" deletes at once with some systems. Afterwards the file is looked for in the trash.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stablenew.disk.network_share import network_share_type
from stablenew.disk.regular_file import open_regular
from stablenew.errors import StoreError

_CHUNK_BYTES: Final = 1 << 20
_MEDIA: Final = ("/media/", "/run/media/", "/Volumes/")
_FIXED_DRIVE: Final = 3
"""What `GetDriveTypeW` of Windows says of a disk that stays in the machine."""


class NoTrash(StoreError):
    """A file was not moved to the system's trash; the message says why."""


def move_to_system_trash(path: Path, sha256: str) -> None:
    """Move a file with this SHA-256 to the system's trash.

    Raises:
        NoTrash: the place has no trash of its own, the file changed, or it could not be moved. It is still there, but
            when the message says that it is not to be found in the trash either.
    """
    folders = find_trash_folders(path)
    try:
        from send2trash import send2trash  # noqa: PLC0415
    except ImportError:
        raise NoTrash(f"{path} stays: pip install 'stablenew[trash]' to move images in place to the trash") from None
    if _hash(path) != sha256:
        raise NoTrash(f"{path} stays: it is not the file that was recorded")
    size = path.stat().st_size
    before = set(_iter_files(folders))
    try:
        send2trash(os.fspath(path))
    except OSError as error:
        raise NoTrash(f"{path} stays: the system's trash does not take it: {error.strerror or error}") from None
    added = (found for found in _iter_files(folders) if found not in before)
    if not any(found.stat().st_size == size and _hash(found) == sha256 for found in added):
        raise NoTrash(f"{path} was handed to the system's trash and is not to be found there; look for it by hand")


def find_trash_folders(path: Path) -> list[Path]:
    """The folders in which the system keeps what is moved to the trash from `path`; they may not exist yet.

    Raises:
        NoTrash: there is none on this disk, or the disk may be taken away.
    """
    real = Path(os.path.realpath(path.parent))
    if share := network_share_type(real):
        raise NoTrash(f"{path} stays: it is on a network share ({share}), which has no trash")
    if os.fspath(real).startswith(_MEDIA) or _is_removable(real):
        raise NoTrash(f"{path} stays: it is on a removable disk, where the trash may delete at once")
    if sys.platform == "win32":
        return [Path(real.anchor) / "$Recycle.Bin"]
    if sys.platform == "darwin":
        return [Path.home() / ".Trash"]
    return _find_free_desktop_trash(path, real)


def _find_free_desktop_trash(path: Path, real: Path) -> list[Path]:
    """The trash of the home folder, or that of another disk (freedesktop.org, Trash specification 1.0)."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    device = real.stat().st_dev
    if _device_of(data) == device:
        return [data / "Trash" / "files"]
    top = real
    while top.parent != top and top.parent.stat().st_dev == device:
        top = top.parent
    user = 0
    if sys.platform != "win32":
        user = os.getuid()
    own = top / f".Trash-{user}"
    shared = top / ".Trash"
    if not (own.is_dir() or shared.is_dir() or os.access(top, os.W_OK)):
        raise NoTrash(f"{path} stays: the disk at {top} has no trash that you may write to")
    return [shared / str(user) / "files", own / "files"]


def _device_of(path: Path) -> int:
    """The device of a path, or of the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path.stat().st_dev


def _is_removable(path: Path) -> bool:
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415

        return bool(ctypes.windll.kernel32.GetDriveTypeW(path.anchor) != _FIXED_DRIVE)
    device = path.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    try:
        real = block.resolve(strict=True)
        flags = [place / "removable" for place in (real, real.parent)]  # a partition's is that of its disk
        return any(flag.read_text().strip() == "1" for flag in flags if flag.is_file())
    except OSError:
        return False


def _iter_files(folders: list[Path]) -> Iterator[Path]:
    """The files in the trash: directly in a folder, or one deeper, where Windows has a folder for each user."""
    for folder in folders:
        for pattern in ("*", "*/*") if sys.platform == "win32" else ("*",):
            try:
                yield from (path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())
            except OSError:
                continue


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
