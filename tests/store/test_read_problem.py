"""A problem tells its place in words that a person can go to."""

import pytest

from stablenew.store.read_problem import ReadProblem


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (ReadProblem("records.jsonl", "not JSON", 3), "records.jsonl, line 3: not JSON"),
        (ReadProblem("feedback.json", "Permission denied"), "feedback.json: Permission denied"),
        (ReadProblem("records.jsonl", "Input/output error", is_unreadable=True), "records.jsonl: Input/output error"),
    ],
)
def test_a_problem_says_where_and_why(problem, text):
    assert str(problem) == text


def test_a_problem_is_neither_torn_nor_unreadable_unless_that_is_said():
    problem = ReadProblem("a", "b")
    assert (problem.line, problem.is_torn, problem.is_unreadable, problem.code) == (None, False, False, "")
