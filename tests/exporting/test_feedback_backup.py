"""All feedback in one file: written from any store, taken back line by line."""

import json
import os
import shutil

import pytest

from stablenew import RunStore
from stablenew.errors import ConfigError
from stablenew.exporting.feedback_backup import restore_backup, write_backup
from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.local_state import state_folder
from tests import samples


@pytest.fixture
def run(store):
    return samples.sealed_run(store, "run", variants=1)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "said.jsonl"


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def events_of(run):
    return FeedbackLog(run.path).read().events


def test_the_first_line_says_what_it_is_and_each_other_one_is_a_run(store, run, target):
    event = samples.add_event(run, "rate", image_id=None, rating=4)
    samples.sealed_run(store, "silent")
    report = write_backup(store, target, clock=samples.fake_clock())
    head, line = lines_of(target)
    assert (head["kind"], head["schema_version"]) == ("stablenew.feedback_backup", "1.0")
    assert head["created_at"].startswith("2027-01-15T")
    assert line == {"run_id": "run", "events": [event.to_dict()]}
    assert (report.runs, report.events, report.problems) == (1, 1, [])


@pytest.mark.parametrize("name", [b"caf\xe9", "café 手".encode(), b"a\nb"])
def test_a_store_may_have_any_name(tmp_path, target, name):
    store = RunStore(tmp_path / os.fsdecode(name))
    run = samples.sealed_run(store, "run", variants=1)
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    assert restore_backup(store, target).known == 1


def test_progress_is_told_by_run(store, run, target):
    samples.sealed_run(store, "two", variants=1)
    told = []
    write_backup(store, target, progress=lambda *at: told.append(at))
    assert told == [(1, 2), (2, 2)]
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    restore_backup(store, target, progress=lambda *at: told.append(at))
    assert told[2:] == [(1, 0)]


def test_a_backup_that_is_written_again_replaces_the_first(store, run, target):
    write_backup(store, target)
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    assert len(lines_of(target)) == 2


def test_only_what_a_run_lacks_is_added(store, run, target):
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    for path in run.path.glob("feedback*"):
        path.unlink()
    shutil.rmtree(state_folder() / "journal", ignore_errors=True)
    samples.add_event(run, "rate", at="2026-11-23T08:00:00.000Z-0000", image_id=None, rating=2)
    report = restore_backup(store, target)
    assert (report.runs, report.events, report.known, report.missing) == (1, 1, 0, [])
    assert sorted(event.rating for event in events_of(run)) == [2, 4]
    assert restore_backup(store, target).to_dict() == {
        "runs": 1, "events": 0, "known": 1, "missing": [], "problems": []
    }  # fmt: skip


LINES = {
    "no JSON": "{",
    "a list": "[]",
    "no events": '{"run_id": "run"}',
    "events that are none": '{"run_id": "run", "events": [7]}',
    "events that are a text": '{"run_id": "run", "events": "x"}',
    "no run": '{"events": []}',
    "nested": "[" * 1000,
    "a number": "7",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_damaged_line_is_named_and_the_others_are_taken(store, run, target, line):
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    head, good = target.read_text().splitlines()
    target.write_text(f"{head}\n{line}\n{good}\n")
    report = restore_backup(store, target)
    assert (report.known, len(report.problems)) == (1, 1)
    assert report.problems[0].startswith(f"{target}:2: ")


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b"[]", b"no json", b"\xff", b'{"kind": "stablenew.feedback"}'])
def test_another_file_is_no_backup(store, target, data):
    target.write_bytes(data)
    with pytest.raises(ConfigError, match="is not a backup of feedback: its first line must say"):
        restore_backup(store, target)


@pytest.mark.parametrize("run_id", ["gone", "../run", "", "a/b", "\0"])
def test_a_run_that_is_not_here_or_cannot_be_is_named_and_written_nowhere(store, run, target, run_id):
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    head, line = lines_of(target)
    target.write_text("\n".join(map(json.dumps, [head, line | {"run_id": run_id}, line])))
    report = restore_backup(store, target)
    assert len(report.missing) + len(report.problems) == 1
    assert report.known == 1
    assert sorted(path.name for path in store.root.iterdir() if not path.name.startswith(".")) == ["run"]


def test_an_event_that_is_not_what_its_id_says_is_not_taken(store, run, target):
    samples.add_event(run, "rate", image_id=None, rating=4)
    write_backup(store, target)
    target.write_text(target.read_text().replace('"rating":4', '"rating":5'))
    report = restore_backup(store, target)
    assert "is not what its id says" in report.problems[0]
    assert [event.rating for event in events_of(run)] == [4]
    assert all(isinstance(event, FeedbackEvent) for event in events_of(run))
