"""Ratings on two machines, synced by the real tools people use: nothing is lost and both sides end equal."""

import contextlib
import random
import shutil
import signal
import subprocess
import time

import pytest

from stablenew import RunStore, RunVerifier
from tests.rclone import RCLONES
from tests.samples import metadata, png, write_variant
from tests.sync.sides import check_converged, make_sides, work_and_sync
from tests.sync.syncthing import SyncthingPair


def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed")


def command(*arguments):
    done = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@needs("rsync")
@pytest.mark.parametrize("options", ["-au", "-auc", "-au --delay-updates", "-a", "-a --delete"])
def test_rsync_both_ways_loses_nothing(tmp_path, options):
    """Without `-u` it puts older copies back, with `--delete` it removes what the other side does not have yet.

    Then each machine still knows what it said, and one run with `-u` brings all together.
    """
    left, right = make_sides(tmp_path)
    for a, b in ((left, right), (right, left)):
        command("rsync", "-a", f"{a.store.root}/", f"{b.store.root}/")

    def sync(options=options):
        for a, b in ((left, right), (right, left)):
            command("rsync", *options.split(), f"{a.store.root}/", f"{b.store.root}/")

    work_and_sync(left, right, sync, last_sync=lambda: sync("-au"))
    check_converged(left, right)


@pytest.mark.parametrize("rclone", RCLONES)
def test_rclone_copy_loses_nothing(tmp_path, rclone):
    left, right = make_sides(tmp_path)

    def sync():
        for a, b in ((left, right), (right, left)):
            command(rclone, "copy", "--update", "--config", "/dev/null", a.store.root, b.store.root)

    work_and_sync(left, right, sync)
    check_converged(left, right)


@pytest.mark.parametrize("rclone", RCLONES)
def test_rclone_bisync_loses_nothing(tmp_path, rclone):
    """On a conflict it removes feedback.json and leaves two others; an old one then asks for a resync, and gets it."""
    left, right = make_sides(tmp_path)
    work = ["--workdir", tmp_path / "work", "--config", "/dev/null", "--force"]
    renamed = []

    def bisync(*options):
        arguments = [str(one) for one in (rclone, "bisync", left.store.root, right.store.root, *work, *options)]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=120)

    def sync():
        if bisync().returncode != 0:
            done = bisync("--resync")
            assert done.returncode == 0, done.stderr
        renamed.extend(path.name for path in left.store.root.glob("*/feedback.json?*"))

    work_and_sync(left, right, sync)
    check_converged(left, right)
    assert renamed, "no conflict ever happened: the test has lost its point"


@needs("unison")
def test_unison_loses_nothing(tmp_path, monkeypatch):
    left, right = make_sides(tmp_path)
    monkeypatch.setenv("UNISON", str(tmp_path / "unison"))

    def sync():
        done = subprocess.run(
            ["unison", left.store.root, right.store.root, "-batch", "-auto", "-silent", "-copyonconflict"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in {0, 1}, done.stderr  # 1: some files were skipped, the conflicts

    work_and_sync(left, right, sync)
    check_converged(left, right)


def test_a_plain_copy_of_newer_files_loses_nothing(tmp_path):
    left, right = make_sides(tmp_path)

    def sync():
        for a, b in ((left, right), (right, left)):
            command("cp", "-au", f"{a.store.root}/.", b.store.root)

    work_and_sync(left, right, sync)
    check_converged(left, right)


@needs("syncthing")
def test_two_syncthing_nodes_lose_nothing(tmp_path):
    left, right = make_sides(tmp_path)
    with SyncthingPair(tmp_path / "homes", left.store.root, right.store.root) as pair:
        work_and_sync(left, right, pair.sync, rounds=5)
        check_converged(left, right)
    assert pair.conflicts_seen > 0, "no conflict ever happened: the test has lost its point"


def large_run(store, image_bytes):
    """A sealed run of four images."""
    writer = store.create(metadata())
    rng = random.Random(3)
    for index in range(4):
        write_variant(writer, index, data=png(rng.randbytes(image_bytes)))
    return writer.seal(metadata(status="completed", record_count=4, output_count=4))


def state_of_copy(copy):
    """What a reader makes of the run as far as it is there: never something that is not true."""
    if not (copy.root / "sample-run").is_dir():
        return set()
    found = copy.open("sample-run")
    codes = {finding.code for finding in RunVerifier(found).verify().findings}
    assert not codes & {"record-unreadable", "metadata-mismatch"}
    assert found.state in {"incomplete", "sealed"}
    return {found.state}


@needs("rsync")
def test_an_interrupted_rsync_leaves_an_incomplete_run_that_the_next_one_completes(tmp_path):
    """Killed in the middle, with partial files at their final names: that is no corruption."""
    interrupt_and_complete(tmp_path, "rsync -a --inplace --partial --bwlimit=500", "rsync -a -c")


@pytest.mark.parametrize("rclone", RCLONES)
def test_an_interrupted_rclone_leaves_an_incomplete_run_that_the_next_one_completes(tmp_path, rclone):
    """An old one leaves partial files at their final names, a new one under names of its own."""
    copy = f"{rclone} copy --config /dev/null"
    interrupt_and_complete(tmp_path, f"{copy} --bwlimit 500k", copy)


def interrupt_and_complete(tmp_path, slow, again):
    store, copy = RunStore(tmp_path / "a"), RunStore(tmp_path / "b")
    run = large_run(store, 400_000)
    places = [f"{store.root}/", f"{copy.root}/"]
    states = set()
    for delay in (0, 0.3, 0.6, 0.9):
        with subprocess.Popen([*slow.split(), *places], stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: any(copy.root.glob("*/*")) or process.poll() is not None, pause=0.001)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        states |= state_of_copy(copy)
    assert "incomplete" in states
    command(*again.split(), *places)
    assert copy.open("sample-run").digest == run.digest
    assert RunVerifier(copy.open("sample-run"), deep=True).verify().is_ok


@needs("unison")
def test_a_killed_unison_leaves_nothing_that_the_next_one_does_not_complete(tmp_path, monkeypatch):
    monkeypatch.setenv("UNISON", str(tmp_path / "unison"))
    store, copy = RunStore(tmp_path / "a"), RunStore(tmp_path / "b")
    run = large_run(store, 40_000_000)
    copy.root.mkdir()
    unison = ["unison", store.root, copy.root, "-batch", "-auto", "-silent", "-ignorelocks"]
    kills, leftovers = 0, 0

    def is_on_its_way():
        with contextlib.suppress(FileNotFoundError):  # it renames what is being looked at
            return any(copy.root.rglob(".unison*"))

    for delay in (0, 0.1, 0.2, 0.3):
        with subprocess.Popen(unison, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: is_on_its_way() or process.poll() is not None, pause=0.001)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
        leftovers += bool(is_on_its_way())
        assert state_of_copy(copy) <= {"incomplete", "sealed"}
        assert {one.run_id for one in copy.iter_runs()} <= {"sample-run"}
    assert kills
    assert leftovers, "it was never killed in the middle: the test has lost its point"
    command(*unison)
    assert copy.open("sample-run").digest == run.digest
    assert RunVerifier(copy.open("sample-run")).verify().is_ok


@needs("syncthing")
def test_a_killed_syncthing_leaves_an_incomplete_run_that_it_completes_when_it_is_back(tmp_path):
    store, copy = RunStore(tmp_path / "a"), RunStore(tmp_path / "b")
    run = large_run(store, 2_500_000)
    slow = "<maxRecvKbps>1000</maxRecvKbps><limitBandwidthInLan>true</limitBandwidthInLan>"
    states = []

    def is_on_its_way():
        return any(copy.root.rglob(".syncthing.*.tmp"))

    with SyncthingPair(tmp_path / "homes", store.root, copy.root, slow) as pair:
        left, right = pair.nodes
        left.ask("/rest/db/scan?folder=runs", "POST")
        for _ in range(3):
            wait_for(lambda: is_on_its_way() or state_of_copy(copy) == {"sealed"})
            if not is_on_its_way():
                break
            right.stop()
            states += state_of_copy(copy)
            right.start(left)
            pair.wait_until_connected()
        assert "incomplete" in states, "it was never killed in the middle: the test has lost its point"
        pair.sync()
    assert copy.open("sample-run").digest == run.digest
    assert RunVerifier(copy.open("sample-run"), deep=True).verify().is_ok
    assert [one.run_id for one in copy.iter_runs()] == ["sample-run"]


def wait_for(condition, seconds=60, pause=0.02):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(pause)
