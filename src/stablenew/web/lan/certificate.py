"""The certificate of the network's front door: made on first use, kept for this user only, shown by its fingerprint."""

import contextlib
import importlib.util
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stablenew.disk.atomic_file import replace_file
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import ConfigError
from stablenew.store.local_state import state_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

_PACKAGES: Final = ("cryptography", "segno")
_LIFE: Final = timedelta(days=397)
"""Browsers refuse certificates that are good for longer."""
_SPARE: Final = timedelta(days=14)
_CLOCKS_DIFFER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where certificate and key are, and the fingerprint that people compare."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256, in pairs of hex digits."""


def check_packages() -> None:
    """Return where the packages of `serve --lan` are installed.

    Raises:
        ConfigError: one is missing; the message has the command that installs them.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"serve --lan needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            "python -m pip install 'stablenew[lan]'"
        )


def ensure_certificate(address: str) -> CertificateFiles:
    """The certificate for this address of this machine: the one that is there, or a new one.

    Raises:
        WriteFailed: it could not be kept.
    """
    folder = state_folder() / "lan"
    stem = f"certificate-{address.replace(':', '-')}"
    paths = folder / f"{stem}.pem", folder / f"{stem}.key"
    certificate = _read(*paths) or _make(address, *paths)
    return CertificateFiles(*paths, _fingerprint(certificate))


def _read(certificate_path: Path, key_path: Path) -> "Certificate | None":
    """The certificate that is kept; None where there is none, it fits no key, or ends soon."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    with contextlib.suppress(OSError, ValueError, TypeError):
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), None)
        is_ours = key.public_key() == certificate.public_key()
        if is_ours and certificate.not_valid_after_utc > datetime.now(UTC) + _SPARE:
            return certificate
    return None


def _make(address: str, certificate_path: Path, key_path: Path) -> "Certificate":
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key, address)
    make_private_folder(key_path.parent)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, data in ((key_path, private), (certificate_path, certificate.public_bytes(serialization.Encoding.PEM))):
        replace_file(path, data)
        with contextlib.suppress(OSError):
            path.chmod(0o600)
    return certificate


def _sign(key: "EllipticCurvePrivateKey", address: str) -> "Certificate":
    """A certificate that signs itself, for one address and for nothing but being a server."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"StableNew at {address}")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCKS_DIFFER).not_valid_after(now + _LIFE - _CLOCKS_DIFFER)
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(key, hashes.SHA256())


def _fingerprint(certificate: "Certificate") -> str:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    fingerprint: bytes = certificate.fingerprint(hashes.SHA256())
    return fingerprint.hex(":").upper()
