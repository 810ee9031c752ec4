"""Where this machine keeps what must never be synced: locks, its own identity, and caches.

`STABLENEW_STATE_DIR` names another folder than those the platform suggests; the cache is then inside it. Whatever is
created there is for its owner only.
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import stat
import uuid
from pathlib import Path

from stablenew.disk.atomic_file import replace_file
from stablenew.disk.private_folder import make_private_folder
from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import encode_pretty_json

STATE_VARIABLE = "STABLENEW_STATE_DIR"
_IDENTITY = "machine.json"
_SHORT = 8
"""Hex digits of a fingerprint in a host id."""
_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_REPLICA = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""What can stand in the name of a log, and be known as one again."""
_OTHERS = 0o077
"""The permissions of everybody but the owner."""


def state_folder() -> Path:
    """The folder for this machine's own state. It is created by whoever writes there, not by asking for it.

    Where the home folder cannot be written, as in many containers, it is a private folder among the temporary files,
    and a warning says so.
    """
    configured = os.environ.get(STATE_VARIABLE)
    if configured:
        return Path(configured)
    return _usable_folder(_suggested_folder("user_state_dir"))


def cache_folder() -> Path:
    """The folder for indexes, thumbnails and whatever else can be built again; otherwise as `state_folder`."""
    configured = os.environ.get(STATE_VARIABLE)
    if configured:
        return Path(configured) / "cache"
    folder = _suggested_folder("user_cache_dir")
    return folder if folder is not None and _can_write(folder) else state_folder() / "cache"


def thumbnail_folder() -> Path:
    """The folder of small pictures of outputs, which are made again when they are missing."""
    return cache_folder() / "thumbnails"


def thumbnail_path(folder: Path, digest: str, size: int | str) -> Path:
    """Where in it the thumbnail of an output is, or would be; `*` is any size."""
    name = digest.partition(":")[2]
    return folder / name[:2] / f"{name}_{size}.webp"


def forget_thumbnails(digest: str) -> None:
    """Delete the thumbnails of an output that was removed."""
    pattern = thumbnail_path(thumbnail_folder(), digest, "*")
    for path in pattern.parent.glob(pattern.name):
        with contextlib.suppress(OSError):  # it is a cache: what stays costs room and nothing else
            path.unlink()


def _suggested_folder(kind: str) -> Path | None:
    """The folder that the platform suggests; None where the user has no home."""
    import platformdirs  # noqa: PLC0415

    try:
        return Path(getattr(platformdirs, kind)("stablenew", appauthor=False))
    except RuntimeError:
        return None


@functools.lru_cache(maxsize=8)
def _usable_folder(suggested: Path | None) -> Path:
    """The suggested folder if it can be written; else a temporary one that is as private."""
    if suggested is not None and _can_write(suggested):
        _make_private(suggested)
        return suggested
    fallback = _temporary_folder()
    import logging  # noqa: PLC0415  # hardly ever needed

    logging.getLogger("stablenew").warning(
        "the state folder %s cannot be written; locks and caches are kept in %s until it is deleted. "
        "Set %s to a folder that stays.",
        suggested or "(no home)",
        fallback,
        STATE_VARIABLE,
    )
    return fallback


def _can_write(path: Path) -> bool:
    """Whether a folder can be written, or created. Without a home, a relative path is suggested: never that."""
    if not path.is_absolute():
        return False
    ancestor = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    return ancestor.is_dir() and os.access(ancestor, os.W_OK | os.X_OK)


def _make_private(path: Path) -> None:
    """Take away the permissions of others on a state folder, which older versions left to the umask."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)


def _temporary_folder() -> Path:
    """A folder among the temporary files, the same for all processes of this user, and nobody else's."""
    import tempfile  # noqa: PLC0415  # hardly ever needed

    path = Path(tempfile.gettempdir()) / f"stablenew-{user_id() or 'state'}"
    if hasattr(os, "getuid"):
        path = path.with_name(f"stablenew-{os.getuid()}")
    # Created at once, because everybody may write there: whoever creates it first owns it.
    with contextlib.suppress(OSError):
        make_private_folder(path)
        if _is_private(path.lstat()):
            return path
    return Path(tempfile.mkdtemp(prefix="stablenew-"))


def _is_private(status: os.stat_result) -> bool:
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & _OTHERS)


def store_key(root: Path) -> str:
    """A short name for a store on this machine, by its place."""
    return _key_of(str(root.absolute()))


@functools.lru_cache(maxsize=64)
def _key_of(path: str) -> str:
    return digest_bytes(os.fsencode(os.path.realpath(path)))[-16:]


def host_id() -> str:
    """Which machine this is: its name and a few hex digits of its fingerprint, `desk-7f3a9c2e`. Nothing is written."""
    return f"{_host_name()}-{_fingerprint()[:_SHORT]}"


def is_this_machine(host: str) -> bool:
    """Whether a `host_id` is of this machine, whatever its name was then: DHCP and containers change names."""
    return host.rpartition("-")[2] in {fingerprint[:_SHORT] for fingerprint in _known_fingerprints()}


def has_lasting_fingerprint() -> bool:
    """Whether this machine can be told from others without its name."""
    return bool(_hardware_marks())


def replica_id() -> str:
    """The name of this machine's own logs: random, chosen once, and kept in the state folder.

    A cloned machine, or a state folder copied to another machine, gets a new one: the machine's fingerprint is kept
    with it. Two users of one machine have two, so that a log never has two writers.
    """
    return known_replica_id() or _make_identity(state_folder() / _IDENTITY)


def known_replica_id() -> str | None:
    """The name of this machine's own logs, if it ever wrote one."""
    with contextlib.suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
        identity = json.loads((state_folder() / _IDENTITY).read_bytes())
        if identity["fingerprint"] in _known_fingerprints() and _REPLICA.fullmatch(identity["replica"]):
            return str(identity["replica"])
    return None


def journal_path(run_path: Path, replica: str) -> Path:
    """Where a machine keeps its journal of its own log of a run."""
    return state_folder() / "journal" / store_key(run_path.parent) / replica / f"{run_path.name}.jsonl"


def _make_identity(path: Path) -> str:
    replica = f"{_host_name()}-{secrets.token_hex(4)}"
    make_private_folder(path.parent)
    replace_file(path, encode_pretty_json({"replica": replica, "fingerprint": _fingerprint()}))
    return replica


@functools.cache
def _host_name() -> str:
    return re.sub(r"[^a-z0-9]+", "-", platform.node().lower())[:32].strip("-") or "host"


@functools.cache
def _fingerprint() -> str:
    """A digest of what tells this machine from others. The name is part of it only where nothing else does."""
    return _digest_of(list(_hardware_marks()) or [platform.node(), *_network_address()])


@functools.cache
def _known_fingerprints() -> frozenset[str]:
    """Today's fingerprint, and the one of version 0.1, which always included the name."""
    return frozenset({_fingerprint(), _digest_of([platform.node(), *_network_address(), *_machine_ids()])})


def _digest_of(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def _hardware_marks() -> tuple[str, ...]:
    """Network address and machine id, if they are this machine's alone; else nothing.

    Without a machine id a locally administered address proves nothing: containers on many hosts have the same.
    """
    address, machine_ids = _network_address(), _machine_ids()
    is_universal = bool(address) and not int(address[0], 16) >> 41 & 1
    return (*address, *machine_ids) if machine_ids or is_universal else ()


@functools.cache
def _network_address() -> tuple[str, ...]:
    node = uuid.getnode()
    # With this bit it is not an address but a random number, another one in each process.
    return () if node >> 40 & 1 else (f"{node:x}",)


@functools.cache
def _machine_ids() -> tuple[str, ...]:
    found = []
    for name in _MACHINE_ID_FILES:
        with contextlib.suppress(OSError):
            found.append(Path(name).read_text(encoding="ascii", errors="replace").strip())
    return tuple(filter(None, found))


@functools.cache
def user_id() -> str | None:
    """The name of the person at this machine, if the system knows one."""
    import getpass  # noqa: PLC0415

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
