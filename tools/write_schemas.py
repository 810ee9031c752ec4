"""Write `schemas/v1/*.schema.json` from the models; with `--check`, only say whether they are in step."""

import argparse
import sys
from pathlib import Path

from stablenew.formats.schema_catalog import iter_schema_files

FOLDER = Path(__file__).parents[1] / "schemas" / "v1"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of step")
    arguments = parser.parse_args()
    stale = [(name, data) for name, data in iter_schema_files() if _current(name) != data]
    for name, data in stale:
        print(f"{'out of step' if arguments.check else 'written'}: schemas/v1/{name}")
        if not arguments.check:
            (FOLDER / name).write_bytes(data)
    return 1 if stale and arguments.check else 0


def _current(name: str) -> bytes:
    path = FOLDER / name
    return path.read_bytes() if path.exists() else b""


if __name__ == "__main__":
    sys.exit(main())
