"""DeviceBook: the devices that were paired with a store, and the one code that pairs the next.

It is a file in this machine's state folder, for this user only. Neither a code nor what a device proves itself with is
in it, but digests of them. Commands and the server share it: `stablenew devices revoke` counts at once.
"""

import contextlib
import hashlib
import hmac
import json
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import replace_file
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import ConfigError
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.strict_json import parse_loose_json
from stablenew.store.local_state import state_folder, store_key
from stablenew.store.run_lock import file_lock
from stablenew.web.lan.roles import DEVICE_ROLES, Viewer

CODE_SECONDS: Final = 120
MOST_WRONG_TRIES: Final = 10
"""After so many a code is void."""
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that look like others."""
_CODE_LENGTH: Final = 8
_LONGEST_NAME: Final = 40
_UNUSABLE_IN_NAMES: Final = frozenset('*?"')
_MOST_DEVICES: Final = 200


class PairingRefused(ConfigError):
    """A device that is not paired: the code is wrong, or its name is not valid."""

    http_status = 403


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was paired."""

    id: str
    name: str
    role: str
    """`look` or `rate`."""
    rater: str
    """The name under which its feedback is kept."""
    is_blind: bool
    """Whether what others think is hidden from it."""
    paired_at: str
    address: str
    """Where it was when it was paired."""
    token_hash: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without the hash of its token."""
        return {name: value for name, value in asdict(self).items() if name != "token_hash"}

    def to_viewer(self) -> Viewer:
        """What its requests may do, and the name it rates under."""
        return Viewer(DEVICE_ROLES[self.role], self.rater, self.id, self.name, self.is_blind)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the next device may become."""

    code_hash: str
    expires_at: float
    role: str
    rater: str | None
    """None: the name of the device."""
    is_blind: bool
    wrong_tries: int = 0


@dataclass(frozen=True, slots=True)
class _Content:
    devices: tuple[Device, ...] = ()
    invitation: Invitation | None = None


class DeviceBook:
    """The devices of the store at `root`."""

    def __init__(self, root: Path, *, now: Callable[[], float] = time.time) -> None:
        folder = state_folder() / "devices"
        self._path = folder / f"{store_key(root)}.json"
        self._lock_path = folder / f"{store_key(root)}.lock"
        self._now = now
        self._read: tuple[tuple[int, ...], _Content] | None = None

    def devices(self) -> tuple[Device, ...]:
        """All devices that are paired, the first one first."""
        return self._content().devices

    def find(self, token: str) -> Device | None:
        """The device that `token` authenticates."""
        wanted = _hash(token)
        found = [device for device in self.devices() if hmac.compare_digest(device.token_hash, wanted)]
        return found[0] if found else None

    def has(self, device_id: str) -> bool:
        """Whether a device is still paired."""
        return any(device.id == device_id for device in self.devices())

    def invite(self, role: str = "rate", *, rater: str | None = None, is_blind: bool = False) -> str:
        """A pairing code for one device, valid once and for two minutes; an earlier code is no longer valid.

        Raises:
            ConfigError: there is no such role, or the name of the rater is not valid.
        """
        if role not in DEVICE_ROLES:
            raise ConfigError(f"expected a role of {' or '.join(DEVICE_ROLES)}, found {role!r}")
        rater = check_name(rater) if rater is not None else None
        code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
        invitation = Invitation(_hash(code), self._now() + CODE_SECONDS, role, rater, is_blind)
        with self._writing() as (content, write):
            write(replace(content, invitation=invitation))
        return f"{code[:4]}-{code[4:]}"

    def pair(self, code: str, name: str, address: str, taken: Callable[[], set[str]]) -> tuple[Device, str]:
        """The new device, and the token that authenticates it from now on.

        `taken` are the names of raters that a device may not choose for itself; the code stays valid when it does.

        Raises:
            PairingRefused: the code is wrong, was used, is too old; or the name is taken.
        """
        with self._writing() as (content, write):
            invitation = self._invited(content, code, write)
            name = check_name(name)
            rater = invitation.rater or name
            _check_free(name, {device.name for device in content.devices}, "another device has the name")
            if invitation.rater is None:
                raters = {device.rater for device in content.devices} | taken()
                _check_free(name, raters, "somebody else rates under the name")
            if len(content.devices) >= _MOST_DEVICES:
                raise PairingRefused(f"{_MOST_DEVICES} devices are paired already; revoke one first")
            token = secrets.token_urlsafe(32)
            paired_at = SYSTEM_CLOCK.timestamp()
            rest = (invitation.is_blind, paired_at, address, _hash(token))
            device = Device(secrets.token_hex(4), name, invitation.role, rater, *rest)
            write(_Content((*content.devices, device)))
            return device, token

    def _invited(self, content: _Content, code: str, write: Callable[[_Content], None]) -> Invitation:
        invitation = content.invitation
        if invitation is None or self._now() >= invitation.expires_at:
            raise PairingRefused("the code is wrong, was used before, or is too old; ask for a new one")
        if hmac.compare_digest(invitation.code_hash, _hash(_plain(code))):
            return invitation
        tries = invitation.wrong_tries + 1
        kept = replace(invitation, wrong_tries=tries) if tries < MOST_WRONG_TRIES else None
        write(replace(content, invitation=kept))
        raise PairingRefused("the code is wrong, was used before, or is too old; ask for a new one")

    def revoke(self, name: str) -> Device:
        """Take a device off the list, by its id or name; it gets nothing from now on.

        Raises:
            ConfigError: there is no such device.
        """
        with self._writing() as (content, write):
            wanted = _fold(name)
            gone = [device for device in content.devices if wanted in (device.id, _fold(device.name))]
            if not gone:
                known = ", ".join(device.name for device in content.devices)
                raise ConfigError(f"no device {name!r}; {f'there are {known}' if known else 'none is paired'}")
            write(replace(content, devices=tuple(device for device in content.devices if device != gone[0])))
            return gone[0]

    def _content(self) -> _Content:
        """What is in the file, which is read again when it was replaced."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            return _Content()
        known = self._read
        if known is None or known[0] != stamp:
            known = (stamp, _parse(self._path.read_bytes()))
            self._read = known
        return known[1]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[tuple[_Content, Callable[[_Content], None]]]:
        """What is there, and a function that replaces it; nobody else writes meanwhile."""
        make_private_folder(self._path.parent)
        with file_lock(self._lock_path):
            yield self._content(), self._write

    def _write(self, content: _Content) -> None:
        replace_file(self._path, json.dumps(asdict(content)).encode())
        with contextlib.suppress(OSError):
            self._path.chmod(0o600)
        self._read = None


def _parse(data: bytes) -> _Content:
    """Nothing where the file is damaged: no device is let in by it."""
    try:
        found = parse_loose_json(data)
        devices = tuple(Device(**device) for device in found["devices"])
        invitation = Invitation(**found["invitation"]) if found["invitation"] else None
    except (ValueError, TypeError, KeyError):
        return _Content()
    return _Content(tuple(device for device in devices if device.role in DEVICE_ROLES), invitation)


def check_name(name: str) -> str:
    """A name as it is kept.

    Raises:
        PairingRefused: it is empty, too long, or has letters that a search could not find.
    """
    kept = unicodedata.normalize("NFC", " ".join(name.split()))
    if not kept or len(kept) > _LONGEST_NAME:
        raise PairingRefused(f"expected a name of 1 to {_LONGEST_NAME} letters")
    if not kept.isprintable() or _UNUSABLE_IN_NAMES & set(kept):
        raise PairingRefused('expected a name of letters, digits and spaces, without *, ? and "')
    return kept


def _check_free(name: str, taken: set[str], problem: str) -> None:
    if _fold(name) in map(_fold, taken):
        raise PairingRefused(f"{problem} {name}; choose another, or have it named when the code is made")


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _plain(code: str) -> str:
    return code.upper().replace("-", "").replace(" ", "")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
