"""Where this machine keeps what must never be synced: locks, its own identity, and what can be made again.

`STABLENEW_STATE_DIR` names another folder than the ones the platform suggests; the cache is then in it.
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import uuid
from pathlib import Path

from stablenew.disk.atomic_file import replace_file
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import encode_pretty_json

STATE_VARIABLE = "STABLENEW_STATE_DIR"
_IDENTITY = "machine.json"
_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def state_folder() -> Path:
    """The folder for this machine's own state. Looking at it makes nothing; whoever writes there makes it."""
    configured = os.environ.get(STATE_VARIABLE)
    if configured:
        return Path(configured)
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_state_dir("stablenew", appauthor=False))


def cache_folder() -> Path:
    """The folder for what comes back when it is deleted: indexes, thumbnails. Looking at it makes nothing."""
    configured = os.environ.get(STATE_VARIABLE)
    if configured:
        return Path(configured) / "cache"
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_cache_dir("stablenew", appauthor=False))


def store_key(root: Path) -> str:
    """A short name for a store on this machine, by its place."""
    return _key_of(str(root.absolute()))


@functools.lru_cache(maxsize=64)
def _key_of(path: str) -> str:
    return digest_bytes(os.fsencode(os.path.realpath(path)))[-16:]


def host_id() -> str:
    """Which machine this is: its name and a few hex digits of its fingerprint, `desk-7f3a9c2e`. Nothing is written."""
    return f"{_host_name()}-{_fingerprint()[:8]}"


def replica_id() -> str:
    """The name of this machine's own logs. It is made once, by chance, and kept in the state folder.

    A cloned machine, or a state folder copied to another, gets a new one: with it a fingerprint of the machine is kept.
    Two users of one machine have two, so that a log never has two writers.
    """
    return known_replica_id() or _make_identity(state_folder() / _IDENTITY)


def known_replica_id() -> str | None:
    """The name of this machine's own logs, if it ever wrote one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        identity = json.loads((state_folder() / _IDENTITY).read_bytes())
        if identity.get("fingerprint") == _fingerprint() and isinstance(identity.get("replica"), str):
            return str(identity["replica"])
    return None


def journal_path(run_path: Path, replica: str) -> Path:
    """Where a machine keeps its journal of its own log of a run."""
    return state_folder() / "journal" / store_key(run_path.parent) / replica / f"{run_path.name}.jsonl"


def _make_identity(path: Path) -> str:
    replica = f"{_host_name()}-{secrets.token_hex(4)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, encode_pretty_json({"replica": replica, "fingerprint": _fingerprint()}))
    return replica


@functools.cache
def _host_name() -> str:
    return re.sub(r"[^a-z0-9]+", "-", platform.node().lower())[:32].strip("-") or "host"


@functools.cache
def _fingerprint() -> str:
    parts = [platform.node()]
    node = uuid.getnode()
    if not node >> 40 & 1:  # with that bit it is no network address but a random number, another one each time
        parts.append(f"{node:x}")
    for name in _MACHINE_ID_FILES:
        with contextlib.suppress(OSError):
            parts.append(Path(name).read_text(encoding="ascii", errors="replace").strip())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def user_id() -> str | None:
    """The name of the person at this machine, if the system knows one."""
    import getpass  # noqa: PLC0415

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
