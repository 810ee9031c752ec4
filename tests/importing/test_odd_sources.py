"""Odd names, odd times, files that change and imports that meet: no file costs another its place in the store."""

import os
import subprocess
import sys

import pytest

from stablenew import RunStore, RunVerifier
from stablenew.importing import imported_run
from stablenew.importing.importer import KNOWN, UNREADABLE, Importer
from stablenew.store.output_access import open_output
from tests.importing.images import fill, make_png

NAMES = [
    b"a\nb.png",
    b"a\tb.png",
    b"\x01\x7f\x1f.png",
    b"\xff\xfe.png",
    b"a:b.png",
    b"z\\y.png",
    b"trailing .png",
    b"-o.png",
]
posix_only = pytest.mark.skipif(os.name != "posix", reason="other systems refuse such names")


def outputs_of(store):
    return [(run, output) for run in store.iter_runs() for _, output in run.iter_outputs()]


def check_sound(store):
    for run in store.iter_runs():
        assert [found for found in RunVerifier(run, deep=True).verify().findings if found.severity != "info"] == []


@posix_only
@pytest.mark.parametrize("is_copied", [False, True])
def test_every_name_that_a_file_system_has_is_taken_in_and_found_again(store, tmp_path, is_copied):
    folder = tmp_path / "images"
    (folder / "in\r\nside").mkdir(parents=True)
    bytes_by_path = {folder / os.fsdecode(name): make_png(number) for number, name in enumerate(NAMES)}
    bytes_by_path[folder / "in\r\nside" / "plain.png"] = make_png(99)
    for path, data in bytes_by_path.items():
        path.write_bytes(data)
    report = Importer(store, is_copied=is_copied).run(tmp_path / "images")
    assert (report.imported, report.problems) == (len(bytes_by_path), [])
    read = set()
    for run, output in outputs_of(store):
        with open_output(run, output) as file:
            read.add(file.read())
    assert read == set(bytes_by_path.values())
    check_sound(store)
    assert Importer(store).run(tmp_path / "images").left_out == {KNOWN: len(bytes_by_path)}


def test_times_of_any_year_are_taken_as_they_are_or_as_near_as_documents_go(store, tmp_path):
    for path, year in zip(fill(tmp_path / "images", 4), (0, -1_000_000_000, 1 << 33, 1 << 36), strict=True):
        os.utime(path, (year, year))
    assert Importer(store).run(tmp_path / "images").imported == 4
    assert Importer(store).run(tmp_path / "images").left_out == {KNOWN: 4}
    check_sound(store)


@pytest.mark.parametrize("change", ["written again", "deleted", "a folder"])
def test_a_file_that_changes_before_it_is_copied_is_left_out_alone(store, tmp_path, monkeypatch, change):
    paths = fill(tmp_path / "images", 5)
    build = imported_run.ImportedRun.add

    def change_first(run, files):
        paths[2].unlink()
        if change == "written again":
            paths[2].write_bytes(make_png(500))
        elif change == "a folder":
            paths[2].mkdir()
        return build(run, files)

    monkeypatch.setattr(imported_run.ImportedRun, "add", change_first)
    report = Importer(store, is_copied=True).run(tmp_path / "images")
    assert (report.imported, report.left_out[UNREADABLE]) == (4, 1)
    assert [path for path, _ in report.problems] == [paths[2].name]
    check_sound(store)


def test_a_run_of_which_nothing_could_be_copied_leaves_no_trace(store, tmp_path, monkeypatch):
    (path,) = fill(tmp_path / "images", 1)
    build = imported_run.ImportedRun.add

    def delete_first(run, files):
        path.unlink()
        return build(run, files)

    monkeypatch.setattr(imported_run.ImportedRun, "add", delete_first)
    report = Importer(store, is_copied=True).run(tmp_path / "images")
    assert (report.imported, list(store.iter_runs()), report.run_ids) == (0, [], [])


def command_on(runs):
    """How a process of its own is started that works on a store; its command and arguments follow."""
    return [sys.executable, "-m", "stablenew", "--runs-dir", str(runs)]


def test_imports_of_one_folder_at_once_take_every_image_in_once(tmp_path):
    fill(tmp_path / "images", 150)
    command = [*command_on(tmp_path / "runs"), "import", str(tmp_path / "images")]
    imports = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert [importing.communicate(timeout=120) and importing.returncode for importing in imports] == [0, 0, 0]
    digests = [output.digest for _, output in outputs_of(RunStore(tmp_path / "runs"))]
    assert len(digests) == len(set(digests)) == 150
    check_sound(RunStore(tmp_path / "runs"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_no_source_of_stars_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "stars.db")
    fill(tmp_path / "images", 1)
    base = command_on(tmp_path / "runs")
    subprocess.run([*base, "import", str(tmp_path / "images")], check=True, capture_output=True)
    done = subprocess.run(
        [*base, "import-stars", str(tmp_path / "stars.db")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, "not a known source of stars" in done.stderr) == (2, True)


def test_a_dry_run_never_watches(tmp_path):
    fill(tmp_path / "images", 1)
    command = [*command_on(tmp_path / "runs"), "import", "--watch", "--dry-run"]
    done = subprocess.run([*command, str(tmp_path / "images")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, (tmp_path / "runs").exists()) == (2, False)
