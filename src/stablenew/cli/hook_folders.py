"""The folders that record inside other programs: what is in them, and where they go."""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

FOLDER_NAME: Final = "stablenew-recorder"
PLACES: Final = {"webui": "extensions", "comfyui": "custom_nodes"}
"""Where a program looks for such folders."""
_HOOKS: Final = {"webui": "scripts/stablenew_recorder.py", "comfyui": "__init__.py"}


def write_hook_folder(tool: str, target: Path, runs_dir: Path) -> Path:
    """Write the folder that records in `tool`, and say where it is.

    `target` may be the folder of the program itself: then it goes where the program looks for such folders.

    Raises:
        OSError: it cannot be written.
    """
    folder = _choose_place(tool, target) / FOLDER_NAME
    source = files("stablenew.tool_hooks")
    texts = {
        _HOOKS[tool]: source.joinpath(f"{tool}_recorder.py").read_text(encoding="utf-8"),
        "stablenew_bridge.py": source.joinpath("bridge.py").read_text(encoding="utf-8"),
        "stablenew.json": json.dumps({"python": sys.executable, "runs_dir": str(runs_dir.resolve())}, indent=2) + "\n",
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _choose_place(tool: str, target: Path) -> Path:
    inner = target / PLACES[tool]
    return inner if inner.is_dir() else target
