"""The folder that records inside a WebUI or ComfyUI: put into the program's own folder, and taken out again."""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from stablenew.errors import ConfigError

FOLDER_NAME: Final = "stablenew-recorder"
_CACHE: Final = "__pycache__"


class HookedTool(NamedTuple):
    """A program that the hooks know."""

    place: str
    """Where it looks for such folders."""
    hook: str
    """The file it loads of such a folder."""
    signs: tuple[str, ...]
    """What else its folder has; a folder of user data apart from the program has `models`."""


TOOLS: Final = {
    "webui": HookedTool("extensions", "scripts/stablenew_recorder.py", ("webui.py", "launch.py", "modules", "models")),
    "comfyui": HookedTool("custom_nodes", "__init__.py", ("main.py", "comfy", "nodes.py", "models")),
}


def find_place(tool: str, folder: Path) -> Path:
    """Where in the program's folder such folders lie; `folder` may be that place itself.

    Raises:
        ConfigError: it is not the folder of this program; the message says what was looked for.
    """
    known = TOOLS[tool]
    root = folder.parent if folder.name == known.place else folder
    if (root / known.place).is_dir() and any((root / sign).exists() for sign in known.signs):
        return root / known.place
    found = "there is no such folder" if not folder.is_dir() else _describe_absence(known, root)
    raise ConfigError(
        f"{folder} is not the folder of {tool}: expected a folder {known.place} in it, and {' or '.join(known.signs)} "
        f"beside that; {found}. To write it for copying elsewhere, add --to-copy"
    )


def _describe_absence(known: HookedTool, root: Path) -> str:
    return f"it has no {known.place}" if not (root / known.place).is_dir() else "it has none of those"


def write_hook_folder(tool: str, place: Path, runs_dir: Path) -> Path:
    """Write the folder that records in `tool` into `place`, and return where it is.

    Raises:
        OSError: it cannot be written.
    """
    folder = place / FOLDER_NAME
    source = files("stablenew.tool_hooks")
    settings = {"python": sys.executable, "runs_dir": str(runs_dir.resolve())}
    texts = {
        TOOLS[tool].hook: source.joinpath(f"{tool}_recorder.py").read_text(encoding="utf-8"),
        "stablenew_bridge.py": source.joinpath("bridge.py").read_text(encoding="utf-8"),
        "stablenew.json": json.dumps(settings, indent=2) + "\n",
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def remove_hook_folder(tool: str, target: Path) -> tuple[Path, list[str]]:
    """Take the folder out again. Returns where it was, and the names in it that are not ours and were left.

    Raises:
        ConfigError: there is none.
        OSError: a file cannot be removed.
    """
    known = TOOLS[tool]
    places = [target / known.place / FOLDER_NAME, target / FOLDER_NAME, target]
    folder = next((path for path in places if path.name == FOLDER_NAME and (path / "stablenew.json").is_file()), None)
    if folder is None or not (folder / known.hook).is_file():
        raise ConfigError(
            f"nothing of {tool} to uninstall in {target}: expected {FOLDER_NAME}/stablenew.json and {known.hook} "
            f"in it or in its folder {known.place}"
        )
    for name in (known.hook, "stablenew_bridge.py", "stablenew.json"):
        (folder / name).unlink(missing_ok=True)
    _remove_empty({(folder / known.hook).parent, folder})
    return folder, _names_in(folder)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that hold nothing but Python's own cache, inner ones first."""
    for folder in sorted(folders, key=lambda path: -len(path.parts)):
        shutil.rmtree(folder / _CACHE, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
