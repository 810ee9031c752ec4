"""Feedback on disk: nothing said is ever lost, whatever happens to the files."""

import json
import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew import RunStore, RunVerifier
from stablenew.errors import NewerFormat, WriteFailed
from stablenew.formats.documents.feedback import Feedback, build_event
from stablenew.store.feedback.feedback_log import FeedbackLog
from stablenew.store.local_state import known_replica_id
from tests import restless
from tests.samples import digest_of, sealed_run
from tests.strategies import event_lists

IMAGE = digest_of(1)


def event(second=0, rating=3, replica="r1", rater="alice"):
    clock = f"2026-11-21T08:{second // 60:02d}:{second % 60:02d}.000Z-0000"
    return build_event(clock=clock, replica=replica, rater=rater, op="rate", image_id=IMAGE, rating=rating)


def say(log, *events):
    with log.writing() as reading:
        return log.append(reading, events)


def ids(log):
    return [one.id for one in log.read().events]


@pytest.fixture
def log(store):
    return FeedbackLog(sealed_run(store).path, replica="r1")


def test_what_is_said_is_in_the_own_log_and_in_feedback_json(log):
    said = [event(1), event(2, 5)]
    say(log, said[0])
    say(log, said[1])
    lines = (log.run_path / "feedback.r1.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [one.id for one in said]
    document = Feedback.from_json((log.run_path / "feedback.json").read_bytes())
    assert document.events == tuple(said)
    assert document.state.images[IMAGE]["alice"].rating == 5
    assert RunVerifier(RunStore(log.run_path.parent).open("sample-run"), deep=True).verify().findings == ()


def test_reading_takes_in_every_machine_and_every_conflict_copy(log):
    say(log, event(1))
    say(FeedbackLog(log.run_path, replica="r2"), event(2, replica="r2"))
    names = [
        "feedback.sync-conflict-20261121-081203-MFDHANR.json",
        "feedback (alice's conflicted copy 2026-11-21).json",
        "feedback-DESK.json",
        "feedback (1).json",
        "feedback.json.conflict1",
        "feedback.json..path2",
        "feedback (conflict_on_2026-11-21).json",
    ]
    expected = set(ids(log))
    for number, name in enumerate(names):
        other = log.run_path.parent / "elsewhere" / "sample-run"
        shutil.rmtree(other.parent, ignore_errors=True)
        other.mkdir(parents=True)
        one = event(10 + number, replica="far")
        say(FeedbackLog(other, replica="far"), one)
        shutil.move(other / "feedback.json", log.run_path / name)
        expected.add(one.id)
    assert set(ids(log)) == expected
    assert log.read().problems == ()


def test_consolidation_removes_a_copy_only_when_all_it_says_is_kept(log):
    say(log, event(1))
    copy = log.run_path / "feedback.sync-conflict-20261121-081203-MFDHANR.json"
    shutil.copy(log.run_path / "feedback.json", copy)
    broken = log.run_path / "feedback (1).json"
    broken.write_text('{"kind": "stablenew.feedback"')
    foreign = log.run_path / "feedback-DESK.json"
    foreign.write_text(copy.read_text().replace("sample-run", "other-run"))
    assert log.consolidate(dry_run=True) == [copy.name]
    assert copy.exists()
    assert log.consolidate() == [copy.name]
    assert not copy.exists()
    assert broken.exists()
    assert foreign.exists()
    assert len(ids(log)) == 1


def test_the_own_log_brings_back_what_a_sync_tool_overwrote(log):
    say(log, event(1))
    old = (log.run_path / "feedback.json").read_bytes()
    say(log, event(2))
    (log.run_path / "feedback.json").write_bytes(old)
    assert len(ids(log)) == 2
    (log.run_path / "feedback.json").unlink()
    assert len(ids(log)) == 2
    say(log, event(3))
    assert len(Feedback.from_json((log.run_path / "feedback.json").read_bytes()).events) == 3


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"\x00\x01", b"[]", b'{"kind":"stablenew.feedback","schema_version":"1.0"}']
)
def test_a_damaged_file_is_set_aside_and_rebuilt_never_overwritten(log, junk):
    say(log, event(1))
    (log.run_path / "feedback.json").write_bytes(junk)
    assert len(ids(log)) == 1
    assert len(log.read().problems) == 1
    say(log, event(2))
    (aside,) = log.run_path.glob("damaged-feedback.*.json")
    assert aside.read_bytes() == junk
    assert len(Feedback.from_json((log.run_path / "feedback.json").read_bytes()).events) == 2


def test_feedback_of_a_later_version_is_never_touched(log):
    say(log, event(1))
    newer = (log.run_path / "feedback.json").read_text().replace('"schema_version": "1.0"', '"schema_version": "2.0"')
    (log.run_path / "feedback.json").write_text(newer)
    with pytest.raises(NewerFormat, match="update StableNew"):
        say(log, event(2))
    assert (log.run_path / "feedback.json").read_text() == newer
    assert len((log.run_path / "feedback.r1.jsonl").read_text().splitlines()) == 1


def test_a_forged_event_does_not_count_and_is_reported(log):
    say(log, event(1, rating=2))
    path = log.run_path / "feedback.r1.jsonl"
    path.write_text(path.read_text().replace('"rating":2', '"rating":5'))
    (log.run_path / "feedback.json").unlink()
    reading = FeedbackLog(log.run_path, replica="nobody").read()
    assert reading.events == ()
    assert "not what its id says" in str(reading.problems[0])
    assert [one.rating for one in log.read().events] == [2], "this machine still knows what it said"


def test_a_torn_line_harms_nothing(log):
    say(log, event(1))
    with (log.run_path / "feedback.r1.jsonl").open("ab") as file:
        file.write(b'{"id":"xxh128:')
    assert len(ids(log)) == 1
    say(log, event(2))
    (log.run_path / "feedback.json").unlink()
    assert len(ids(log)) == 2


def test_unknown_fields_of_feedback_json_survive_a_rating(log):
    say(log, event(1))
    document = json.loads((log.run_path / "feedback.json").read_bytes()) | {"x_mine": {"a": [1, None]}}
    (log.run_path / "feedback.json").write_text(json.dumps(document))
    say(log, event(2))
    assert json.loads((log.run_path / "feedback.json").read_bytes())["x_mine"] == {"a": [1, None]}


def test_links_and_folders_named_feedback_are_no_feedback(log, tmp_path):
    say(log, event(1))
    (tmp_path / "far.json").write_bytes((log.run_path / "feedback.json").read_bytes())
    (log.run_path / "feedback (1).json").symlink_to(tmp_path / "far.json")
    (log.run_path / "feedback (2).json").mkdir()
    os.mkfifo(log.run_path / "feedback (3).json")
    assert len(log.read().files) == 2


def test_a_log_that_cannot_be_written_adds_nothing(log):
    say(log, event(1))
    (log.run_path / "feedback.r1.jsonl").rename(log.run_path / "feedback.old.jsonl")
    (log.run_path / "feedback.r1.jsonl").mkdir()
    with pytest.raises(WriteFailed):
        say(log, event(2))
    assert len(ids(log)) == 1


def test_reading_writes_nothing_not_even_who_we_are(log):
    FeedbackLog(log.run_path).read()
    assert known_replica_id() is None


def test_a_session_reads_what_others_wrote_in_between(log):
    other = FeedbackLog(log.run_path, replica="r2")
    for second in range(6):
        say(log if second % 2 else other, event(second, replica="r1" if second % 2 else "r2"))
    assert len(ids(log)) == len(ids(other)) == 6


def test_copies_that_come_and_go_meanwhile_hide_no_opinion(log):
    say(log, event(rating=4))
    with restless.repeating(restless.COME_AND_GO_AS_FILE, log.run_path / "feedback (conflict).json"):
        for _ in range(3000):
            assert len(log.read_if_changed().events) == 1


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["r1", "r2"]), event_lists(max_size=3)), max_size=5))
def test_any_history_reads_back_complete(tmp_path_factory, history):
    path = tmp_path_factory.mktemp("runs") / "sample-run"
    path.mkdir()
    said = set()
    for replica, events in history:
        say(FeedbackLog(path, replica=replica), *events)
        said |= {one.id for one in events}
    assert set(ids(FeedbackLog(path))) == said
