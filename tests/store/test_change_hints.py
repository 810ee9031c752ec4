from stablenew import FeedbackManager, RunStore
from stablenew.store import change_hints
from stablenew.store.change_hints import NOWHERE, end_of_hints, hints_path, note_change, read_hints
from tests import samples


def test_who_writes_a_run_leaves_word(tmp_path):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store, "first")
    _, position, _ = read_hints(hints_path(store.root), NOWHERE)
    samples.sealed_run(store, "second")
    FeedbackManager(store, rater="alice").record_feedback("first", None, 3)
    run_ids, end, is_whole = read_hints(hints_path(store.root), position)
    assert (run_ids, is_whole) == (["second", "first"], True)
    assert read_hints(hints_path(store.root), end) == ([], end, True)


def test_hints_that_were_lost_are_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(change_hints, "MAX_BYTES", 100)
    path = hints_path(tmp_path)
    for number in range(9):
        note_change(tmp_path / f"run-number-{number}")
    _, end, _ = read_hints(path, NOWHERE)
    for number in range(9, 18):
        note_change(tmp_path / f"run-number-{number}")
    run_ids, _, is_whole = read_hints(path, end)
    assert not is_whole
    assert run_ids[-1] == "run-number-17"
    path.unlink()
    assert read_hints(path, end) == ([], NOWHERE, False)
    assert read_hints(path, NOWHERE) == ([], NOWHERE, True)


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path):
    note_change(tmp_path / "whole")
    path = hints_path(tmp_path)
    with path.open("ab") as file:
        file.write(b"half")
    run_ids, position, _ = read_hints(path, NOWHERE)
    assert run_ids == ["whole"]
    assert end_of_hints(path) != position
    with path.open("ab") as file:
        file.write(b"-way\n")
    assert read_hints(path, position)[0] == ["half-way"]


def test_a_state_folder_that_takes_nothing_is_no_reason_to_fail(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "file"))
    note_change(tmp_path / "runs" / "any")
