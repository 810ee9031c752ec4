"""Scores that programs add to a run: the valid ones are read whatever stands beside them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.store.metric_files import (
    MISMATCH,
    NEWER,
    UNREADABLE,
    Score,
    find_batch_problem,
    iter_scores,
    read_scores,
)

RUN = "sample-run"
AT = "2026-11-21T07:10:09.123Z"
IMAGE = "xxh128:" + "a" * 32


def score(**fields):
    return {"image_id": IMAGE, "metric": "aesthetic", "value": 6.5, "scorer": "judge"} | fields


def batch(scores, **fields):
    head = {
        "kind": "stablenew.metric_batch",
        "schema_version": "1.0",
        "run_id": RUN,
        "replica": "laptop",
        "scored_at": AT,
    }
    return json.dumps(head | {"scores": scores} | fields).encode() + b"\n"


def values_of(*lines):
    return [found.value for found in read_scores(RUN, [("metrics.laptop.jsonl", b"".join(lines))])]


def test_a_score_is_read_with_its_image_metric_and_scorer():
    assert read_scores(RUN, [("m", batch([score()]))]) == [Score(AT, 6.5, IMAGE, "aesthetic", "judge")]
    assert find_batch_problem(RUN, batch([score()])) is None


def test_a_score_without_image_or_scorer_is_that_of_the_run_by_nobody():
    (found,) = read_scores(RUN, [("m", batch([{"metric": "aesthetic", "value": 1}]))])
    assert (found.image_id, found.scorer, found.value) == (None, "", 1.0)
    assert isinstance(found.value, float)


@pytest.mark.parametrize(
    "fields",
    [
        {"metric": "Aesthetic"}, {"metric": ""}, {"metric": "a" * 65}, {"metric": None}, {"metric": "a-b"},
        {"metric": "aesthetic\n"},
        {"image_id": "xxh128:abc"}, {"image_id": 7}, {"image_id": IMAGE.upper()}, {"image_id": IMAGE + "a"},
        {"value": True}, {"value": "6"}, {"value": None}, {"value": 10**309}, {"scorer": 7}, {"scorer": ["a"]},
    ],
)  # fmt: skip
def test_a_score_that_is_not_valid_hides_no_other(fields):
    assert [found.value for found in iter_scores([score(value=1), score(**fields), score(value=2)], AT)] == [1, 2]


def test_what_is_no_number_at_all_is_no_score():
    assert list(iter_scores([score(value=float("nan")), score(value=float("inf")), 7, None, "x", []], AT)) == []
    for scores in (None, {}, "aesthetic", 7):
        assert list(iter_scores(scores, AT)) == []


@pytest.mark.parametrize(
    "fields",
    [{"run_id": "another-run"}, {"kind": "stablenew.learning_record"}, {"schema_version": "2.0"},
     {"schema_version": 1.0}, {"scored_at": "yesterday"}, {"scored_at": None}, {"scored_at": AT + "\n"}],
)  # fmt: skip
def test_a_batch_that_is_not_of_this_run_or_format_is_left_out(fields):
    assert values_of(batch([score(value=9)], **fields), batch([score(value=1)])) == [1]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[]\n", b'{"kind": }\n', b"\xff\n", b"7\n"])
def test_a_damaged_line_hides_no_other(line):
    assert values_of(batch([score(value=1)]), line, batch([score(value=2)])) == [1, 2]


def test_a_line_that_is_cut_off_was_never_acknowledged():
    assert values_of(batch([score(value=1)]), batch([score(value=2)])[:-1]) == [1]


def test_the_score_that_was_computed_last_is_the_last_one_and_of_two_at_once_the_greater():
    later = "2026-11-21T07:10:09.124Z"
    lines = [batch([score(value=value)], scored_at=later) for value in (4, 1, 8, 3, 7, 2, 6, 5)]
    assert values_of(*lines, batch([score(value=9)])) == [9, 1, 2, 3, 4, 5, 6, 7, 8]


@given(
    st.permutations([batch([score(value=number % 3, metric=f"m{number}")]) for number in range(4)]), st.integers(0, 4)
)
def test_order_files_and_repetition_make_no_difference(lines, cut):
    expected = read_scores(RUN, [("m", b"".join(sorted(lines)))])
    files = [("a", b"".join(lines[:cut])), ("b", b"".join([*lines[cut:], *lines]))]
    assert read_scores(RUN, files) == expected


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (batch([score()], run_id="another-run"), MISMATCH),
        (batch([score()], schema_version="2.0"), NEWER),
        (batch([score(value="6")]), UNREADABLE),
        (b"{}\n", UNREADABLE),
        (b"{\n", UNREADABLE),
    ],
)
def test_what_is_wrong_with_a_batch_has_a_code_and_a_reason(line, code):
    problem = find_batch_problem(RUN, line)
    assert problem.code == code
    assert problem.reason


def test_the_name_of_the_other_run_is_in_the_reason():
    assert "another-run" in find_batch_problem(RUN, batch([score()], run_id="another-run")).reason
