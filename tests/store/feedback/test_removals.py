"""Removals: absent bytes that are absent on purpose, and no others."""

import pytest

from stablenew.formats.documents.feedback import build_event
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.store.feedback.removals import NO_REMOVALS, are_removed, find_removals, read_removals
from tests.samples import add_event
from tests.store.run_files import held_output, write_run

SHA = {"outputs/a.png": "a" * 64, "outputs/b.png": "b" * 64, "records.jsonl": "c" * 64}
A = held_output("outputs/a.png", b"a")
REMOVED = {"digest": A["digest"], "sha256": SHA["outputs/a.png"], "size_bytes": 1, "reason": "emptied the trash"}


def removal(second=1, **fields):
    clock = f"2026-11-21T08:00:{second:02d}.000Z-0000"
    return build_event(**{"clock": clock, "replica": "r1", "rater": "alice", "op": "remove"} | REMOVED | fields)


@pytest.mark.parametrize(
    ("output", "is_found"),
    [
        (A, True),
        (A | {"sha256": SHA["outputs/a.png"]}, True),
        (A | {"sha256": SHA["outputs/b.png"]}, False),
        (A | {"size_bytes": 2}, False),
        (held_output("outputs/a.png", b"b"), False),
    ],
    ids=["its digest", "and its SHA-256", "another SHA-256", "another size", "another digest"],
)
def test_an_output_is_removed_by_all_that_is_known_of_its_bytes(output, is_found):
    removals = find_removals([removal()])
    assert (removals.find(OutputReference.model_validate(output)) is not None) == is_found


def test_a_removal_that_was_taken_back_is_none():
    back = {"clock": "2026-11-21T08:00:09.000Z-0000", "replica": "r1", "rater": "alice", "op": "retract"}
    removals = find_removals([removal(), build_event(**back, event_ids=[removal().id])])
    assert removals == find_removals([]) == NO_REMOVALS
    assert removals.find(OutputReference.model_validate(A)) is None


def test_a_run_may_lack_what_was_removed_and_nothing_else(tmp_path):
    run = write_run(tmp_path)
    assert not are_removed(run.path, ["outputs/a.png"], SHA)
    add_event(run, "remove", **REMOVED)
    assert are_removed(run.path, ["outputs/a.png"], SHA)
    others = ["outputs/b.png", "records.jsonl"]
    for missing in (others[:1], others[1:], ["outputs/a.png", others[0]], ["outputs/a.png", others[1]]):
        assert not are_removed(run.path, missing, SHA)


def test_feedback_that_cannot_be_read_removes_nothing(tmp_path):
    run = write_run(tmp_path)
    (run.path / "feedback.json").mkdir()
    assert read_removals(run.path) == NO_REMOVALS
    assert not are_removed(run.path, ["outputs/a.png"], SHA)
    assert read_removals(tmp_path / "nowhere") == NO_REMOVALS


def test_a_document_of_records_cannot_be_removed_by_its_digest_alone(tmp_path):
    run = write_run(tmp_path)
    add_event(run, "remove", **REMOVED | {"sha256": SHA["records.jsonl"]})
    assert not are_removed(run.path, ["records.jsonl"], SHA)
