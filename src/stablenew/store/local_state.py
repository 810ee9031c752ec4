"""Where this machine keeps what must never be synced: locks and its own identity.

`STABLENEW_STATE_DIR` names another folder than the one the platform suggests.
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

from stablenew.formats.digest import digest_bytes
from stablenew.formats.i_json import encode_pretty_json
from stablenew.store.atomic_file import replace_file

STATE_VARIABLE = "STABLENEW_STATE_DIR"
_IDENTITY = "machine.json"
_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def state_folder() -> Path:
    """The folder for this machine's own state; it is made when it is not there."""
    configured = os.environ.get(STATE_VARIABLE)
    if configured:
        folder = Path(configured)
    else:
        import platformdirs  # noqa: PLC0415

        folder = Path(platformdirs.user_state_dir("stablenew", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_key(root: Path) -> str:
    """A short name for a store on this machine, by its place."""
    return digest_bytes(os.fsencode(os.path.realpath(root)))[-16:]


def host_id() -> str:
    """Which machine this is: its name and a few hex digits, `desk-7f3a9c2e`.

    Kept in the state folder. A cloned machine, or a state folder copied to another, gets a new one: the identity holds
    a fingerprint of the machine it was made on.
    """
    path = state_folder() / _IDENTITY
    fingerprint = _fingerprint()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        identity = json.loads(path.read_bytes())
        if identity.get("fingerprint") == fingerprint and isinstance(identity.get("host_id"), str):
            return str(identity["host_id"])
    return _make_identity(path, fingerprint)


def _make_identity(path: Path, fingerprint: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", platform.node().lower()).strip("-")[:32] or "host"
    identity = f"{name}-{secrets.token_hex(4)}"
    replace_file(path, encode_pretty_json({"host_id": identity, "fingerprint": fingerprint}))
    return identity


@functools.cache
def _fingerprint() -> str:
    parts = [platform.node(), f"{uuid.getnode():x}"]
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
