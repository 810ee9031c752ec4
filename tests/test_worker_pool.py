"""Worker processes: answers in the order of the tasks, as many workers as are of use, and one that dies."""

import json
import os
import subprocess
import sys

import pytest

from stablenew import worker_pool

WORKER = """
import os, sys
from stablenew import worker_pool

def answer(task):
    if task == sys.argv[1]:
        os._exit(3)
    return task, os.getpid(), os.environ.get("EXTRA")

worker_pool.serve(answer)
"""


@pytest.fixture
def ask(tmp_path):
    """Ask workers; one that is given the task `fatal` dies."""
    (tmp_path / "some_worker.py").write_text(WORKER)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])

    def ask(tasks, fatal="", **options):
        environment = {"PYTHONPATH": path, "EXTRA": "said"}
        return worker_pool.iter_answers("some_worker", [fatal], tasks, environment=environment, **options)

    return ask


def test_answers_come_in_the_order_of_the_tasks(ask):
    answers = list(ask(range(50), count=3))
    assert [task for task, _, _ in answers] == list(range(50))
    assert {extra for _, _, extra in answers} == {"said"}
    assert 1 <= len({worker for _, worker, _ in answers}) <= 3


def test_more_workers_are_started_when_they_turn_out_to_be_of_use(ask):
    wanted = 1
    answers = ask(range(2_000), count=lambda: wanted, ahead=2)
    first = [next(answers) for _ in range(100)]
    assert len({worker for _, worker, _ in first}) == 1
    wanted = 3
    rest = list(answers)
    assert [task for task, _, _ in first + rest] == list(range(2_000))
    assert len({worker for _, worker, _ in rest}) > 1


def test_a_worker_that_dies_is_not_waited_for(ask):
    with pytest.raises(ChildProcessError, match="ended with 3"):
        list(ask(["one", "two", "three"], fatal="two", count=2))


def test_half_an_answer_of_a_worker_that_died_is_none(ask, tmp_path):
    dying = "import os; os.read(0, 99); os.write(1, (100).to_bytes(8) + b'half'); os._exit(3)"
    (tmp_path / "some_worker.py").write_text(dying)
    with pytest.raises(ChildProcessError, match="ended with 3"):
        list(ask(["one"], count=1))


def test_what_a_worker_answered_before_it_died_counts(ask):
    answers = ask([1, 2, "fatal"], fatal="fatal", count=1)
    assert [next(answers)[0] for _ in range(2)] == [1, 2]
    with pytest.raises(ChildProcessError):
        next(answers)


def test_no_task_is_no_answer(ask):
    assert list(ask([], count=2)) == []


def test_a_worker_executes_nothing_of_the_current_folder(ask, tmp_path, monkeypatch):
    """People stand in a store that they got from somebody else when they build a dataset of it."""
    folder = tmp_path / "store of somebody else"
    folder.mkdir()
    for name in ("json", "pickle", "runpy", "xxhash", "pydantic", "signal", "stablenew"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})")
    monkeypatch.chdir(folder)
    assert [task for task, *_ in ask([1, 2], count=1)] == [1, 2]
    assert not (tmp_path / "executed").exists()


@pytest.mark.heavy
def test_no_command_starts_a_process_that_imports_from_the_current_folder(tmp_path, monkeypatch):
    """Every module that can be a worker of ours, as the pool starts it."""
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write('x')")
    monkeypatch.chdir(tmp_path)
    for module in ("stablenew.store.upkeep.verifying.verifier_pool", "stablenew.index.reading.reader_pool"):
        done = subprocess.run(worker_pool.module_command(module, str(tmp_path)), input=b"", capture_output=True)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """The current folder, with modules of familiar names that would leave a mark if they were executed."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("json", "xxhash", "pydantic", "pickle", "stablenew", "runpy", "typing_extensions"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'EXECUTED')!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(folder)
    return folder


def test_our_own_modules_run_in_any_folder(hostile_folder):
    done = subprocess.run(worker_pool.module_command("stablenew", "--version"), capture_output=True, text=True)
    assert done.stdout.startswith("stablenew "), done.stderr
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(worker_pool.module_command("stablenew", "--version"), capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not (hostile_folder / "EXECUTED").exists()


@pytest.mark.heavy
def test_the_recorder_inside_another_program_imports_nothing_from_its_folder(hostile_folder):
    from stablenew.tool_hooks.bridge import Bridge

    settings = hostile_folder.parent / "stablenew.json"
    settings.write_text(json.dumps({"python": sys.executable, "runs_dir": str(hostile_folder / "runs")}))
    command = Bridge(settings)._recorder._command
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60)
    assert not (hostile_folder / "EXECUTED").exists(), done.stderr
