"""The tool that mutates pictures: a few of them, so that it keeps working and finds nothing here either."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "fuzz_pictures.py"


@pytest.mark.heavy
def test_mutated_pictures_are_recorded_checked_and_shown_without_an_exception():
    command = [sys.executable, str(TOOL), "--count", "60", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["lost"] == 0
    assert found["shown"] + found["not shown"] == 60
    assert found["image-undecodable"] > 10
