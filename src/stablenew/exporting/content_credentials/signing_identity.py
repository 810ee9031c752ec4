"""The certificate that signs exports: self-made, kept for this user only.

A certificate of one's own proves that a file did not change since it was signed, and that two files were signed by the
same key. It does not prove who holds the key: a reader shows such a signature as valid, from an unknown signer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stablenew.disk.atomic_file import write_once
from stablenew.disk.private_folder import make_private_folder
from stablenew.disk.regular_file import read_regular
from stablenew.errors import ConfigError
from stablenew.store.local_state import state_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, KeyUsage

_LIFE: Final = timedelta(days=3650)
_CLOCKS_DIFFER: Final = timedelta(days=1)
_ORGANIZATION: Final = "self-signed with StableNew"
_AUTHORITY: Final = ", authority"
_LONGEST_NAME: Final = 64 - len(_AUTHORITY)
"""In bytes: of both certificates the common name has its limit of 64 (RFC 5280, appendix A)."""
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A private key and the certificates that belong to it, in PEM."""

    chain: bytes
    """The certificate of the key, then the one that signed it."""
    key: bytes


def identity_paths() -> tuple[Path, Path]:
    """Where the certificates and the key are kept."""
    folder = state_folder() / "c2pa"
    return folder / "certificates.pem", folder / "key.pem"


def read_identity() -> SigningIdentity:
    """The identity of this user.

    Raises:
        ConfigError: there is none; the message has the command that makes one.
    """
    certificates, key = identity_paths()
    try:
        return SigningIdentity(read_regular(certificates, _MAX_BYTES), read_regular(key, _MAX_BYTES))
    except FileNotFoundError:
        raise ConfigError(
            "there is no certificate to sign with; `stablenew export certificate NAME` makes one"
        ) from None


def make_identity(name: str) -> Path:
    """Make the identity of this user, under a name that readers of exported images will see; where it is kept.

    Raises:
        ConfigError: the name is empty, too long or not Unicode, or there is an identity already.
        WriteFailed: it could not be kept.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    _check_name(name)
    certificates, key_path = identity_paths()
    make_private_folder(certificates.parent)
    authority_key, authority = _certify(f"{name}{_AUTHORITY}", None)
    key, certificate = _certify(name, (authority_key, authority))
    pem = serialization.Encoding.PEM
    key_bytes = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        write_once(key_path, key_bytes)
        write_once(certificates, certificate.public_bytes(pem) + authority.public_bytes(pem))
    except FileExistsError:
        raise ConfigError(f"there is a certificate already: {certificates}") from None
    return certificates


def _check_name(name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ConfigError("expected a name in Unicode, found bytes that are not UTF-8") from None
    if not 1 <= size <= _LONGEST_NAME:
        raise ConfigError(f"expected a name of 1 to {_LONGEST_NAME} bytes of UTF-8, found {size}")


def _certify(
    name: str, issuer: "tuple[EllipticCurvePrivateKey, Certificate] | None"
) -> "tuple[EllipticCurvePrivateKey, Certificate]":
    """A new key with its certificate: an authority, or with an issuer one that may sign content.

    What C2PA asks of certificates: C2PA technical specification 2.2, 14.5.1.
    """
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    issuer_key, issuer_name = (issuer[0], issuer[1].subject) if issuer else (key, subject)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer_name, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCKS_DIFFER).not_valid_after(now + _LIFE)
    is_authority = issuer is None
    constraints = x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(is_authority=is_authority), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(authority, critical=False)
    if not is_authority:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(usage, critical=False)
    return key, builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, is_authority: bool) -> "KeyUsage":
    from cryptography.x509 import KeyUsage  # noqa: PLC0415

    return KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
