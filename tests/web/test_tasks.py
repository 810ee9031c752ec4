"""Long scans in the background: one of a kind at a time, told of as they go on, ended where somebody wants it."""

import threading

import pytest

from stablenew.web.tasks import TaskRunner


class Told:
    """Collects what a runner tells, and waits for the end of a task."""

    def __init__(self):
        self.states = []
        self.is_over = threading.Event()

    def __call__(self, task):
        self.states.append(task.to_dict())
        if task.is_over:
            self.is_over.set()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def runner(told):
    runner = TaskRunner(told)
    yield runner
    runner.stop()


def finish(told):
    assert told.is_over.wait(20)
    told.is_over.clear()


def waiting(event):
    """Work that goes on until an event, or until it is to stop."""

    def work(report):
        while not event.wait(0.001):
            report(1, 2)
        return "done"

    return work


def test_a_task_tells_how_far_it_is_and_what_came_out(runner, told):
    def work(report):
        report(1, 3)
        report(2, 3)
        return {"found": 7}

    runner.start("verify", work)
    finish(told)
    assert [(state["done"], state["total"], state["is_over"]) for state in told.states] == [
        (1, 3, False), (2, 3, False), (2, 3, True)
    ]  # fmt: skip
    numbers = [state["number"] for state in told.states]
    assert numbers == sorted(set(numbers))
    (last,) = runner.tasks()
    assert (last.result, last.error, last.kind) == ({"found": 7}, None, "verify")


def test_a_task_that_fails_says_why(runner, told):
    def work(_report):
        raise OSError(28, "No space left on device")

    runner.start("verify", work)
    finish(told)
    assert "No space left on device" in told.states[-1]["error"]
    assert told.states[-1]["result"] is None


def test_of_a_kind_one_runs_at_a_time_and_asking_again_gives_that_one(runner, told):
    event = threading.Event()
    first = runner.start("verify", waiting(event))
    assert runner.start("verify", waiting(event)) is first
    other = runner.start("survey", lambda _: 1)
    assert other is not first
    finish(told)
    event.set()
    finish(told)
    assert runner.start("verify", lambda _: 2) is not first


def test_tasks_of_several_subjects_run_beside_each_other_and_the_last_result_is_kept(runner, told):
    event = threading.Event()
    first = runner.start("check a", waiting(event))
    second = runner.start("check b", lambda _: "b")
    finish(told)
    assert {task.kind for task in runner.tasks()} == {"check a", "check b"}
    assert (second.result, first.is_over) == ("b", False)
    runner.start("check c", lambda _: "c")
    finish(told)
    assert {task.kind for task in runner.tasks()} == {"check a", "check c"}
    event.set()


def test_a_task_that_is_cancelled_ends_at_its_next_word_and_says_so(runner, told):
    runner.start("verify", waiting(threading.Event()))
    runner.cancel("nothing")
    runner.cancel("verify")
    finish(told)
    last = told.states[-1]
    assert (last["is_over"], last["is_cancelled"], last["result"]) == (True, True, None)


def test_stopping_cancels_all(runner, told):
    for kind in ("a", "b"):
        runner.start(kind, waiting(threading.Event()))
    runner.stop()
    finish(told)
    assert all(task.cancel.is_cancelled for task in runner.tasks())


def test_numbers_of_a_later_server_are_above_those_of_this_one(runner, told):
    before = runner.start("verify", lambda _: 1).number
    finish(told)
    later = TaskRunner(lambda _: None)
    assert later.start("verify", lambda _: 1).number > before
