"""Write `schemas/conformance/*.json`: small stores, made by this program's own writers, and what readers make of them.

    python -m tools.make_conformance_suite [--check]

What readers must make of a store is what our reader makes of it. So a change here is a change of what the format means:
look at the difference, and let the runners in `schemas/readers` judge it.
"""

import argparse
import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tools.conformance.damaged_cases import DAMAGED
from tools.conformance.feedback_cases import FEEDBACK
from tools.conformance.kit import Case
from tools.conformance.our_reader import describe_store
from tools.conformance.sound_cases import SOUND

FOLDER: Final = Path(__file__).parents[1] / "schemas" / "conformance"
CASES: Final = (*SOUND, *FEEDBACK, *DAMAGED)
_DESCRIBING: Final = ("README.md", "schemas")
"""What of `.stablenew` only describes the format: left out, because it would be most of every case."""


def build_case(case: Case, folder: Path) -> dict[str, Any]:
    """The store of a case, built in `folder`, and what our reader makes of it."""
    root = folder / case.name
    case.build(root)
    for name in _DESCRIBING:
        _remove(root / ".stablenew" / name)
    return {"name": case.name, "about": case.about, "store": pack(root)} | describe_store(root)


def _remove(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def pack(root: Path) -> dict[str, Any]:
    """Every file below `root` by its path, and folders that hold nothing."""
    files: dict[str, Any] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            place = path.relative_to(root).as_posix()
            if path.is_symlink():
                files[place] = {"link": os.readlink(path)}
            elif path.is_file():
                files[place] = _content(path.read_bytes())
            elif not any(path.iterdir()):
                files[place] = {"folder": True}
    return dict(sorted(files.items()))


def _content(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def unpack(files: dict[str, Any], root: Path) -> None:
    """Write the files of a case below `root`."""
    for place, content in files.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_bytes(content.encode("utf-8"))
        elif "link" in content:
            path.symlink_to(content["link"])
        elif "folder" in content:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(base64.b64decode(content["base64"]))


def encode_case(case: dict[str, Any]) -> bytes:
    """A case as it is written."""
    return json.dumps(case, ensure_ascii=True, indent=1, sort_keys=False).encode() + b"\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a case is out of step")
    arguments = parser.parse_args()
    stale = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STABLENEW_STATE_DIR"] = f"{folder}/state"
        os.umask(0o022)
        for case in CASES:
            data = encode_case(build_case(case, Path(folder)))
            path = FOLDER / f"{case.name}.json"
            if not path.exists() or path.read_bytes() != data:
                stale += 1
                print(f"{'out of step' if arguments.check else 'written'}: schemas/conformance/{path.name}")
                if not arguments.check:
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(data)
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
