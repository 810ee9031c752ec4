"""Exporting images with Content Credentials: signed copies, or copies as they are with a signed statement beside them.

Originals are never written. The library of the C2PA project signs; it comes with `stablenew[c2pa]`.
"""

import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.disk.atomic_file import write_once
from stablenew.errors import ConfigError, StableNewError
from stablenew.exporting.content_credentials.manifest import build_manifest
from stablenew.exporting.content_credentials.signing_identity import SigningIdentity
from stablenew.exporting.image_places import Image, ImagePlaces

if TYPE_CHECKING:
    from c2pa import Context, Signer

_PACKAGES: Final = {"c2pa": "c2pa-python", "cryptography": "cryptography"}
_BESIDE: Final = ".c2pa"
_SETTINGS: Final = {"builder": {"thumbnail": {"enabled": False}}}
"""The image itself is there: a second picture of it inside would make small files twice as large."""


@dataclass(frozen=True, slots=True)
class CredentialOptions:
    """How to export."""

    is_detached: bool = False
    """Write the statement into a file beside the copy, which stays byte for byte as recorded."""
    with_prompt: bool = True


@dataclass(slots=True)
class CredentialReport:
    """What an export did."""

    names: list[str] = field(default_factory=list)
    """The images that were written, beneath the folder."""
    problems: list[str] = field(default_factory=list)
    """Images that were not, and why."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"names": self.names, "problems": self.problems}


def check_packages() -> None:
    """Return where the packages that sign are installed.

    Raises:
        ConfigError: one is missing; the message has the command that installs them.
    """
    missing = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigError(f"this needs {' and '.join(missing)}: python -m pip install 'stablenew[c2pa]'")


def export_credentials(
    places: ImagePlaces,
    images: Sequence[Image],
    folder: Path,
    identity: SigningIdentity,
    options: CredentialOptions,
    *,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> CredentialReport:
    """Write each image with its credentials beneath `folder`, under its own name; nothing that is there is replaced.

    Raises:
        ConfigError: the certificate or its key cannot be used.
    """
    from c2pa import Context, Settings  # noqa: PLC0415

    report = CredentialReport()
    with Settings.from_dict(_SETTINGS) as settings, Context(settings) as context, _open_signer(identity) as signer:
        for done, image in enumerate(images, 1):
            name = places.name_of(image)
            try:
                _export(places, image, folder / name, signer, context, options)
                report.names.append(name)
            except FileExistsError:
                report.problems.append(f"{name}: there is a file already")
            except (StableNewError, OSError) as error:
                report.problems.append(f"{name}: {error}")
            progress(done, len(images))
    return report


def _open_signer(identity: SigningIdentity) -> "Signer":
    from c2pa import C2paError, C2paSignerInfo, C2paSigningAlg, Signer  # noqa: PLC0415

    try:
        return Signer.from_info(C2paSignerInfo(C2paSigningAlg.ES256, identity.chain, identity.key, None))
    except C2paError as error:
        raise ConfigError(f"the certificate cannot be used: {error}") from None


def _export(
    places: ImagePlaces, image: Image, target: Path, signer: "Signer", context: "Context", options: CredentialOptions
) -> None:
    data, output = places.read(image)
    manifest = build_manifest(image, places.maker_of(image), target.name, with_prompt=options.with_prompt)
    signed, statement = _sign(data, output.media_type, manifest, signer, context, is_detached=options.is_detached)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_once(target, signed)
    if options.is_detached:
        write_once(target.with_name(target.name + _BESIDE), statement)


def _sign(
    data: bytes, media_type: str, manifest: dict[str, Any], signer: "Signer", context: "Context", *, is_detached: bool
) -> tuple[bytes, bytes]:
    """The file with the statement in it, unless it is detached, and the statement."""
    from c2pa import Builder, C2paError, Reader  # noqa: PLC0415

    target = io.BytesIO()
    try:
        if Reader.try_create(media_type, io.BytesIO(data)) is not None:
            raise ConfigError("it has Content Credentials already")
        with Builder(manifest, context) as builder:
            if is_detached:
                builder.set_no_embed()
            statement = builder.sign(signer, media_type, io.BytesIO(data), target)
    except C2paError as error:
        raise ConfigError(f"it cannot be signed as {media_type}: {error}") from None
    return target.getvalue(), bytes(statement)
