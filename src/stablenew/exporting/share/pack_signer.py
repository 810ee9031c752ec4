"""The key that signs packs: that of the user's certificate, if there is one, else one that is made on first use.

A signature proves that two packs were made by the holder of one key, and that nothing was changed since. Who that is,
the receiver learns elsewhere, by comparing the key's fingerprint. The name in the certificate goes into no pack.
"""

import contextlib
import hashlib
import importlib.util
import secrets
from dataclasses import dataclass
from typing import Final

from stablenew.disk.atomic_file import write_once
from stablenew.disk.private_folder import make_private_folder
from stablenew.disk.regular_file import read_regular
from stablenew.errors import ConfigError
from stablenew.exporting.content_credentials.signing_identity import identity_paths
from stablenew.exporting.share.check_signature import BASE, ORDER, fingerprint, multiply
from stablenew.store.local_state import state_folder

ALGORITHM: Final = "ES256"
_MAX_BYTES: Final = 1 << 20
_P256: Final = "secp256r1"


@dataclass(frozen=True, slots=True)
class PackSigner:
    """A private key of the curve P-256."""

    secret: int
    is_certified: bool = False
    """Whether it is the key of the user's certificate."""

    @property
    def key(self) -> str:
        """The public key: x and y, in hex."""
        return _hex(multiply(self.secret, BASE))

    @property
    def fingerprint(self) -> str:
        """What people compare of the public key."""
        return fingerprint(self.key)

    def sign(self, message: bytes) -> dict[str, str]:
        """The signature of `message` as a pack holds it."""
        digest = int(hashlib.sha256(message).hexdigest(), 16)
        r = s = 0
        while not (r and s):
            number = secrets.randbelow(ORDER - 1) + 1  # one that repeats or is known gives the key away
            point = multiply(number, BASE)
            r = point[0] % ORDER if point else 0
            s = pow(number, -1, ORDER) * (digest + r * self.secret) % ORDER
        return {"algorithm": ALGORITHM, "key": self.key, "value": _hex((r, s))}


def open_signer() -> PackSigner:
    """The signer of this user.

    Raises:
        ConfigError: the key cannot be read, or is not valid.
        WriteFailed: a new key cannot be kept.
    """
    _, certified = identity_paths()
    if certified.exists() and importlib.util.find_spec("cryptography") is not None:
        return PackSigner(_read_certified(read_regular(certified, _MAX_BYTES)), is_certified=True)
    path = state_folder() / "share" / "key.txt"
    if not path.exists():
        make_private_folder(path.parent)
        with contextlib.suppress(FileExistsError):  # another process made it in between
            write_once(path, f"{secrets.randbelow(ORDER - 1) + 1:064x}\n".encode("ascii"))
    text = read_regular(path, _MAX_BYTES)
    try:
        secret = int(text, 16)
    except ValueError:
        secret = 0
    if not 0 < secret < ORDER:
        raise ConfigError(f"{path} holds no key; delete it, and the next pack makes another one")
    return PackSigner(secret)


def _read_certified(pem: bytes) -> int:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the key of your certificate cannot be used: {error}") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != _P256:
        raise ConfigError("the key of your certificate is not one of the curve P-256, which signs packs")
    return int(key.private_numbers().private_value)


def _hex(numbers: "tuple[int, int] | None") -> str:
    assert numbers is not None  # noqa: S101
    return "".join(f"{number:064x}" for number in numbers)
