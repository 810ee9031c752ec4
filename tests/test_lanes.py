"""How our own tests are run: on workers or not, in lanes, and twice where once was not enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lanes import spread_modules

ROOT = Path(__file__).parents[1]
TESTS = """
import os
from pathlib import Path
import pytest

@pytest.fixture
def browser():
    return "one that is busy at first"

def test_fails_at_first():
    flag = Path("was-here")
    first = not flag.exists()
    flag.touch()
    assert not first

def test_fails_always(browser):
    assert not browser

def test_plain():
    Path(f"worker-{os.environ.get('PYTEST_XDIST_WORKER', 'none')}").touch()

def test_with_torch(needs_diffusers):
    pass

@pytest.fixture
def server():
    pass

def test_with_a_server(server):
    pass
"""


@pytest.fixture
def pytest_in(tmp_path):
    """A function that runs pytest over a few tests, and gives what it printed and which worker ran the plain one."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.lanes"]\n')
    (tmp_path / "test_few.py").write_text(TESTS)
    markers = "\n".join(f"  {name}" for name in ("browser", "network_tools", "processes", "heavy"))
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers\nmarkers =\n{markers}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTEST_XDIST_AUTO_NUM_WORKERS": "2"}

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", "-p", "no:playwright", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        workers = [path.name.partition("-")[2] for path in tmp_path.glob("worker-*")]
        return done.stdout, workers

    return run


@pytest.mark.heavy
@pytest.mark.parametrize(("arguments", "expected"), [((".",), "gw"), ((".", "-p", "no:xdist"), "none")])
def test_a_test_that_fails_has_a_second_try_that_is_named_on_workers_too(pytest_in, arguments, expected):
    said, (worker,) = pytest_in(*arguments, "-m", "not heavy")
    assert worker.startswith(expected)
    assert "1 failed, 3 passed" in said
    assert "needed a second try: test_few.py::test_fails_at_first" in said
    assert "needed a second try: test_few.py::test_fails_always" in said


@pytest.mark.heavy
def test_one_try_is_enough_for_who_looks_for_unsteady_tests(pytest_in):
    said, _ = pytest_in(".", "-m", "not heavy", "--one-try")
    assert "2 failed, 2 passed" in said
    assert "second try" not in said


@pytest.mark.heavy
def test_the_quick_lane_leaves_out_what_needs_more_and_a_named_file_runs_right_here(pytest_in):
    said, workers = pytest_in("test_few.py", "-m", "not browser and not network_tools and not processes and not heavy")
    assert "2 passed, 3 deselected" in said
    assert workers == ["none"]


def test_modules_that_wait_begin_among_those_that_compute_and_those_with_most_pages_first():
    computing = [Path(f"tests/index/test_{number}.py") for number in range(4)]
    few, many = Path("tests/web/test_few.py"), Path("tests/web/test_many.py")
    places = spread_modules({**dict.fromkeys(computing, 0), few: 2, many: 20})
    assert sorted(places, key=places.get) == [computing[0], many, computing[1], computing[2], few, computing[3]]
