"""Source roots: folders of images that a store describes and does not hold, by an id, as this machine knows them.

A record names an image in place by the id of a root and a path beneath it. Which folder that is, is this machine's own
state: records travel, and none of them may say which file of this machine to open.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from stablenew.disk.atomic_file import replace_file
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.strict_json import encode_pretty_json
from stablenew.store.local_state import state_folder, store_key
from stablenew.store.run_lock import file_guard

_ID_BYTES: Final = 5
_ID: Final = rf"[0-9a-f]{{{2 * _ID_BYTES}}}"
_Entry: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SourceRoot:
    """One folder of images."""

    id: str
    path: Path
    """Absolute; where the folder is on this machine now."""
    added_at: str
    is_watched: bool = False
    """Whether the page takes in what is saved there while it runs."""


class SourceRoots:
    """The roots that were added to one store on this machine."""

    def __init__(self, store_root: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._file = state_folder() / "sources" / f"{store_key(store_root)}.json"
        self._clock = clock

    def list(self) -> "list[SourceRoot]":
        """All roots, the oldest first.

        Raises:
            ConfigError: the file that lists them is damaged.
        """
        entries = self._read().items()
        return [
            SourceRoot(name, Path(entry["path"]), str(entry.get("added_at", "")), bool(entry.get("is_watched")))
            for name, entry in entries
        ]

    def find(self, root_id: str) -> SourceRoot | None:
        """The root with this id, if this machine knows it."""
        return next((root for root in self.list() if root.id == root_id), None)

    def root_of(self, folder: Path) -> SourceRoot | None:
        """The root that `folder` is, or lies in."""
        wanted = folder.resolve()
        return next((root for root in self.list() if wanted.is_relative_to(root.path)), None)

    def add(self, folder: Path) -> SourceRoot:
        """Make `folder` a root. One that is a root already, or lies in one, gives that one.

        Raises:
            ConfigError: it is not a folder, or roots lie in it: an image must not have two places.
        """
        resolved = folder.resolve()
        if not resolved.is_dir():
            raise ConfigError(f"expected a folder of images, found none at {folder}")
        if known := self.root_of(resolved):
            return known
        inside = [root for root in self.list() if root.path.is_relative_to(resolved)]
        if inside:
            raise ConfigError(
                f"{folder} contains {inside[0].path}, which is a source already; import the folders beside it one by "
                f"one, or take that one out first: stablenew sources remove {inside[0].id}"
            )
        root = SourceRoot(secrets.token_hex(_ID_BYTES), resolved, self._clock.timestamp())
        with file_guard(self._file):
            self._write({**self._read(), root.id: _to_dict(root)})
        return root

    def move(self, root_id: str, folder: Path) -> SourceRoot:
        """Say where a root is now: after a move, or on a machine that a store was synced to.

        Raises:
            ConfigError: `folder` is not a folder, or `root_id` cannot be the id of a root.
        """
        resolved = folder.resolve()
        if not resolved.is_dir():
            raise ConfigError(f"expected a folder of images, found none at {folder}")
        with file_guard(self._file):
            entries = self._read()
            if not re.fullmatch(_ID, root_id):
                _entry_of(entries, root_id)
            known = entries.get(root_id, {})
            added_at = known.get("added_at") or self._clock.timestamp()
            root = SourceRoot(root_id, resolved, added_at, bool(known.get("is_watched")))
            self._write({**entries, root_id: _to_dict(root)})
        return root

    def set_watched(self, root_id: str, *, is_watched: bool) -> SourceRoot:
        """Say whether the page takes in what is saved beneath a root from now on.

        Raises:
            ConfigError: there is no such root.
        """
        with file_guard(self._file):
            entries = self._read()
            entry = _entry_of(entries, root_id)
            self._write({**entries, root_id: {**entry, "is_watched": is_watched}})
        return SourceRoot(root_id, Path(entry["path"]), str(entry.get("added_at", "")), is_watched)

    def remove(self, root_id: str) -> None:
        """Forget a root on this machine. Nothing of the store or of the folder changes.

        Raises:
            ConfigError: there is no such root.
        """
        with file_guard(self._file):
            entries = self._read()
            _entry_of(entries, root_id)
            self._write({name: entry for name, entry in entries.items() if name != root_id})

    def _read(self) -> dict[str, _Entry]:
        try:
            value = json.loads(self._file.read_bytes())
            return {str(name): dict(entry) for name, entry in value["roots"].items() if entry["path"]}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{self._file} cannot be read: {error}; mend or remove it") from None

    def _write(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, encode_pretty_json({"roots": {name: dict(entry) for name, entry in entries.items()}}))


def _entry_of(entries: Mapping[str, _Entry], root_id: str) -> _Entry:
    if root_id not in entries:
        raise ConfigError(f"no source {root_id!r}; there are {', '.join(entries) or 'none'}")
    return entries[root_id]


def _to_dict(root: SourceRoot) -> _Entry:
    return {"path": str(root.path), "added_at": root.added_at, "is_watched": root.is_watched}
