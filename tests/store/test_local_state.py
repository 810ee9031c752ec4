import json
import subprocess
import sys
import textwrap

import pytest

from stablenew.disk.atomic_file import is_temporary, temporary_name
from stablenew.errors import RunLocked
from stablenew.store.local_state import host_id, replica_id, state_folder, store_key
from stablenew.store.run_folder import is_feedback, is_sync_leftover
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
