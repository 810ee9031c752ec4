"""Ratings on two machines, synced by the real tools people use: nothing is lost and both sides end equal."""

import random
import shutil
import signal
import subprocess
import time

import pytest

from stablenew import RunStore, RunVerifier
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


@needs("rclone")
def test_rclone_copy_loses_nothing(tmp_path):
    left, right = make_sides(tmp_path)

    def sync():
        for a, b in ((left, right), (right, left)):
            command("rclone", "copy", "--update", "--config", "/dev/null", a.store.root, b.store.root)

    work_and_sync(left, right, sync)
    check_converged(left, right)


@needs("rclone")
def test_rclone_bisync_loses_nothing(tmp_path):
    """On a conflict it removes feedback.json and leaves two others; then it asks for a resync, and gets it."""
    left, right = make_sides(tmp_path)
    work = ["--workdir", tmp_path / "work", "--config", "/dev/null", "--force"]
    renamed = []

    def bisync(*options):
        arguments = [str(one) for one in ("rclone", "bisync", left.store.root, right.store.root, *work, *options)]
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


@pytest.mark.parametrize(
    ("slow", "again"),
    [
        pytest.param("rsync -a --inplace --partial --bwlimit=500", "rsync -a -c", marks=needs("rsync")),
        pytest.param(
            "rclone copy --config /dev/null --bwlimit 500k", "rclone copy --config /dev/null", marks=needs("rclone")
        ),
    ],
    ids=["rsync", "rclone"],
)
def test_an_interrupted_copy_leaves_an_incomplete_run_that_the_next_one_completes(tmp_path, slow, again):
    """Killed in the middle, with partial files at their final names: that is no corruption."""
    store, copy = RunStore(tmp_path / "a"), RunStore(tmp_path / "b")
    writer = store.create(metadata())
    rng = random.Random(3)
    for index in range(4):
        write_variant(writer, index, data=png(rng.randbytes(400_000)))
    run = writer.seal(metadata(status="completed", record_count=4, output_count=4))
    places = [f"{store.root}/", f"{copy.root}/"]
    states = set()
    for delay in (0.3, 0.6, 0.9, 1.2):
        with subprocess.Popen([*slow.split(), *places], stderr=subprocess.DEVNULL) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        if (copy.root / "sample-run").is_dir():
            found = copy.open("sample-run")
            states.add(found.state)
            codes = {finding.code for finding in RunVerifier(found).verify().findings}
            assert not codes & {"record-unreadable", "metadata-mismatch"}
    assert states <= {"incomplete", "sealed"}
    assert "incomplete" in states
    command(*again.split(), *places)
    assert copy.open("sample-run").digest == run.digest
    assert RunVerifier(copy.open("sample-run"), deep=True).verify().is_ok
