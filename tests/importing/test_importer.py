"""Folders that people already have become runs, in place, and no file of theirs changes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from stablenew import FeedbackManager, RunStore, RunVerifier
from stablenew.errors import ConfigError
from stablenew.importing.importer import KNOWN, NO_DATA, PACKED, Importer
from stablenew.importing.undo import list_imports, undo_import
from stablenew.store.source_roots import SourceRoots
from tests.image_metadata.files import box, exif_with_comment, make_jxl, stored_brotli
from tests.importing.images import INFOTEXT, fill, make_png


def records_of(store):
    return [record for run in store.iter_runs() for record in run.iter_records()]


def snapshot(folder):
    """Bytes, times and modes of every file."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_image_in_place_is_recorded_as_it_says_it_was_made(store, tmp_path):
    (path,) = fill(tmp_path / "outputs", 1, first=7)
    report = Importer(store).run(tmp_path / "outputs")
    assert (report.imported, report.tools) == (1, {"A1111": 1})
    (record,) = records_of(store)
    assert record.prompt.positive == "a quiet harbour at dawn"
    assert record.prompt.negative == "fog"
    assert (record.actual.steps, record.actual.sampler, record.actual.scheduler) == (20, "Euler a", "Karras")
    assert (record.actual.model, record.actual.seed) == ("dreamshaper_8", 7)
    (output,) = record.outputs
    assert output.path is None
    assert output.origin.path == path.name
    assert output.size_bytes == path.stat().st_size
    assert record.reconstructed.tool == "A1111"
    assert "Steps: 20" in str(record.reconstructed.raw)
    assert record.finished_at == output.origin.modified_at


def test_nothing_of_the_source_changes(store, tmp_path):
    fill(tmp_path / "outputs", 5)
    before = snapshot(tmp_path / "outputs")
    for options in ({}, {"is_copied": True}):
        Importer(RunStore(tmp_path / f"runs{len(options)}"), **options).run(tmp_path / "outputs")
    assert snapshot(tmp_path / "outputs") == before


def test_a_second_import_finds_nothing_new_and_a_new_file_is_taken(store, tmp_path):
    fill(tmp_path / "outputs", 20)
    assert Importer(store).run(tmp_path / "outputs").imported == 20
    again = Importer(store).run(tmp_path / "outputs")
    assert (again.imported, again.read, again.left_out[KNOWN]) == (0, 0, 20)
    fill(tmp_path / "outputs", 1, first=20)
    assert Importer(store).run(tmp_path / "outputs").imported == 1
    assert len(records_of(store)) == 21


@pytest.mark.heavy
def test_without_its_cache_an_import_reads_again_and_takes_nothing_twice(store, tmp_path):
    fill(tmp_path / "outputs", 20)
    Importer(store).run(tmp_path / "outputs")
    for path in (tmp_path.parent).rglob("imports/*.sqlite*"):
        path.unlink()
    import shutil

    shutil.rmtree(os.environ["STABLENEW_STATE_DIR"] + "/cache", ignore_errors=True)
    again = Importer(store).run(tmp_path / "outputs")
    assert (again.imported, again.read) == (0, 20)


def test_a_moved_file_is_no_new_image(store, tmp_path):
    (path, *_) = fill(tmp_path / "outputs", 3)
    Importer(store).run(tmp_path / "outputs")
    path.rename(tmp_path / "outputs" / "other name.png")
    assert Importer(store).run(tmp_path / "outputs").imported == 0


@pytest.mark.heavy
def test_runs_hold_at_most_a_hundred_images_and_are_sealed(store, tmp_path):
    fill(tmp_path / "outputs", 230)
    Importer(store).run(tmp_path / "outputs")
    counts = sorted(len(list(run.iter_records())) for run in store.iter_runs())
    assert counts == [14, 16, 100, 100]
    for run in store.iter_runs():
        assert run.state == "sealed"
        assert RunVerifier(run, deep=True).verify().findings == ()


def test_a_run_holds_the_images_of_one_tool(store, tmp_path):
    fill(tmp_path / "outputs", 3)
    for number in range(2):
        text = f"a lake\nSteps: 5, Seed: {number}, Size: 64x48, App: SD.Next, Model: tiny, Sampler: Euler a"
        (tmp_path / "outputs" / f"next-{number}.png").write_bytes(make_png(number + 50, text=text))
    report = Importer(store).run(tmp_path / "outputs")
    assert report.tools == {"A1111": 3, "SD.Next": 2}
    assert {run.metadata.source.engine for run in store.iter_runs()} == {"a1111", "sd-next"}


def test_the_newest_images_come_first(store, tmp_path):
    for number, path in enumerate(fill(tmp_path / "outputs", 30)):
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    Importer(store).run(tmp_path / "outputs")
    first = min(store.iter_runs(), key=lambda run: run.run_id)
    assert sorted(record.actual.seed for record in first.iter_records()) == list(range(14, 30))


def test_what_is_left_out_is_counted_with_its_reason(store, tmp_path):
    outputs = tmp_path / "outputs"
    fill(outputs, 2)
    (outputs / "plain.png").write_bytes(make_png(200, text=""))
    (outputs / "copy.png").write_bytes((outputs / "00001-1.png").read_bytes())
    (outputs / "notes.docx").write_bytes(b"x")
    (outputs / "empty.png").write_bytes(b"")
    (outputs / "half.png.part").write_bytes(b"x")
    (outputs / ".hidden").mkdir()
    (outputs / "thumbnails").mkdir()
    (outputs / "link.png").symlink_to(outputs / "00001-1.png")
    RunStore(outputs / "runs").prepare()
    report = Importer(store).run(outputs)
    assert report.imported == 2
    assert report.left_out == {
        NO_DATA: 1, KNOWN: 1, "other files": 1, "empty files": 1, "files still being written": 1, "hidden": 1,
        "folders of thumbnails and caches": 1, "links": 1, "stores of StableNew": 1,
    }  # fmt: skip
    assert Importer(store, takes_all=True).run(outputs).imported == 1, "the one that says nothing"


def test_a_file_that_cannot_be_read_hides_no_other(store, tmp_path):
    outputs = tmp_path / "outputs"
    fill(outputs, 3)
    (outputs / "broken.png").write_bytes(make_png(9)[:20])
    (outputs / "noise.webp").write_bytes(bytes(range(256)) * 20)
    report = Importer(store).run(outputs)
    assert report.imported == 3
    assert sum(report.left_out.values()) == 2


def test_long_metadata_is_a_file_of_the_run_once_for_all_that_share_it(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    long = {"workflow": "x" * 10_000}
    for number in range(3):
        (outputs / f"{number}.png").write_bytes(make_png(5, extra=long) + bytes([number]))
    Importer(store).run(outputs)
    (run,) = store.iter_runs()
    paths = {record.reconstructed.raw_path for record in run.iter_records()}
    assert len(paths) == 1
    assert "x" * 10_000 in (run.path / paths.pop()).read_text()
    assert RunVerifier(run, deep=True).verify().findings == ()


@pytest.mark.skipif(sys.platform == "win32" or sys.platform == "darwin", reason="file names there are Unicode")
def test_a_name_that_is_not_utf8_is_found_again(store, tmp_path):
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / os.fsdecode(b"caf\xe9.png")).write_bytes(make_png(3))
    (outputs / "caf\u0065\u0301.png").write_bytes(make_png(4))
    Importer(store).run(outputs)
    (run,) = store.iter_runs()
    origins = [record.outputs[0].origin for record in run.iter_records()]
    assert {origin.path_bytes is not None for origin in origins} == {True, False}
    assert RunVerifier(run, deep=True).verify().findings == ()


def test_copied_images_are_in_the_run(store, tmp_path):
    (path,) = fill(tmp_path / "outputs", 1)
    Importer(store, is_copied=True).run(tmp_path / "outputs")
    ((record,),) = [list(run.iter_records()) for run in store.iter_runs()]
    (run,) = store.iter_runs()
    assert (run.path / record.outputs[0].path).read_bytes() == path.read_bytes()
    assert RunVerifier(run, deep=True).verify().findings == ()


def test_a_dry_run_writes_nothing(tmp_path):
    fill(tmp_path / "outputs", 3)
    report = Importer(RunStore(tmp_path / "runs"), is_dry_run=True).run(tmp_path / "outputs")
    assert (report.imported, report.run_ids) == (3, [])
    assert not (tmp_path / "runs").exists()
    assert SourceRoots(tmp_path / "runs").list() == []


def test_the_store_itself_is_no_source(store, tmp_path):
    store.prepare()
    with pytest.raises(ConfigError, match="lies in the store"):
        Importer(store).run(store.root)
    with pytest.raises(ConfigError, match="expected a folder"):
        Importer(store).run(tmp_path / "nowhere")


def test_an_import_is_taken_out_again_but_not_what_was_rated(store, tmp_path):
    fill(tmp_path / "outputs", 20)
    report = Importer(store).run(tmp_path / "outputs")
    run = next(iter(store.iter_runs()))
    image = next(iter(run.iter_records())).outputs[0].digest
    FeedbackManager(store).record_feedback(run.run_id, image, 5)
    undone = undo_import(store, report.import_id)
    assert undone.kept == [run.run_id]
    assert [left.run_id for left in store.iter_runs()] == [run.run_id]
    assert list_imports(store) == {report.import_id: len(list(run.iter_records()))}
    assert Importer(store).run(tmp_path / "outputs").imported == 20 - len(list(run.iter_records()))


@pytest.mark.heavy
def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path):
    fill(tmp_path / "outputs", 300)
    store = RunStore(tmp_path / "runs")
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(store.root), "import", str(tmp_path / "outputs")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if store.root.exists() and any(run.is_sealed for run in store.iter_runs()):
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    seeds = [record.actual.seed for run in store.iter_runs() if run.is_sealed for record in run.iter_records()]
    assert sorted(seeds) == list(range(300))


def test_what_lacks_a_package_to_be_read_is_counted_as_that_and_looked_at_again(store, tmp_path, monkeypatch):
    packed = box(b"brob", b"Exif" + stored_brotli(bytes(4) + exif_with_comment(INFOTEXT.format(seed=1, steps=20))))
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "packed.jxl").write_bytes(make_jxl(packed))
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert Importer(store).run(tmp_path / "outputs").left_out == {PACKED: 1}
    monkeypatch.undo()
    pytest.importorskip("brotli", "1.2")
    assert Importer(store).run(tmp_path / "outputs").imported == 1
