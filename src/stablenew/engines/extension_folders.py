"""The extensions of a program, such as ComfyUI's custom nodes, as their folders say: names, commits, versions."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from stablenew.formats.documents.run_metadata import CustomNode
from stablenew.formats.json_safe import json_safe

_COMMIT: Final = re.compile(r"^[0-9a-f]{40,64}$")
_VERSION: Final = re.compile(r'^version\s*=\s*["\']([^"\']+)["\']', re.MULTILINE)


def read_extensions(folders: Iterable[str]) -> list[CustomNode]:
    """Each extension in these folders, with its commit or, where it was not cloned, the version it gives itself."""
    found = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            for path in sorted(Path(folder).iterdir()):
                if path.is_dir() and not path.name.startswith(("__", ".")) and path.suffix != ".disabled":
                    found[path.name] = _read_extension(path)
    return list(found.values())


def _read_extension(folder: Path) -> CustomNode:
    fields: dict[str, Any] = {"name": folder.name, "commit": read_commit(folder)}
    if fields["commit"] is None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            match = _VERSION.search((folder / "pyproject.toml").read_text(encoding="utf-8"))
            fields["version"] = match[1] if match else None
    return CustomNode.model_validate(json_safe({key: value for key, value in fields.items() if value}))


def read_commit(folder: Path) -> str | None:
    """The commit that a git work tree stands at, as its files say; None where it is not one."""
    git = folder / ".git"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        if not head.startswith("ref: "):
            return head if _COMMIT.match(head) else None
        name = head.removeprefix("ref: ")
        return _read_reference(git, name)
    return None


def _read_reference(git: Path, name: str) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        commit = (git / name).read_text(encoding="ascii").strip()
        return commit if _COMMIT.match(commit) else None
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in (git / "packed-refs").read_text(encoding="ascii").splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name and _COMMIT.match(commit):
                return commit
    return None
