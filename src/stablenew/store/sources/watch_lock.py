"""WatchLock: one process at a time takes in what is saved in a folder. This machine's own state."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import replace_file
from stablenew.disk.locks import LockFile
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import WatchedElsewhere
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import encode_pretty_json
from stablenew.store.local_state import state_folder, store_key
from stablenew.store.run_lock import file_guard

_LOCK: Final = ".lock"
_NOTE: Final = ".json"


@dataclass(frozen=True, slots=True)
class _Watcher:
    """Who watches a folder, as it is noted beside the lock."""

    folder: str
    program: str
    process: int
    since: str


class WatchLock:
    """Held while a folder is watched for one store. A folder in it, or around it, counts as the same."""

    def __init__(self, store_root: Path, folder: Path, program: str, clock: Clock = SYSTEM_CLOCK) -> None:
        """`program` is what a person would call the watcher: it is named to whoever comes second."""
        self._folder = folder.resolve()
        self._locks = state_folder() / "locks" / "watches" / store_key(store_root)
        self._base = self._locks / digest_bytes(os.fsencode(self._folder))[-16:]
        self._file = LockFile(f"{self._base}{_LOCK}")
        self._watcher = _Watcher(str(self._folder), program, os.getpid(), clock.timestamp())

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            WatchedElsewhere: the folder is watched already; the message says by whom, and what to do.
        """
        make_private_folder(self._locks)
        with file_guard(self._locks):  # two that start at once must see each other
            for other in self._iter_watchers():
                if _overlap(Path(other.folder), self._folder):
                    raise WatchedElsewhere(_explain(other))
            if not self._file.acquire():
                raise WatchedElsewhere(f"{self._folder} is watched already, by another process of this machine")
            replace_file(self._note, encode_pretty_json(asdict(self._watcher)))

    def release(self) -> None:
        """Let others watch the folder."""
        if self._file.is_held_here:
            self._note.unlink(missing_ok=True)
            self._file.release(forget=True)

    @property
    def _note(self) -> Path:
        return Path(f"{self._base}{_NOTE}")

    def _iter_watchers(self) -> Iterator[_Watcher]:
        """Whoever watches a folder now. Notes of processes that were killed are removed."""
        for note in sorted(self._locks.glob(f"*{_NOTE}")):
            lock = LockFile(f"{note.with_suffix('')}{_LOCK}")
            if lock.acquire():
                note.unlink(missing_ok=True)
                lock.release(forget=True)
                continue
            try:
                yield _Watcher(**json.loads(note.read_bytes()))
            except (OSError, ValueError, TypeError):
                continue  # it ended at this moment


def _overlap(first: Path, second: Path) -> bool:
    return first.is_relative_to(second) or second.is_relative_to(first)


def _explain(watcher: _Watcher) -> str:
    who = f"{watcher.program} (process {watcher.process}, since {watcher.since})"
    return (
        f"{watcher.folder} is watched already, by {who}; that one takes in what is saved there, so nothing is missed. "
        "To watch it from here, end that one first"
    )
