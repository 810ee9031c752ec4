"""SHA-256 of model files: worked out once per file, beside whatever goes on, and remembered in the state folder.

A model has gigabytes, and nothing waits for its hash: where it is not known yet it is `pending`, and a process of its
own works it out, which goes on when this one ends. A file counts as the one that was hashed as long as its path, size,
modified time and inode are the same.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from stablenew.disk.atomic_file import replace_cached
from stablenew.disk.regular_file import StrPath
from stablenew.errors import WriteFailed
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import encode_pretty_json
from stablenew.store.local_state import state_folder
from stablenew.worker_pool import lower_priority, start_beside

PENDING: Final = "pending"
_SMALL_BYTES: Final = 4 << 20
"""Files up to this size are hashed at once: that takes a few milliseconds."""
_DAMAGE: Final = (OSError, ValueError, AttributeError, KeyError, TypeError)
"""What reading a note of this machine can raise, whatever stands in its file."""
_known: dict["FileIdentity", str] = {}
_started: set["FileIdentity"] = set()


class FileIdentity(NamedTuple):
    """By what a file is taken for the same one."""

    path: str
    size_bytes: int
    modified_ns: int
    inode: int


def identify_file(path: StrPath) -> FileIdentity:
    """What the file is taken for now; links are followed.

    Raises:
        OSError: it is not there.
    """
    real = Path(path).resolve()
    status = real.stat()
    return FileIdentity(str(real), status.st_size, status.st_mtime_ns, status.st_ino)


def find_sha256(files: Sequence[FileIdentity]) -> dict[FileIdentity, str]:
    """The SHA-256 of each file, `pending` where it is not known yet; it will be, some time later."""
    found = {file: _find(file) for file in files}
    unknown = [file for file, sha256 in found.items() if sha256 is None and file not in _started]
    if unknown:
        _started.update(unknown)
        start_beside("stablenew.store.file_hashes", *(file.path for file in unknown))
    return {file: sha256 or PENDING for file, sha256 in found.items()}


def _find(file: FileIdentity) -> str | None:
    if file not in _known:
        sha256 = _read_remembered(file)
        if sha256 is None and file.size_bytes <= _SMALL_BYTES:
            sha256 = _hash(file)
        if sha256 is None:
            return None
        _known[file] = sha256
    return _known[file]


def _hash(file: FileIdentity) -> str | None:
    """The SHA-256 of the file, None where it is another one by the end."""
    with contextlib.suppress(OSError), Path(file.path).open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        if identify_file(file.path) == file:
            return sha256
    return None


def remember_sha256(path: StrPath) -> str | None:
    """The SHA-256 of a file, worked out now and remembered; None where it could not be read, or changed meanwhile."""
    file = identify_file(path)
    sha256 = _hash(file)
    if sha256 is not None:
        place = _place(file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_cached(place, encode_pretty_json({**file._asdict(), "sha256": sha256}))
    return sha256


def _place(path: str) -> Path:
    return state_folder() / "file_hashes" / f"{digest_bytes(os.fsencode(path))[-16:]}.json"


def _read_remembered(file: FileIdentity) -> str | None:
    with contextlib.suppress(*_DAMAGE):
        entry = json.loads(_place(file.path).read_bytes())
        if all(entry[name] == value for name, value in file._asdict().items()):
            return str(entry["sha256"])
    return None


def note_pending(run_id: str, files: Mapping[str, FileIdentity]) -> None:
    """Remember which files a run used under which names, so that their hashes can be found when they are known."""
    place = _pending_place(run_id)
    with contextlib.suppress(WriteFailed, OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_cached(place, encode_pretty_json({name: file._asdict() for name, file in files.items()}))


def find_pending(run_id: str, name: str) -> str | None:
    """The SHA-256 of a file that was pending when the run was sealed; None where it never came to be known here."""
    with contextlib.suppress(*_DAMAGE):
        entry = json.loads(_pending_place(run_id).read_bytes())[name]
        return _find(FileIdentity(**entry))
    return None


def is_coming(run_id: str, name: str) -> bool:
    """Whether a hash that was pending when the run was sealed may still be worked out: the file is the same yet."""
    with contextlib.suppress(*_DAMAGE):
        file = FileIdentity(**json.loads(_pending_place(run_id).read_bytes())[name])
        return identify_file(file.path) == file
    return False


def _pending_place(run_id: str) -> Path:
    return state_folder() / "pending_hashes" / f"{run_id}.json"


def main(paths: Sequence[str]) -> int:
    """Work out the hashes of these files, for whoever asks later."""
    lower_priority()
    for path in paths:
        with contextlib.suppress(OSError, WriteFailed):
            remember_sha256(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
