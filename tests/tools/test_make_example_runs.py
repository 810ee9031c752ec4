import subprocess
import sys
from pathlib import Path

import pytest

from stablenew import RunStore, RunVerifier

SCRIPT = Path(__file__).parents[2] / "tools" / "make_example_runs.py"


def make(folder, *arguments):
    subprocess.run([sys.executable, SCRIPT, folder, *arguments], check=True, capture_output=True)
    return RunStore(folder)


@pytest.mark.heavy
@pytest.mark.parametrize("outputs", ["links", "none", "images"])
def test_example_runs_are_whole_sealed_runs(tmp_path, outputs):
    store = make(tmp_path, "--count", "12", "--outputs", outputs)
    runs = list(store.iter_runs())
    assert [run.state for run in runs] == ["sealed"] * 12
    for run in runs:
        assert not RunVerifier(run, deep=True).verify().findings
    assert any(list(run.iter_outputs()) for run in runs) == (outputs != "none")


@pytest.mark.heavy
def test_a_seed_makes_the_same_runs_every_time(tmp_path):
    def content(name, seed):
        make(tmp_path / name, "--count", "20", "--seed", seed)
        return {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.json*")}

    first = content("one", "1")
    assert first == content("two", "1")
    assert first != content("three", "3")
