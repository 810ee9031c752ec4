"""Whether our reader makes of every store of the suite what it says: python -m tools.conformance.judge."""

import json
import os
import sys
import tempfile
from pathlib import Path

from tools.conformance.our_reader import describe_store
from tools.make_conformance_suite import FOLDER, unpack


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STABLENEW_STATE_DIR"] = f"{folder}/state"
        for path in sorted(FOLDER.glob("*.json")):
            case = json.loads(path.read_bytes())
            unpack(case["store"], Path(folder, path.stem))
            found = json.loads(json.dumps(describe_store(Path(folder, path.stem))))
            if any(found[key] != case[key] for key in found):
                print(f"{path.stem}: another answer")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
