"""The page's modules that touch no element, under Node's own test runner."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("node") is None, reason="no node here; install nodejs")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name.partition(".")[0])
def test_units_pass_under_node(path):
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", str(path)], capture_output=True, text=True, check=False
    )
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    passed = re.search(r"^# pass (\d+)$", report, re.MULTILINE)
    assert passed is not None, report
    assert int(passed[1]) >= len(re.findall(r"^ *test\(", path.read_text(), re.MULTILINE)) > 0, report
