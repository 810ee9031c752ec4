import json
import subprocess
import sys
import textwrap

import pytest

from stablenew.disk.atomic_file import is_temporary, temporary_name
from stablenew.errors import RunLocked
from stablenew.store.local_state import (
    cache_folder,
    forget_thumbnails,
    host_id,
    is_this_machine,
    journal_path,
    known_replica_id,
    replica_id,
    state_folder,
    store_key,
    thumbnail_folder,
    thumbnail_path,
)
from stablenew.store.run_folder import feedback_log_name, is_feedback, is_feedback_log, is_sync_leftover
from stablenew.store.run_lock import RunLock


def test_this_machine_keeps_its_identity():
    assert replica_id() == replica_id()


def test_a_cloned_machine_gets_a_new_identity():
    before = replica_id()
    path = state_folder() / "machine.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "of another machine"}))
    assert replica_id() != before


@pytest.mark.parametrize("junk", ["", "[]", "{}", '{"fingerprint": 1}', "\x00"])
def test_a_damaged_identity_is_made_again(junk):
    replica_id()
    (state_folder() / "machine.json").write_text(junk)
    assert replica_id() == replica_id()


def test_looking_writes_nothing():
    assert host_id() == host_id()
    state_folder()
    assert not state_folder().exists()


def test_two_users_of_one_machine_write_logs_of_their_own(monkeypatch, tmp_path):
    first = replica_id()
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "another-user"))
    assert replica_id() != first


def test_a_store_has_one_key_however_it_is_reached(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    assert store_key(tmp_path / "runs") == store_key(tmp_path / "link") == store_key(tmp_path / "x" / ".." / "runs")


def test_a_lock_is_free_as_soon_as_its_process_is_killed(tmp_path):
    script = """
        import sys, time
        from pathlib import Path
        from stablenew.store.run_lock import RunLock
        lock = RunLock(Path(sys.argv[1]), "a")
        lock.acquire()
        print("held", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert RunLock(tmp_path, "a").is_held()
        with pytest.raises(RunLocked):
            RunLock(tmp_path, "a").acquire()
        holder.kill()
        holder.wait()
    assert not RunLock(tmp_path, "a").is_held()


@pytest.mark.parametrize(
    "name",
    [
        ".syncthing.feedback.json.tmp",
        "~syncthing~a.tmp",
        "feedback.sync-conflict-20261121-081203-MFDHANR.json",
        ".img0.png.DZ6HJu",
        "a.png.partial",
        "feedback (alice's conflicted copy 2026-11-21).json",
        "feedback.json.conflict1",
        "feedback.json..path2",
        ".unison.run.abc.unison.tmp",
        ".DS_Store",
    ],
)
def test_names_of_sync_tools_are_known(name):
    assert is_sync_leftover(name)


@pytest.mark.parametrize(
    "name", ["run_metadata.json", "records.jsonl", "0000-txt2img-0.3f9a1c2b4d5e.png", "SHA256SUMS"]
)
def test_our_own_names_are_taken_for_nothing_else(name):
    assert not is_sync_leftover(name)
    assert not is_feedback(name)
    assert is_temporary(temporary_name(name, "0a1b2c3d"))
    assert not is_temporary(name)


@pytest.mark.parametrize(
    "junk",
    ['{"fingerprint": []}', '{"fingerprint": {}}', "null", "5", '"text"', '{"replica": 5}', '{"replica": ""}',
     '{"replica": "../x"}', '{"replica": "a b"}', '{"replica": "A"}', '{"replica": "a-"}'],
)  # fmt: skip
def test_an_identity_that_could_name_no_log_is_made_again(junk):
    replica_id()
    path = state_folder() / "machine.json"
    known = json.loads(path.read_text())
    changed = json.loads(junk)
    path.write_text(json.dumps(known | changed) if isinstance(changed, dict) else junk)
    assert known_replica_id() is None
    assert is_feedback_log(feedback_log_name(replica_id()))
    assert known_replica_id() == replica_id()


def test_whoever_never_wrote_a_log_has_no_name_for_one():
    assert known_replica_id() is None
    assert not state_folder().exists()


def test_a_machine_is_known_by_its_fingerprint_whatever_its_name_was():
    fingerprint = host_id().rpartition("-")[2]
    assert is_this_machine(host_id())
    assert is_this_machine(f"another-name-{fingerprint}")
    for host in ("", "desk", f"desk-{fingerprint[:-1]}", f"desk-{fingerprint}0", "desk-00000000"):
        assert not is_this_machine(host)


def test_the_cache_is_inside_the_state_where_that_was_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "chosen"))
    assert (state_folder(), cache_folder()) == (tmp_path / "chosen", tmp_path / "chosen" / "cache")
    assert thumbnail_folder().is_relative_to(cache_folder())


def test_every_size_of_a_thumbnail_is_forgotten_and_no_other_image_s():
    digests = ["xxh128:" + "ab" * 16, "xxh128:" + "ab" * 15 + "ac"]
    paths = [thumbnail_path(thumbnail_folder(), digest, size) for digest in digests for size in (256, 1024)]
    assert len({path.parent for path in paths}) == 1
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        path.write_bytes(b"webp")
    forget_thumbnails(digests[0])
    assert [path.exists() for path in paths] == [False, False, True, True]
    forget_thumbnails("xxh128:" + "00" * 16)


def test_a_journal_lies_apart_for_each_store_machine_and_run(tmp_path):
    runs = [tmp_path / store / run for store in ("a", "b") for run in ("one", "two")]
    paths = {journal_path(run, replica) for run in runs for replica in ("r1", "r2")}
    assert len(paths) == 8
    assert all(path.is_relative_to(state_folder()) and path.suffix == ".jsonl" for path in paths)
