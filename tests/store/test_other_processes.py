"""Another process, folder, home or host name: nothing acknowledged is lost, and no run is disowned."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing import get_context

import pytest

from stablenew import FeedbackManager, RunRecorder, RunStore, RunVerifier
from stablenew.errors import RunLocked, RunSealed
from stablenew.store import local_state
from stablenew.store.local_state import cache_folder, state_folder
from stablenew.store.run_lock import RunLock
from stablenew.store.upkeep.run_repair import repair_run
from tests.samples import metadata, png, record, sealed_run, write_variant

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
needs_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")


def in_child(act, seconds=0):
    """Whether `act` returned something true in a forked child. With `seconds`, it must have ended by then."""
    child = os.fork()
    if child == 0:
        answer = False
        signal.alarm(seconds)
        try:
            answer = bool(act())
        finally:
            os._exit(0 if answer else 3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 3}, f"the child was ended by signal {-code}"
    return code == 0


@needs_fork
def test_a_forked_child_records_nothing_into_its_parents_run(tmp_path):
    with RunRecorder(tmp_path / "runs") as recorder:
        recorder.record_variant(prompt="parent", images=[png(b"1")])
        assert not in_child(lambda: recorder.record_variant(prompt="child", images=[png(b"2")]))
        recorder.record_variant(prompt="parent again", images=[png(b"3")])
    assert recorder.failure is None
    run = RunStore(tmp_path / "runs").open(recorder.run_id)
    assert [line.prompt.positive for line in run.iter_records()] == ["parent", "parent again"]
    assert RunVerifier(run).verify().findings == ()


@needs_fork
def test_a_forked_child_cannot_seal_its_parents_run(tmp_path):
    with RunRecorder(tmp_path / "runs") as recorder:
        recorder.record_variant(prompt="before", images=[png(b"1")])
        in_child(recorder.finish)
        assert not recorder.run.is_sealed
        assert recorder.record_variant(prompt="after", images=[png(b"2")]) is not None
    assert recorder.run.metadata.record_count == 2
    assert RunVerifier(recorder.run).verify().findings == ()


@needs_fork
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_records_does_not_wait_for_ever(tmp_path):
    with RunRecorder(tmp_path / "runs") as recorder:
        is_done = threading.Event()

        def record_on():
            while not is_done.is_set():
                recorder.record_variant(prompt="a thread", images=[png()])

        thread = threading.Thread(target=record_on)
        thread.start()
        try:
            for _ in range(10):
                time.sleep(0.02)
                assert not in_child(lambda: recorder.record_variant(prompt="child", images=[png(b"2")]), seconds=20)
        finally:
            is_done.set()
            thread.join()
    assert {line.prompt.positive for line in recorder.run.iter_records()} == {"a thread"}
    assert RunVerifier(recorder.run).verify().findings == ()


def draw(number):
    return RECORDER.record_variant(prompt=f"{number}", images=[png(b"%d" % number)]) is not None


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_pool_of_forked_workers_acknowledges_only_what_is_kept(tmp_path):
    global RECORDER  # as a program does that forks workers
    with RunRecorder(tmp_path / "runs") as RECORDER, get_context("fork").Pool(2) as pool:
        acknowledged = pool.map(draw, range(6))
    run = RunStore(tmp_path / "runs").open(RECORDER.run_id)
    assert len(list(run.iter_records())) == sum(acknowledged)
    assert RunVerifier(run).verify().findings == ()


@needs_fork
def test_the_refusal_names_the_process_that_writes(store):
    writer = store.create(metadata())

    def refused():
        for act in (lambda: writer.append_record(record()), lambda: writer.seal(metadata(status="completed"))):
            with pytest.raises(RunLocked, match=f"written by process {os.getppid()}"):
                act()
        return True

    assert in_child(refused)
    writer.abandon()


def test_a_run_that_somebody_else_sealed_takes_no_more(store):
    writer = store.create(metadata())
    write_variant(writer)
    (writer.path / "SHA256SUMS").write_bytes(b"")
    for act in (lambda: writer.append_record(record()), lambda: writer.seal(metadata(status="completed"))):
        with pytest.raises(RunSealed, match="sealed by another process"):
            act()
    writer.abandon()


def test_a_store_stays_where_it_is_when_the_program_moves(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = RunStore("runs")
    manager = FeedbackManager("runs")
    with RunRecorder("runs") as recorder:
        recorder.record_variant(prompt="a", images=[png(b"1")])
        os.chdir("elsewhere")
        assert recorder.record_variant(prompt="b", images=[png(b"2")]) is not None
    manager.record_feedback(recorder.run_id, "1/0", 5)
    assert recorder.failure is None
    assert RunVerifier(store.open(recorder.run_id)).verify().findings == ()
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.heavy
@needs_root
@pytest.mark.parametrize("home", [{"HOME": "/"}, {"HOME": "/nonexistent"}, {}], ids=["root", "missing", "none"])
def test_without_a_writable_home_recording_and_rating_work_and_say_where_the_state_is(tmp_path, home):
    """A container's user with no entry in the table of users and no home of his own."""
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    (tmp_path / "runs").mkdir(mode=0o777)
    (tmp_path / "runs").chmod(0o777)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary").chmod(0o1777)
    script = f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        os.environ["STABLENEW_STATE_DIR"] = {str(tmp_path / "warm-up")!r}
        from stablenew import FeedbackManager, RunRecorder
        from tests.samples import png
        def work(root):
            with RunRecorder(root) as recorder:
                assert recorder.record_variant(prompt="x", images=[png()]) is not None, recorder.failure
            FeedbackManager(root).record_feedback(recorder.run_id, "0/0", 4)
        work({str(tmp_path / "first")!r})  # the other user may not read this Python's modules
        import getpass, tempfile, platformdirs
        platformdirs.user_state_dir("x"), platformdirs.user_cache_dir("x")
        del os.environ["STABLENEW_STATE_DIR"]
        os.setgroups([]); os.setgid(4242); os.setuid(4242)
        os.chdir("/")
        work({str(tmp_path / "runs")!r})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "temporary"), **home},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written; locks and caches are kept in" in done.stderr
    assert len(list((tmp_path / "runs").glob("2*/SHA256SUMS"))) == 1
    state = tmp_path / "temporary" / "stablenew-4242"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "machine.json").exists()


@needs_root
def test_a_fallback_that_belongs_to_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.delenv("STABLENEW_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", f"{__file__}/nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    planted = tmp_path / f"stablenew-{os.getuid()}"
    planted.mkdir()
    os.chown(planted, 4242, 4242)
    local_state._usable_folder.cache_clear()
    found = state_folder()
    local_state._usable_folder.cache_clear()
    assert found.parent == tmp_path
    assert found != planted
    assert found.stat().st_mode & 0o077 == 0


def test_the_fallback_is_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("STABLENEW_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", f"{__file__}/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", f"{__file__}/nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    local_state._usable_folder.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert state_folder() == state_folder()
        assert cache_folder() == state_folder() / "cache"
    local_state._usable_folder.cache_clear()
    assert len(caplog.records) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_state_is_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "made" / "state"))
    previous = os.umask(0o022)
    try:
        store = RunStore(tmp_path / "runs")
        sealed_run(store)
        FeedbackManager(store).record_feedback("sample-run", "0/0", 4, notes="private")
    finally:
        os.umask(previous)
    for folder in (tmp_path / "made", *(path for path in (tmp_path / "made").rglob("*") if path.is_dir())):
        assert folder.stat().st_mode & 0o077 == 0, folder


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_state_folder_of_an_older_version_becomes_private(tmp_path, monkeypatch):
    monkeypatch.delenv("STABLENEW_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "stablenew").mkdir(mode=0o755)
    local_state._usable_folder.cache_clear()
    assert state_folder() == tmp_path / "stablenew"
    local_state._usable_folder.cache_clear()
    assert (tmp_path / "stablenew").stat().st_mode & 0o077 == 0


def identity(monkeypatch, *, name="desk", address=0x0019B9AABBCC, machine_id="3d1219c7"):
    """This machine with another name, network address or machine id."""
    for function in ("_host_name", "_fingerprint", "_known_fingerprints", "_hardware_marks"):
        getattr(local_state, function).cache_clear()
    monkeypatch.setattr("platform.node", lambda: name)
    monkeypatch.setattr(local_state, "_network_address", lambda: (f"{address:x}",))
    monkeypatch.setattr(local_state, "_machine_ids", lambda: (machine_id,) if machine_id else ())


@pytest.fixture
def machine(monkeypatch):
    yield lambda **facts: identity(monkeypatch, **facts)
    monkeypatch.undo()
    identity(monkeypatch)
    monkeypatch.undo()
    for function in ("_host_name", "_fingerprint", "_known_fingerprints", "_hardware_marks"):
        getattr(local_state, function).cache_clear()


def killed_run(store):
    """A run whose writer died, as it is on the disk and in the state folder."""
    source = {"name": "StableNew", "host_id": local_state.host_id()}
    writer = store.create(metadata(source=source))
    write_variant(writer)
    writer._lock._file.close()  # what the system does for a process that is killed: the file stays
    return store.open("sample-run")


@pytest.mark.parametrize("facts", [{}, {"machine_id": None}], ids=["machine id", "network address"])
def test_a_changed_host_name_disowns_no_run_and_keeps_the_log(store, machine, facts):
    machine(**facts)
    run = killed_run(store)
    replica = local_state.replica_id()
    machine(name="container-b7", **facts)
    assert run.state == "interrupted"
    assert local_state.replica_id() == replica
    repair_run(run)
    assert store.open("sample-run").state == "sealed"


def test_a_renamed_container_owns_what_its_state_folder_holds_a_lock_of(store, machine, tmp_path, monkeypatch):
    """It has no machine id, and an address that containers on other hosts have too."""
    container = {"address": 0x0242AC110002, "machine_id": None}
    machine(name="b7f3", **container)
    run = killed_run(store)
    machine(name="c9a1", **container)
    assert run.state == "interrupted"
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "state-of-another-container"))
    assert run.state == "incomplete"
    assert not RunLock(store.root, "sample-run").was_acquired_here()


@pytest.mark.parametrize("facts", [{"address": 0x0019B9000000}, {"machine_id": "f00d"}])
def test_a_clone_is_another_machine_even_under_the_same_name(store, machine, facts):
    machine()
    run, replica = killed_run(store), local_state.replica_id()
    machine(**facts)
    assert run.state == "incomplete"
    assert local_state.replica_id() != replica


def test_an_identity_of_version_0_1_still_holds(machine):
    """It was made of the name as well."""
    machine()
    (legacy,) = local_state._known_fingerprints() - {local_state._fingerprint()}
    assert local_state.is_this_machine(f"desk-{legacy[:8]}")
    machine(name="another")
    assert not local_state.is_this_machine(f"desk-{legacy[:8]}")
