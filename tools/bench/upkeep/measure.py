"""What merging and verifying a store cost, beside rsync and sha256sum over the same files."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

assert sys.platform != "win32", "measures with calls that only POSIX systems have"

ROOT = Path(__file__).parents[3]
SEALS = 'for run in "$1"/2*; do (cd "$run" && sha256sum --check --quiet SHA256SUMS) || exit 1; done'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="runs in the store")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to write; by default the system's folder for temporary files")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    os.environ["STABLENEW_STATE_DIR"] = str(folder / "state")
    try:
        options = ["--count", str(arguments.count), "--outputs", "images", "--variants", "4"]
        run(sys.executable, str(ROOT / "tools" / "make_example_runs.py"), str(folder / "theirs"), *options)
        rounds = [measure_round(folder) for _ in range(arguments.rounds)]
    finally:
        shutil.rmtree(folder)
    seconds = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(json.dumps({"seconds": seconds, "ratios": ratios(seconds)}, indent=2))
    return 0


def measure_round(folder: Path) -> dict[str, float]:
    theirs, ours, copy = (str(folder / name) for name in ("theirs", "ours", "copy"))
    works: dict[str, Callable[[], None]] = {
        "rsync --fsync": lambda: run("rsync", "-a", "--fsync", f"{theirs}/", copy),
        "merge": lambda: stablenew(ours, "merge", theirs),
        "rsync again": lambda: run("rsync", "-a", f"{theirs}/", copy),
        "merge again": lambda: stablenew(ours, "merge", theirs),
        "sha256sum": lambda: run("sh", "-c", SEALS, "sh", theirs),
        "verify": lambda: stablenew(theirs, "verify"),
        "verify --deep": lambda: stablenew(theirs, "verify", "--deep"),
    }
    os.mkdir(ours)
    seconds = {name: timed(work) for name, work in works.items()}
    shutil.rmtree(ours)
    shutil.rmtree(copy)
    return seconds


def ratios(seconds: dict[str, float]) -> dict[str, float]:
    pairs = {"merge": "rsync --fsync", "merge again": "rsync again", "verify": "sha256sum"}
    return {ours: round(seconds[ours] / seconds[theirs], 2) for ours, theirs in pairs.items()}


def timed(work: Callable[[], None]) -> float:
    os.sync()  # what others left to be written is not ours to wait for
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def stablenew(runs: str, *arguments: str) -> None:
    run(sys.executable, "-m", "stablenew", "--quiet", "--runs-dir", runs, *arguments)


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


if __name__ == "__main__":
    sys.exit(main())
