"""The conformance suite: our reader and one that knows only the specification make of every store what it says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tools.conformance.our_reader import describe_store
from tools.make_conformance_suite import CASES, build_case, encode_case, unpack

from stablenew import JobHistory

SCHEMAS = Path(__file__).parents[2] / "schemas"
SUITE = SCHEMAS / "conformance"
NAMES = [case.name for case in CASES]


@pytest.fixture
def opened(tmp_path):
    def open_case(name):
        case = json.loads((SUITE / f"{name}.json").read_bytes())
        unpack(case["store"], tmp_path / "runs")
        return case, tmp_path / "runs"

    return open_case


def test_the_suite_holds_the_cases_and_nothing_else():
    assert {path.stem for path in SUITE.iterdir()} == set(NAMES)
    assert sum(path.stat().st_size for path in SUITE.iterdir()) < 1_000_000


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_our_reader_makes_of_a_store_what_the_suite_says(opened, name):
    case, root = opened(name)
    found = json.loads(json.dumps(describe_store(root)))
    assert found["runs"] == case["runs"]
    assert {key: found[key] for key in ("images", "findings")} == {key: case[key] for key in ("images", "findings")}


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_history_tells_the_states_that_the_suite_says(opened, name):
    case, root = opened(name)
    history = JobHistory(root)
    history.refresh()
    told = {row["run_id"]: (row["state"], row["status"]) for row in history.recent(99).rows}
    assert told == {run_id: (run["state"], run["status"]) for run_id, run in case["runs"].items()}


@pytest.mark.heavy
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_our_writers_still_make_the_stores_of_the_suite(tmp_path, case):
    assert encode_case(build_case(case, tmp_path)) == (SUITE / f"{case.name}.json").read_bytes()


@pytest.mark.heavy
def test_a_reader_that_knows_only_the_specification_agrees():
    runner = SCHEMAS / "readers" / "python" / "conformance.py"
    done = subprocess.run([sys.executable, runner], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(NAMES)} of {len(NAMES)} cases as expected\n"


def test_the_reader_of_a_stranger_uses_nothing_of_ours():
    sources = [path for path in (SCHEMAS / "readers").rglob("*") if path.suffix in {".py", ".mjs"}]
    assert len(sources) == 10
    for path in sources:
        text = path.read_text(encoding="utf-8")
        assert "import stablenew" not in text
        assert "from stablenew" not in text
        assert text.count("\n") < 300, path


@pytest.mark.heavy
def test_a_wrong_answer_in_the_suite_is_noticed(tmp_path):
    case = json.loads((SUITE / "every-op.json").read_bytes())
    next(iter(case["runs"].values()))["feedback"]["run"]["anna"]["rating"] = 4
    (tmp_path / "wrong.json").write_text(json.dumps(case))
    runner = SCHEMAS / "readers" / "python" / "conformance.py"
    done = subprocess.run([sys.executable, runner, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "0 of 1 cases as expected\n")
