import pytest

from stablenew.formats.digest import DoubleHash
from stablenew.store.upkeep.verifying.finding_list import FindingList
from stablenew.store.upkeep.verifying.run_files import RunFiles, kind_of, walk
from tests.samples import sealed_run


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("records.jsonl", "format"),
        ("feedback.r1.jsonl", "unsealed"),
        ("feedback.sync-conflict-20261101-101010-ABCDEFG.json", "unsealed"),
        (".DS_Store", "leftover"),
        ("outputs/below/notes.txt", "foreign"),
        ("holiday.png", "foreign"),
    ],
)
def test_a_file_is_what_its_path_says(path, kind):
    assert kind_of(path) == kind


def test_a_walk_lists_outputs_under_their_paths(store):
    run = sealed_run(store)
    listed = [path for path, _ in walk(run.path)]
    assert {kind_of(path) for path in listed if path.startswith("outputs/")} == {"output"}
    assert "records.jsonl" in listed


def test_a_file_is_read_once(store):
    run = sealed_run(store)
    files = RunFiles(run.path)
    first = files.hash("records.jsonl")
    assert isinstance(first, DoubleHash)
    (run.path / "records.jsonl").unlink()
    assert files.hash("records.jsonl") is first


def test_a_file_that_the_seal_does_not_name_is_as_sealed_if_it_is_not_there(tmp_path):
    files = RunFiles(tmp_path)
    assert files.is_as_sealed("records.jsonl", {})
    assert not files.is_as_sealed("records.jsonl", {"records.jsonl": "0" * 64})


def test_an_unreadable_file_is_named_once(tmp_path):
    files = RunFiles(tmp_path)
    files.unreadable["records.jsonl"] = "Permission denied"
    found = FindingList(files)
    for _ in range(2):
        found.add_absent("file-missing", "records.jsonl", "not there", None)
    assert [finding.code for finding in found.items] == ["file-unreadable"]
