import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stablenew import FeedbackManager, JobHistory, RunStore, RunWatcher
from stablenew.index import file_events, run_watcher
from stablenew.index.index_file import delete_index, index_path
from stablenew.index.run_index import RESET, RUN_ADDED, RUN_CHANGED, RUN_REMOVED, RunChange
from tests import samples

PATIENCE = 60

FOLLOWER = """
import sys
from stablenew import RunWatcher
with RunWatcher(sys.argv[1]) as watcher:
    watcher.wait_until_ready()
    print("leading" if watcher.is_leading else "following", flush=True)
    for change in watcher.subscribe():
        print(change.kind, change.run_id, flush=True)
"""


def eventually(holds):
    """Whether `holds()` becomes true in good time."""
    until = time.monotonic() + PATIENCE
    while not (result := holds()):
        if time.monotonic() > until:
            return result
        time.sleep(0.01)
    return result


def hear(subscription, run_id, kind):
    """Wait for one change; what else is heard before it is dropped."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if subscription.get(0.1) == RunChange(kind, run_id):
            return True
    return False


def drain(subscription, count):
    """The next `count` changes."""
    return [subscription.get(PATIENCE) for _ in range(count)]


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / "runs")
    samples.sealed_run(store, "first")
    return store


@pytest.fixture
def history(store):
    history = JobHistory(store.root)
    yield history
    history.close()


def count(history):
    return history.count()


def test_subscribers_hear_what_happens_to_runs(store, history):
    with RunWatcher(store.root) as watcher:
        subscription = watcher.subscribe()
        assert watcher.wait_until_ready(PATIENCE)
        assert watcher.is_leading
        assert watcher.polling_reason is None
        assert drain(subscription, 1) == [RunChange(RESET, "")]
        writer = store.create(samples.metadata("second"))
        assert hear(subscription, "second", RUN_ADDED)
        samples.write_variant(writer)
        writer.seal(samples.metadata("second", status="completed", record_count=1, output_count=1))
        assert hear(subscription, "second", RUN_CHANGED)
        assert eventually(lambda: history.get("second").status == "completed")
        FeedbackManager(store, rater="alice").record_feedback("second", None, 4)
        assert eventually(lambda: history.get("second").rating == 4)
        shutil.rmtree(store.root / "second")
        assert hear(subscription, "second", RUN_REMOVED)
        subscription.close()
    assert not watcher.is_running


def test_a_folder_moved_in_and_one_that_comes_in_parts_are_found(store, history, tmp_path):
    other = RunStore(tmp_path / "other")
    samples.sealed_run(other, "moved")
    samples.sealed_run(other, "in-parts")
    with RunWatcher(store.root) as watcher:
        assert watcher.wait_until_ready(PATIENCE)
        (other.root / "moved").rename(store.root / "moved")
        assert eventually(lambda: history.count("run:moved status:completed"))
        target = store.root / "in-parts"
        (target / "outputs").mkdir(parents=True)
        source = other.root / "in-parts"
        for path in sorted(source.rglob("*.*"), reverse=True):
            shutil.copy2(path, target / path.relative_to(source))
        assert eventually(lambda: history.count("run:in-parts status:incomplete"))
        shutil.copy2(source / "SHA256SUMS", target)
        assert eventually(lambda: history.count("run:in-parts status:completed"))


@pytest.mark.heavy
def test_a_burst_of_folders_is_indexed_whole_and_each_heard_of_once(store, history, tmp_path):
    made = 1000
    script = """
import shutil, sys
source, root, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    shutil.copytree(source, f"{root}/20261110-{number:06d}-000-aaaaaaaaaa")
"""
    with RunWatcher(store.root) as watcher:
        assert watcher.wait_until_ready(PATIENCE)
        subscription = watcher.subscribe()
        command = [sys.executable, "-c", script, str(store.root / "first"), str(store.root), str(made)]
        subprocess.run(command, check=True)
        assert eventually(lambda: history.count() == made + 1)
        samples.sealed_run(store, "last")
        heard = []
        while (change := subscription.get(PATIENCE)) is not None and change != (RUN_ADDED, "last"):
            heard.append(change)
        added = [change.run_id for change in heard if change.kind == RUN_ADDED]
        assert len(added) == len(set(added)) == made
        assert eventually(lambda: history.count("status:completed") == made + 2)


def test_events_that_never_come_are_made_up_for_by_sweeps(store, history, monkeypatch):
    monkeypatch.setattr(file_events.FileEvents, "add", lambda *_: None)
    monkeypatch.setattr(run_watcher, "LAZY_SECONDS", 0.2)
    monkeypatch.setattr(run_watcher, "LAZY_COST_FACTOR", 1)
    with RunWatcher(store.root) as watcher:
        assert watcher.wait_until_ready(PATIENCE)
        shutil.copytree(store.root / "first", store.root / "20261110-000000-000-aaaaaaaaaa")
        assert eventually(lambda: history.count() == 2)


def test_an_overflow_of_the_event_queue_loses_no_run(store, history, caplog):
    limit = Path("/proc/sys/fs/inotify/max_queued_events")
    if not os.access(limit, os.W_OK):
        pytest.skip("the limit of the inotify queue cannot be set here")
    before = limit.read_text()
    limit.write_text("16")
    try:
        with caplog.at_level(logging.CRITICAL), RunWatcher(store.root) as watcher:
            assert watcher.wait_until_ready(PATIENCE)
            for number in range(300):
                (store.root / f"20261110-{number:06d}-000-aaaaaaaaaa").mkdir()
            assert eventually(lambda: history.count() == 301)
    finally:
        limit.write_text(before)


def test_a_store_that_is_deleted_and_made_again_is_watched_again(store, history):
    with RunWatcher(store.root) as watcher:
        assert watcher.wait_until_ready(PATIENCE)
        shutil.rmtree(store.root)
        assert eventually(lambda: history.count() == 0)
        samples.sealed_run(store, "again")
        assert eventually(lambda: history.count("run:again"))
        assert eventually(lambda: watcher.polling_reason is None)


def test_an_index_that_is_deleted_under_a_watcher_comes_back(store, history):
    with RunWatcher(store.root) as watcher:
        subscription = watcher.subscribe()
        assert watcher.wait_until_ready(PATIENCE)
        delete_index(index_path(store.root))
        assert eventually(lambda: index_path(store.root).exists() and history.count() == 1)
        samples.sealed_run(store, "second")
        assert hear(subscription, "second", RUN_ADDED)


def test_a_store_that_is_barred_for_a_while_is_watched_when_it_is_open_again(store, history, monkeypatch, caplog):
    monkeypatch.setattr(run_watcher, "RETRY_SECONDS", 0.1)
    sweep = run_watcher.Reconciler.sweep

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_watcher.Reconciler, "sweep", refuse)
    with RunWatcher(store.root) as watcher:
        assert eventually(lambda: "trying again" in caplog.text)
        monkeypatch.setattr(run_watcher.Reconciler, "sweep", sweep)
        assert watcher.wait_until_ready(PATIENCE)
        assert history.count() == 1


def test_a_watcher_that_is_killed_is_followed_by_another(store, history):
    command = [sys.executable, "-c", FOLLOWER, str(store.root)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "leading\n"
        with RunWatcher(store.root) as watcher:
            subscription = watcher.subscribe()
            assert watcher.wait_until_ready(PATIENCE)
            assert not watcher.is_leading
            samples.sealed_run(store, "second")
            assert hear(subscription, "second", RUN_ADDED)
            assert first.stdout.readline() == "run_added second\n"
            first.kill()
            first.wait()
            samples.sealed_run(store, "third")
            assert hear(subscription, "third", RUN_ADDED)
            assert eventually(lambda: watcher.is_leading)
            assert history.count() == 3
    finally:
        first.kill()
        first.communicate()


def test_a_clock_that_jumps_makes_it_look_again(store, monkeypatch):
    leader = run_watcher._Leader.__new__(run_watcher._Leader)
    leader._wall, leader._monotonic = time.time(), time.monotonic()
    assert not leader._has_clock_jumped()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() - 3600)
    assert leader._has_clock_jumped()
    assert not leader._has_clock_jumped()


def test_without_watches_it_polls_and_says_why(store, history, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("watchdog.observers.api.BaseObserver.start", refuse)
    monkeypatch.setattr(run_watcher, "QUIET_SECONDS", 0.1)
    with RunWatcher(store.root) as watcher:
        assert watcher.wait_until_ready(PATIENCE)
        assert "no more watches" in watcher.polling_reason
        shutil.copytree(store.root / "first", store.root / "20261110-000000-000-aaaaaaaaaa")
        assert eventually(lambda: history.count() == 2)


def test_on_a_network_share_it_polls_and_says_why(store, history, monkeypatch):
    monkeypatch.setattr(file_events, "network_share_type", lambda _: "nfs4")
    with RunWatcher(store.root) as watcher:
        assert watcher.wait_until_ready(PATIENCE)
        assert "nfs4" in watcher.polling_reason


def test_who_stops_listening_is_told_that_something_was_missed(store):
    watcher = RunWatcher(store.root)
    subscription = watcher.subscribe()
    for number in range(run_watcher.MOST_CHANGES + 1):
        subscription.put(RunChange(RUN_ADDED, str(number)))
    assert subscription.get(0) == RunChange(RESET, "")
    assert subscription.get(0) is None
