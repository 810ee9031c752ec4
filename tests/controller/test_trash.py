"""Emptying the trash frees this machine of what its owner trashed, and nothing else anywhere."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew.controller.light_table.trash import TrashCan, parse_age
from stablenew.errors import ConfigError
from stablenew.formats.clock import Clock
from stablenew.store.local_state import thumbnail_folder, thumbnail_path
from stablenew.store.upkeep.store_merge import merge_stores
from tests.controller.light_table_stores import Machine, add_images
from tests.samples import metadata, write_variant


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path / "runs")
    machine.digests = add_images(machine.store, "first", *[{"seed": seed} for seed in range(4)])
    machine.others = add_images(machine.store, "second", *[{"seed": seed} for seed in range(2)])
    machine.refresh()
    yield machine
    machine.history.close()


def test_what_was_trashed_is_listed_and_nothing_is_freed(machine):
    before = machine.files()
    machine.say("first", "1/0", trashed=True)
    (image,) = machine.trash.iter_images()
    assert (image.digest, image.is_own, image.run_ids) == (machine.digests[1], True, ("first",))
    assert image.held_bytes > 0
    assert machine.files() == before
    machine.feedback.undo("first")
    machine.refresh()
    assert list(machine.trash.iter_images()) == []


def test_emptying_removes_the_bytes_and_leaves_everything_else(machine):
    before = machine.files()
    machine.say("first", "1/0", trashed=True)
    machine.say("second", "0/0", trashed=True)
    size = sum(image.held_bytes for image in machine.trash.iter_images())
    report, kept = machine.empty()
    assert (report.removed, report.freed_bytes) == ([machine.others[0], machine.digests[1]], size)
    assert (report.problems, kept) == ([], [])
    gone = before.keys() - machine.files().keys()
    assert len(gone) == 2
    assert machine.files() == {name: data for name, data in before.items() if name not in gone}
    assert machine.problems() == []
    assert {run.state for run in machine.store.iter_runs()} == {"sealed"}
    assert [image.held_bytes for image in machine.trash.iter_images()] == [0, 0]
    assert machine.empty()[0].removed == []
    again, _ = machine.empty()
    assert again.removed == []


def test_emptying_removes_the_thumbnails_of_what_it_removed(machine):
    machine.say("first", "1/0", trashed=True)
    kept, gone = [thumbnail_path(thumbnail_folder(), machine.digests[number], 320) for number in (0, 1)]
    for path in (kept, gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"small")
    machine.empty()
    assert kept.exists()
    assert not gone.exists()


def test_a_record_and_what_people_said_stay(machine):
    machine.say("first", "1/0", rating=2, notes="hands wrong")
    machine.say("first", "1/0", trashed=True)
    machine.empty()
    (row,) = machine.history.find_images("is:trashed").rows
    assert (row["digest"], row["rating"], row["settings"]["seed"]) == (machine.digests[1], 2, 1)
    assert [removal.reason for removal in machine.feedback.state("first").removals] == ["trash emptied"]


def test_undo_never_takes_a_removal_back(machine):
    machine.say("first", "1/0", trashed=True)
    machine.empty()
    (event,) = machine.feedback.undo("first")
    assert event.op == "trash"
    assert machine.feedback.undo("first") == []
    assert len(machine.feedback.state("first").removals) == 1


def test_what_others_like_stays_unless_that_is_said(machine):
    for number in range(4):
        machine.say("first", f"{number}/0", trashed=True)
    machine.say("first", "0/0", flag="pick", rater="alice")
    machine.say("first", "1/0", rating=4, rater="alice")
    machine.say("first", "2/0", rating=3, rater="alice")
    machine.say("first", "3/0", rating=5)
    report, kept = machine.empty()
    assert sorted(report.removed) == sorted(machine.digests[2:])
    assert sorted((image.digest, *image.kept_for) for image in kept) == sorted(
        [(machine.digests[0], "alice picked it"), (machine.digests[1], "alice gave it 4 stars")]
    )
    report, kept = machine.empty(all_raters=True)
    assert (sorted(report.removed), kept) == (sorted(machine.digests[:2]), [])


def test_what_somebody_else_trashed_is_not_removed_here(machine):
    machine.say("first", "0/0", trashed=True, rater="alice")
    (image,) = machine.trash.iter_images()
    assert (image.is_own, image.trashed_by) == (False, ("alice",))
    assert machine.empty()[0].removed == []


def test_what_was_taken_out_again_is_not_removed(machine):
    machine.say("first", "0/0", trashed=True)
    chosen, _ = machine.trash.choose()
    machine.say("first", "0/0", trashed=False)
    report = machine.trash.empty(chosen)
    assert report.removed == []
    assert "changed meanwhile" in report.problems[0]


def test_only_what_was_trashed_long_enough_ago_goes(machine):
    machine.say("first", "0/0", trashed=True)
    assert machine.empty(older="1h")[0].removed == []
    now = datetime.now(UTC)
    later = Clock(now=lambda: now + parse_age("31d"), monotonic=lambda: 0.0)
    trash = TrashCan(machine.store, machine.history, machine.feedback, clock=later)
    assert [image.digest for image in trash.choose(older="30d")[0]] == [machine.digests[0]]
    assert trash.choose(older="32d")[0] == []
    for wrong in ("30", "d", "-3d", "1y", "", "999999d"):
        with pytest.raises(ConfigError):
            trash.choose(older=wrong)


def test_an_image_in_two_runs_goes_from_both(machine):
    shutil.copytree(machine.store.root / "first", machine.store.root.parent / "kept")
    twin = Machine(machine.store.root)
    data = next((machine.store.root / "first" / "outputs").glob("0000-*")).read_bytes()
    writer = machine.store.create(metadata("twin"))
    write_variant(writer, 0, data)
    writer.seal(metadata("twin", status="completed", record_count=1, output_count=1))
    twin.say("twin", "0/0", trashed=True)
    report, _ = twin.empty()
    assert report.removed == [machine.digests[0]]
    assert not list((machine.store.root / "first" / "outputs").glob("0000-*"))
    assert not list((machine.store.root / "twin" / "outputs").glob("*"))
    assert twin.problems() == []
    twin.history.close()


def test_a_run_that_was_just_moved_away_hides_no_image_of_the_trash(machine):
    for run_id in ("first", "second"):
        machine.say(run_id, "0/0", trashed=True)
    shutil.move(machine.store.root / "first", machine.store.root.parent / "elsewhere")
    (image,) = machine.trash.iter_images()  # history has not looked again
    assert image.digest == machine.others[0]
    assert machine.trash.choose()[0] == [image]


def test_bytes_that_are_not_the_recorded_ones_are_left_alone(machine):
    machine.say("first", "0/0", trashed=True)
    (path,) = (machine.store.root / "first" / "outputs").glob("0000-*")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    report, _ = machine.empty()
    assert report.removed == []
    assert "not what was recorded" in report.problems[0]
    assert path.exists()
    assert machine.feedback.state("first").removals is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not stop this user")
def test_a_removal_that_fails_leaves_no_tombstone(machine):
    machine.say("first", "0/0", trashed=True)
    outputs = machine.store.root / "first" / "outputs"
    outputs.chmod(0o555)
    try:
        report, _ = machine.empty()
    finally:
        outputs.chmod(0o755)
    assert "could not be deleted" in report.problems[0]
    assert machine.feedback.state("first").removals is None


def test_two_machines_that_sync_lose_nothing_but_what_each_removed(machine, tmp_path):
    other_root = tmp_path / "other" / "runs"
    shutil.copytree(machine.store.root, other_root)
    other = Machine(other_root, owner="alice")
    full = other.files()
    machine.say("first", "0/0", trashed=True)
    machine.say("first", "1/0", trashed=True)
    machine.feedback.undo("first")
    report, _ = machine.empty()
    assert report.removed == [machine.digests[0]]
    for here, there in ((machine, other), (other, machine), (machine, other)):
        merge_stores(here.store, there.store)
        here.refresh()
    assert machine.problems() == other.problems() == []
    assert other.files() == full
    assert [len(each.feedback.state("first").removals) for each in (machine, other)] == [1, 1]
    assert full.keys() - machine.files().keys() == {
        next(name for name in full if name.startswith("first/outputs/0000-"))
    }
    assert other.empty()[0].removed == []

    (image,) = machine.trash.iter_images()
    machine.trash.restore([image])
    machine.refresh()
    merge_stores(machine.store, other.store)
    machine.refresh()
    assert machine.files() == full
    assert list(machine.trash.iter_images()) == []
    merge_stores(other.store, machine.store)
    assert machine.problems() == other.problems() == []
    other.history.close()


def run_command(root, machine_folder, *arguments):
    environment = os.environ | {
        "STABLENEW_STATE_DIR": str(machine_folder / "state"),
        "STABLENEW_CONFIG_DIR": str(machine_folder / "config"),
        "XDG_DATA_HOME": str(machine_folder / "data"),
        "STABLENEW_RATER": "me",
    }
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.heavy
def test_the_command_asks_and_keeps_its_word(machine, tmp_path):
    def run(*arguments):
        return run_command(machine.store.root, tmp_path / "desk", *arguments)

    run("config", "set", "rater", "me")
    machine.say("first", "0/0", trashed=True)
    assert machine.digests[0][7:19] in run("trash", "list").stdout
    refused = run("trash", "empty")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert list((machine.store.root / "first" / "outputs").glob("0000-*"))
    done = json.loads(run("--json", "trash", "empty", "--yes").stdout)
    assert done["removed"] == [machine.digests[0]]
    assert run("verify").returncode == 0
    assert "removed" in run("trash", "list").stdout
    assert "are not here" in run("trash", "restore", machine.digests[0][7:17]).stdout
    assert "empty" in run("trash", "list").stdout
    assert run("trash", "restore").returncode == 2


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="each system keeps its trash in its own place")
def test_an_image_in_place_goes_to_the_system_s_trash_and_only_as_recorded(tmp_path):
    pictures, root, desk = tmp_path / "pictures", tmp_path / "runs", tmp_path / "desk"
    pictures.mkdir()
    for number in range(3):
        text = PngInfo()
        text.add_text("parameters", f"a harbour\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: {number}, Size: 8x6")
        Image.new("RGB", (8, 6), (number, 9, 9)).save(pictures / f"{number}.png", pnginfo=text)

    def run(*arguments):
        return run_command(root, desk, *arguments)

    run("config", "set", "rater", "me")
    assert run("import", str(pictures)).returncode == 0
    rows = json.loads(run("--json", "images").stdout)
    assert len(rows) == 3
    for row in rows:
        posted = run_command(root, desk, "trash", "add", row["digest"])
        assert posted.returncode == 0, posted.stderr
    changed = pictures / "2.png"
    changed.write_bytes(changed.read_bytes() + b"!")
    done = run("--json", "trash", "empty", "--yes")
    report = json.loads(done.stdout)
    assert len(report["removed"]) == 2
    assert done.returncode == 1
    assert "2.png" in report["problems"][0]
    assert [path.name for path in pictures.iterdir()] == ["2.png"]
    assert sorted(path.name for path in (desk / "data" / "Trash" / "files").iterdir()) == ["0.png", "1.png"]
