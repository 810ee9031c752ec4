"""The closure of a run, what a rerun depends on, found out beside it: neither the images nor the seal wait for it."""

import contextlib
import threading
import time
from typing import Final

from stablenew.engines.dependencies import Dependencies, Traceable, UsedFile
from stablenew.engines.engine import Engine
from stablenew.formats.documents.run_metadata import Closure, ModelFile, RunMetadata
from stablenew.formats.json_safe import json_safe
from stablenew.formats.strict_json import JsonValue
from stablenew.recording.side_channel import SideChannel
from stablenew.store.file_hashes import (
    PENDING,
    FileIdentity,
    find_pending,
    find_sha256,
    identify_file,
    is_coming,
    note_pending,
)

_GRACE_SECONDS: Final = 1.0
"""How long the end of a run waits for a look that is on its way; it takes milliseconds but on a busy machine."""
_HASH_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.2


class ClosureWatch:
    """Asks an engine what its images depend on, in a thread, after each call of `look`. None asks nobody."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine if isinstance(engine, Traceable) else None
        self._channel = SideChannel("finding out what the images depend on")
        self._changed = threading.Condition()
        self._is_wanted = False
        self._is_looking = False
        self._is_closed = False
        self._found: Dependencies | None = None
        if self._engine is not None:
            threading.Thread(target=self._work, name="stablenew-closure", daemon=True).start()
            self.look()

    def look(self) -> None:
        """Have the engine asked soon. Returns at once."""
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()

    def close(self, run_id: str) -> Closure | None:
        """What is known by now; None where the engine knows nothing. Hashes that are not known yet are `pending`."""
        if self._engine is None:
            return None
        with self._changed:
            self._changed.wait_for(lambda: not (self._is_wanted or self._is_looking), _GRACE_SECONDS)
            self._is_closed = True
            self._changed.notify_all()
            found = self._found
        return self._channel.call(build_closure, found, run_id) if found is not None else None

    def _work(self) -> None:
        while self._wait():
            found = self._channel.call(self._ask)
            with self._changed:
                self._found = found or self._found
                self._is_looking = False
                self._changed.notify_all()
            files = [file for file in map(_identify, found.files) if file is not None] if found is not None else []
            if files:  # only now: the end of the run needs no hash
                self._channel.call(find_sha256, files)

    def _wait(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_wanted or self._is_closed)
            self._is_looking, self._is_wanted = not self._is_closed, False
            return self._is_looking

    def _ask(self) -> Dependencies | None:
        return None if self._engine is None else self._engine.find_dependencies()


def build_closure(found: Dependencies, run_id: str) -> Closure:
    """The closure as run metadata holds it."""
    identities = {used.name: file for used in found.files if (file := _identify(used)) is not None}
    hashes = find_sha256(list(identities.values())) if identities else {}
    pending = {name: file for name, file in identities.items() if hashes[file] == PENDING}
    if pending:
        note_pending(run_id, pending)
    fields: dict[str, JsonValue] = {
        "models": [_describe(used, identities.get(used.name), hashes) for used in found.files],
        "versions": dict(found.versions),
        "custom_nodes": [node.to_dict() for node in found.custom_nodes],
        "device": found.device,
        "dtype": found.dtype,
        "flags": list(found.flags),
    }
    return Closure.model_validate(json_safe({name: value for name, value in fields.items() if value}))


def _identify(used: UsedFile) -> FileIdentity | None:
    if used.path is None or used.sha256 is not None:
        return None
    with contextlib.suppress(OSError):
        return identify_file(used.path)
    return None


def _describe(used: UsedFile, file: FileIdentity | None, hashes: dict[FileIdentity, str]) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {
        "name": used.name,
        "kind": used.kind,
        "sha256": used.sha256 or (hashes[file] if file else None),
        "size_bytes": file.size_bytes if file else used.size_bytes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def read_closure(metadata: RunMetadata) -> Closure | None:
    """The closure of a run, with hashes that were worked out after its end."""
    closure = metadata.closure
    if closure is None or not any(model.sha256 == PENDING for model in closure.models or ()):
        return closure
    models = [_with_late_hash(metadata.run_id, model) for model in closure.models or ()]
    return closure.model_copy(update={"models": tuple(models)})


def await_hashes(closure: Closure | None, run_id: str, seconds: float = _HASH_SECONDS) -> Closure | None:
    """The closure of a run, after waiting up to `seconds` for the hashes that are still being worked out."""
    end = time.monotonic() + seconds
    while closure is not None and (pending := [model for model in closure.models or () if model.sha256 == PENDING]):
        closure = closure.model_copy(
            update={"models": tuple(_with_late_hash(run_id, model) for model in closure.models or ())}
        )
        if time.monotonic() > end or not any(is_coming(run_id, model.name) for model in pending):
            break
        time.sleep(_LOOK_SECONDS)
    return closure


def _with_late_hash(run_id: str, model: ModelFile) -> ModelFile:
    known = find_pending(run_id, model.name) if model.sha256 == PENDING else None
    return model.model_copy(update={"sha256": known}) if known else model
