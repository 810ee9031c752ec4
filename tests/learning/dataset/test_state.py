"""What one build of a dataset leaves for the next: ranges of runs, and which of them still hold."""

import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.dataset import state
from stablenew.learning.dataset.source.folder_scan import UNSETTLED
from stablenew.learning.dataset.source.run_source import Problem
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset.state import (
    SIGNATURES,
    STATE,
    BuildState,
    RunRange,
    cut_run_ranges,
    describe_purpose,
    is_file_of_ours,
    part_name,
    read_arrow,
    read_parquet,
    read_state,
    table_name,
    ties_name,
    write_arrow,
    write_state,
)

DIGEST = f"xxh128:{'0123456789abcdef' * 2}"
PURPOSE = describe_purpose("/runs", SplitPlan())
run_ids = st.sets(st.integers(0, 10**6), max_size=300).map(
    lambda numbers: sorted(f"run-{number:07d}" for number in numbers)
)


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch):
    monkeypatch.setattr(state, "_FEWEST_RUNS", 8)
    monkeypatch.setattr(state, "_MOST_RUNS", 24)


@given(run_ids)
def test_ranges_hold_every_run_once_and_are_neither_small_nor_large(ids):
    ranges = cut_run_ranges(ids)
    assert [run_id for found in ranges for run_id in found] == ids
    assert all(8 <= len(found) <= 24 for found in ranges[:-1])
    assert all(1 <= len(found) <= 24 for found in ranges[-1:])


def test_a_new_run_changes_the_ranges_beside_it_and_hardly_any_other():
    ids = [f"run-{number:07d}" for number in range(0, 4000, 2)]
    before = {tuple(found) for found in cut_run_ranges(ids)}
    after = {tuple(found) for found in cut_run_ranges(sorted([*ids, "run-0002001"]))}
    assert len(before) > 80
    assert len(before - after) <= 4
    assert cut_run_ranges([*ids, "run-9999999"])[:-1] == cut_run_ranges(ids)[:-1]


def state_of(*ranges, signatures=None, **fields):
    count = sum(len(found.run_ids) for found in ranges)
    return BuildState(list(ranges), list(range(count)) if signatures is None else signatures, **fields)


FIRST = RunRange(["a", "b"], digest=DIGEST, row_count=3, ties_digest="t1", own={"settings.grain": ("integer", 2)})
SECOND = RunRange(["c", "d", "e"], row_count=2, ties_digest="t2", own_columns=["setting_grain integer"], first_row=2)


@pytest.mark.parametrize(
    ("run_ids", "signatures", "expected"),
    [
        (["c", "d", "e"], [2, 3, 4], ["c", "d", "e"]),
        (["c", "d", "e"], [2, 9, 4], ["c", "e"]),
        (["c", "e", "f"], [2, 4, 5], ["c", "e"]),
        (["c", "d", "e"], [2, UNSETTLED, 4], ["c", "e"]),
        (["c"], [7], []),
    ],
)
def test_runs_whose_folders_look_as_before_are_unchanged(run_ids, signatures, expected):
    last = state_of(FIRST, SECOND)
    assert last.find(["c", "x"]) is SECOND
    assert last.find(["d"]) is None
    assert last.unchanged(SECOND, run_ids, signatures) == expected


def test_a_folder_that_was_unsettled_then_is_read_again():
    alone = replace(SECOND, first_row=0)
    last = state_of(alone, signatures=[2, UNSETTLED, 4])
    assert last.unchanged(alone, ["c", "d", "e"], [2, UNSETTLED, 4]) == ["c", "e"]


SPLITS = np.array([0, 1, 2, -1, 0], np.int8)


def test_splits_hold_as_long_as_nothing_changed_that_ties_images():
    last = state_of(FIRST, SECOND, splits=SPLITS)
    assert [part.tolist() for part in last.splits_of([FIRST, SECOND])] == [[0, 1, 2], [-1, 0]]
    other = RunRange(["c"], row_count=2, ties_digest="other")
    assert last.splits_of([FIRST, other]) is None
    assert last.splits_of([FIRST]) is None
    assert state_of(FIRST, SECOND).splits_of([FIRST, SECOND]) is None
    assert state_of(splits=SPLITS[:0]).splits_of([]) == []


def written(folder, first=FIRST, **fields):
    """The state that comes back from a folder where it was written."""
    (folder / ".build").mkdir(exist_ok=True)
    given_state = state_of(first, SECOND, splits=SPLITS, **fields)
    write_state(folder, PURPOSE, given_state)
    return given_state


def test_a_state_comes_back_as_it_was_written(tmp_path):
    problems = [Problem("a", "records.jsonl", 3, "cut off")]
    before = written(tmp_path, problems=problems, tables={"runs": "runs.x.parquet"}, elsewhere_digest="e")
    after = read_state(tmp_path, PURPOSE)
    assert (after.run_ranges, after.signatures, after.problems) == (before.run_ranges, before.signatures, problems)
    assert (after.tables, after.elsewhere_digest, after.splits.tolist()) == (before.tables, "e", SPLITS.tolist())
    assert after.copies.equals(before.copies)


@pytest.mark.parametrize(
    "other",
    [
        describe_purpose("/elsewhere", SplitPlan()), describe_purpose("/runs", SplitPlan(salt="x")),
        describe_purpose("/runs", SplitPlan(), {"a": [DIGEST]}), describe_purpose("/runs", SplitPlan(), {}),
    ],
)  # fmt: skip
def test_a_build_for_something_else_starts_from_nothing(tmp_path, other):
    written(tmp_path)
    assert read_state(tmp_path, other).run_ranges == []


@pytest.mark.parametrize("name", [STATE, SIGNATURES, ".build/copies.arrow", ".build/splits"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b"\xff" * 100])
def test_a_damaged_or_missing_file_costs_time_and_no_build(tmp_path, name, content):
    written(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = read_state(tmp_path, PURPOSE)
    assert found.run_ranges == [] or (found.splits is None and name == ".build/splits")


def test_a_part_that_is_gone_or_has_another_size_is_made_again(tmp_path):
    written(tmp_path, replace(FIRST, part="images/a.parquet", size_bytes=4))
    assert read_state(tmp_path, PURPOSE).run_ranges == []
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.parquet").write_bytes(b"123")
    assert [found.run_ids for found in read_state(tmp_path, PURPOSE).run_ranges] == [SECOND.run_ids]
    (tmp_path / "images/a.parquet").write_bytes(b"1234")
    assert len(read_state(tmp_path, PURPOSE).run_ranges) == 2


def test_runs_with_the_same_images_chosen_are_for_the_same():
    one, other = ({"a": ["x"], "b": ["y"]}, {"b": ["y"], "a": ["x"]})
    assert describe_purpose("/runs", SplitPlan(), one) == describe_purpose("/runs", SplitPlan(), other)
    assert describe_purpose("/runs", SplitPlan(), one) != describe_purpose("/runs", SplitPlan(), {"a": ["x"]})


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        (part_name("20261128-132317-338-a1b2c3", DIGEST), True), (table_name("runs", DIGEST), True),
        (table_name("preferences", DIGEST), True), (ties_name("a", DIGEST), True), ("images.jsonl", True),
        ("imagefolder/train/x.png", True), ("webdataset/train-0000.tar", True), (".build/state.json", True),
        ("images.parquet", False), ("runs.parquet", False), ("notes.txt", False), ("images/../x", False),
        ("images/a/b.parquet", False), ("imagefolder/x.png", False), ("images/.hidden", False), ("images/a\n", False),
        ("runs.0123456789ABCDEF.parquet", False), ("", False),
    ],
)  # fmt: skip
def test_only_files_that_a_build_may_have_written_are_ours_to_remove(path, is_ours):
    assert is_file_of_ours(path) is is_ours


def test_names_of_parts_sort_by_run_and_name_their_digest():
    assert part_name("run-1", DIGEST) == "images/run-1.0123456789abcdef.parquet"
    assert part_name("a", f"xxh128:{'f' * 32}") < part_name("b", DIGEST)


@pytest.mark.parametrize("name", ["plain.arrow", os.fsdecode(b"latin-\xe9.arrow")])
def test_tables_are_read_under_any_name_that_a_file_can_have(tmp_path, name):
    from pyarrow import parquet

    table = pa.table({"a": [1, 2], "b": ["x", None]})
    try:
        write_arrow(tmp_path / name, table)
    except OSError:
        pytest.skip("this file system has no such name")
    assert read_arrow(tmp_path / name).equals(table)
    parquet.write_table(table, tmp_path / "x")
    (tmp_path / "x").rename(tmp_path / name)
    assert read_parquet(tmp_path / name, ["b"]).to_pydict() == {"b": ["x", None]}
