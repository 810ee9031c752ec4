"""Copies of sealed runs: what arrives is what the seal says, or nothing does."""

import os
import stat

import pytest

from stablenew.errors import InvalidDocument, NotAsSealed, WriteFailed
from stablenew.store.seal import encode_seal, read_seal
from stablenew.store.upkeep.sealed_copy import check_files, copy_files, copy_run, copy_seal
from tests.store.run_files import held_output, record_line, seal_run, write_run

A, B = held_output("outputs/a.png", b"a" * 3_000), held_output("outputs/b.png", b"b")


@pytest.fixture
def run(tmp_path):
    files = {A["path"]: b"a" * 3_000, B["path"]: b"b"}
    return seal_run(write_run(tmp_path / "theirs", [record_line(0, [A, B])], files=files, status="completed"))


@pytest.fixture
def target(tmp_path):
    (tmp_path / "ours").mkdir()
    return tmp_path / "ours" / "run"


def contents(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_copy_is_the_same_run_and_read_only(run, target):
    copy_run(run.path, target, read_seal(run.path))
    assert contents(target) == contents(run.path)
    assert {stat.S_IMODE(file.stat().st_mode) for file in target.rglob("*") if file.is_file()} == {0o444}
    assert os.listdir(target.parent) == ["run"]


def test_what_is_not_under_the_seal_does_not_come_along(run, target):
    (run.path / "feedback.json").write_text("{}")
    (run.path / "notes.txt").write_text("mine")
    copy_run(run.path, target, read_seal(run.path))
    assert contents(target).keys() == {*read_seal(run.path), "SHA256SUMS"}


def test_outputs_that_were_removed_on_purpose_need_not_be_there(run, target):
    (run.path / B["path"]).unlink()
    sums = {name: sha256 for name, sha256 in read_seal(run.path).items() if name != B["path"]}
    copy_run(run.path, target, sums)
    assert contents(target).keys() == {*sums, "SHA256SUMS"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: (path / A["path"]).write_bytes(b"other"), f"{A['path']} was changed"),
        (lambda path: (path / "records.jsonl").write_bytes(b""), "records.jsonl was changed"),
        (lambda path: (path / A["path"]).unlink(), f"{A['path']}: No such file"),
        (lambda path: ((path / B["path"]).unlink(), (path / B["path"]).symlink_to(path / A["path"])), B["path"]),
        (lambda path: ((path / B["path"]).unlink(), (path / B["path"]).mkdir()), B["path"]),
    ],
    ids=["an image", "the records", "gone", "a link", "a folder"],
)
def test_a_run_that_is_not_what_its_seal_says_is_not_copied_at_all(run, target, spoil, words):
    sums = read_seal(run.path)
    spoil(run.path)
    with pytest.raises(NotAsSealed, match=words):
        check_files(run.path, sums)
    with pytest.raises(NotAsSealed, match=words):
        copy_run(run.path, target, sums)
    assert os.listdir(target.parent) == []


def test_a_seal_that_was_exchanged_since_it_was_read_is_noticed(run, target):
    sums = read_seal(run.path)
    (run.path / "SHA256SUMS").write_bytes(encode_seal(sums | {"records.jsonl": "0" * 64}))
    with pytest.raises(NotAsSealed, match="SHA256SUMS was changed"):
        copy_run(run.path, target, sums)
    assert os.listdir(target.parent) == []


def test_files_that_are_there_are_sound_without_being_copied(run):
    check_files(run.path, read_seal(run.path))
    check_files(run.path, {})


def test_single_files_come_with_the_folder_they_need(run, target):
    sums = read_seal(run.path)
    copy_files(run.path, target, {A["path"]: sums[A["path"]]})
    assert contents(target) == {A["path"]: b"a" * 3_000}
    copy_files(run.path, target, {})


def test_where_nothing_can_be_written_that_is_said_and_not_that_the_run_is_bad(run, target):
    target.parent.rmdir()
    target.parent.write_text("a file in the place of the store")
    with pytest.raises(WriteFailed):
        copy_run(run.path, target, read_seal(run.path))


def test_a_seal_is_copied_as_it_is_once_it_is_one(run, target):
    target.mkdir()
    copy_seal(run.path, target)
    assert read_seal(target) == read_seal(run.path)
    (run.path / "SHA256SUMS").write_bytes(b"rubbish\n")
    with pytest.raises(InvalidDocument, match="SHA256SUMS, line 1"):
        copy_seal(run.path, target)
    assert (target / "SHA256SUMS").read_bytes() != b"rubbish\n"
