"""What images depend on beside their settings, as an engine finds it out: files, versions, extensions, hardware."""

import functools
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from stablenew.formats.documents.run_metadata import CustomNode

_LOCAL_HOSTS: Final = {"localhost", "127.0.0.1", "::1"}
LIBRARIES: Final = (
    "torch", "torchvision", "diffusers", "transformers", "accelerate", "peft", "safetensors", "tokenizers", "xformers",
    "triton", "flash-attn", "sageattention", "bitsandbytes", "open-clip-torch", "numpy", "pillow",
)  # fmt: skip
"""Libraries of which another version may give other images."""


@dataclass(frozen=True, slots=True)
class UsedFile:
    """A file that images were made with: a checkpoint, a LoRA, a VAE."""

    name: str
    kind: str
    path: Path | None = None
    """Where it is, if it is on this machine."""
    sha256: str | None = None
    """Where the server knows it."""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Dependencies:
    """All of it, as far as it is known."""

    files: tuple[UsedFile, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    custom_nodes: tuple[CustomNode, ...] = ()
    device: str | None = None
    dtype: str | None = None
    flags: tuple[str, ...] = ()


@runtime_checkable
class Traceable(Protocol):
    """An engine that knows what its images depend on."""

    def find_dependencies(self) -> Dependencies:
        """What the images made so far depended on. Called from a thread of its own, also before there are any.

        Raises:
            EngineError: it cannot be found out now.
        """
        ...


@functools.cache
def installed_versions() -> dict[str, str]:
    """The versions of Python, StableNew and the libraries of this process."""
    found = {"python": sys.version.split()[0]}
    for name in (*LIBRARIES, "stablenew"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def choose_libraries(packages: Iterable[str]) -> dict[str, str]:
    """Of lines as `pip freeze` writes them those that `LIBRARIES` names."""
    pairs = (line.partition("==")[::2] for line in packages)
    found = {name.strip().lower().replace("_", "-"): version.strip() for name, version in pairs}
    return {name: found[name] for name in LIBRARIES if found.get(name)}


def is_local(url: str) -> bool:
    """Whether a server runs on this machine, so that its paths mean files here."""
    return urlsplit(url).hostname in _LOCAL_HOSTS


_BESIDE: Final = {
    "api", "auth", "autolaunch", "browser", "cors", "dir", "directory", "dirs", "file", "front", "gradio", "key",
    "launch", "listen", "log", "manager", "name", "ngrok", "nowebui", "password", "path", "port", "preview", "secret",
    "server", "share", "skip", "stdout", "theme", "tls", "token", "ui", "update", "user", "verbose",
}  # fmt: skip
"""Words in the names of options that change no image, or that nobody else should read."""


def choose_flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """The options of a command line that may change images, each with its value; addresses and secrets are left out."""
    options: list[list[str]] = []
    for argument in map(str, arguments):
        if argument.startswith("--"):
            options.append([argument])
        elif options:
            options[-1].append(argument)
    kept = (option for option in options if not _BESIDE & set(re.split(r"[-_]", option[0].partition("=")[0])))
    return tuple(sorted(" ".join(option) for option in kept))
