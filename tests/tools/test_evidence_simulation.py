"""The benchmark of the model of all settings, with a user of each family that it is asked for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SIMULATE = Path("tools/bench/evidence/simulate.py").resolve()
MODEL = ("proposals", "random, model", "known sizes")
OTHERS = ("best image", "full grid", "one at a time")
MEDIANS = re.compile(r"\b(?:24|48|96): (\S+) ±")


@pytest.mark.heavy
def test_every_way_of_choosing_settings_is_measured_from_end_to_end():
    words = ["--users", "1", "--first", "70", "--families", "plateau", "nothing", "--ways", *MODEL, *OTHERS]
    done = subprocess.run([sys.executable, SIMULATE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = {line[:14].strip(): line for line in done.stdout.splitlines() if line[15:].startswith("POOLED")}
    assert lines.keys() == {*MODEL, *OTHERS}
    for way, line in lines.items():
        medians = [float(median) for median in MEDIANS.findall(line)]
        assert len(medians) == 3
        assert all(-0.01 < median < 2 for median in medians), way
        assert (" held " in line) == (way in MODEL)
    nothing = next(line for line in done.stdout.splitlines() if line.startswith("proposals      nothing"))
    assert "settings matter 0%" in nothing
