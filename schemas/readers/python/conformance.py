"""Run the conformance suite: python conformance.py [FOLDER OF CASES]. Exit status 1 if a case differs."""

import base64
import json
import sys
import tempfile
from pathlib import Path

from run_reader import read_store

SUITE = Path(__file__).resolve().parents[2] / "conformance"


def unpack(files, root):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_bytes(content.encode())
        elif "link" in content:
            path.symlink_to(content["link"])
        elif "folder" in content:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(base64.b64decode(content["base64"]))


def judge(case):
    """What of a case the reader answers otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(case["store"], Path(folder))
        found = read_store(Path(folder))
    wrong = [name for name in ("images", "findings") if found[name] != case[name]]
    for run_id in found["runs"].keys() | case["runs"].keys():
        ours, expected = found["runs"].get(run_id), case["runs"].get(run_id)
        wrong += [f"{run_id}: expected {expected}\n   found {ours}"] if ours != expected else []
    return wrong


def main(folder):
    cases = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    failed = {case["name"]: wrong for case in cases if (wrong := judge(case))}
    for name, wrong in failed.items():
        print(f"{name}: {wrong}", file=sys.stderr)
    print(f"{len(cases) - len(failed)} of {len(cases)} cases as expected")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else SUITE))
