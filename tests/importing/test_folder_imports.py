"""What the page does with folders: it looks before it takes, goes on watching, and stops when it is told to."""

import time

import pytest

from stablenew import RunStore
from stablenew.errors import ConfigError, WatchedElsewhere
from stablenew.importing import folder_imports
from stablenew.importing.folder_imports import FolderImports, read_folder
from stablenew.importing.import_preview import MOST_LOOKED_AT, preview_import
from stablenew.importing.importer import KNOWN, NO_DATA, Importer
from stablenew.store.source_roots import SourceRoots
from stablenew.store.sources.watch_lock import WatchLock
from tests.importing.images import fill, make_png

ignore = lambda *_: None  # noqa: E731


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def count_images(store):
    return sum(run.metadata.record_count or len(list(run.iter_records())) for run in store.iter_runs())


def test_a_preview_counts_by_tool_and_writes_nothing(tmp_path):
    outputs = tmp_path / "outputs"
    fill(outputs, 3)
    (outputs / "plain.png").write_bytes(make_png(50, text=""))
    (outputs / "next.png").write_bytes(make_png(51, text="a lake\nSteps: 5, Seed: 1, Size: 64x48, App: SD.Next"))
    (outputs / "notes.txt").write_text("x")
    store = RunStore(tmp_path / "runs")
    preview = preview_import(Importer(store), outputs)
    assert (preview.found, preview.looked_at, preview.known) == (5, 5, 0)
    assert preview.tools == {"A1111": 3, "SD.Next": 1}
    assert preview.not_taken == {NO_DATA: 1}
    assert preview.left_out == {"other files": 1}
    assert preview.size_bytes == sum(path.stat().st_size for path in outputs.glob("*.png"))
    assert preview.oldest <= preview.newest
    assert not store.root.exists()
    assert SourceRoots(store.root).list() == []


@pytest.mark.heavy
def test_a_preview_says_what_the_import_then_does(store, tmp_path):
    fill(tmp_path / "outputs", 30)
    (tmp_path / "outputs" / "plain.png").write_bytes(make_png(90, text=""))
    preview = preview_import(Importer(store), tmp_path / "outputs")
    report = Importer(store).run(tmp_path / "outputs")
    assert preview.tools == report.tools
    assert preview.not_taken == report.left_out
    fill(tmp_path / "outputs", 2, first=200)
    again = preview_import(Importer(store), tmp_path / "outputs")
    assert (again.known, again.tools) == (31, {"A1111": 2})


def test_a_preview_of_very_many_files_reads_some_from_all_times(store, tmp_path, monkeypatch):
    monkeypatch.setattr("stablenew.importing.import_preview.MOST_LOOKED_AT", 10)
    assert MOST_LOOKED_AT > 10
    fill(tmp_path / "outputs", 40)
    steps = []
    preview = preview_import(Importer(store), tmp_path / "outputs", lambda *step: steps.append(step))
    assert (preview.found, preview.looked_at, sum(preview.tools.values())) == (40, 10, 10)
    assert steps[-1] == (10, 10)


def test_a_watch_goes_on_after_a_restart_until_it_is_ended(store, tmp_path):
    fill(tmp_path / "outputs", 2)
    imports = FolderImports(store)
    (report,) = imports.run([str(tmp_path / "outputs")], ignore, is_watched=True)
    assert report.imported == 2
    imports.stop()

    later = FolderImports(store)
    later.resume()
    fill(tmp_path / "outputs", 1, first=7)
    wait_for(lambda: count_images(store) == 3)
    (source,) = later.describe_sources()
    assert source == {**source, "is_there": True, "is_watched": True, "problem": None}
    later.unwatch(source["id"])
    assert not SourceRoots(store.root).list()[0].is_watched
    later.stop()


def test_a_folder_that_another_process_watches_is_watched_when_that_one_ends(store, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_imports, "_AGAIN_SECONDS", 0.05)
    fill(tmp_path / "outputs", 1)
    imports = FolderImports(store)
    imports.run([str(tmp_path / "outputs")], ignore)
    (root,) = SourceRoots(store.root).list()
    other = WatchLock(store.root, tmp_path / "outputs" / "today", "another watcher")
    other.acquire()
    imports.watch(root.id)
    wait_for(lambda: "by another watcher (process " in (imports.describe_sources()[0]["problem"] or ""))
    other.release()
    wait_for(lambda: imports.describe_sources()[0]["problem"] is None)
    fill(tmp_path / "outputs", 1, first=7)
    wait_for(lambda: count_images(store) == 2)
    with pytest.raises(WatchedElsewhere, match="by the page"):
        other.acquire()
    imports.stop()


def test_a_folder_that_is_moved_stays_watched(store, tmp_path):
    fill(tmp_path / "outputs", 1)
    imports = FolderImports(store)
    imports.run([str(tmp_path / "outputs")], ignore, is_watched=True)
    imports.stop()
    (tmp_path / "outputs").rename(tmp_path / "elsewhere")
    (root,) = SourceRoots(store.root).list()
    assert SourceRoots(store.root).move(root.id, tmp_path / "elsewhere").is_watched


def test_of_several_folders_none_is_taken_when_one_is_wrong(store, tmp_path):
    fill(tmp_path / "outputs", 2)
    with pytest.raises(ConfigError, match="no folder"):
        FolderImports(store).run([str(tmp_path / "outputs"), str(tmp_path / "nowhere")], ignore)
    assert count_images(store) == 0


@pytest.mark.heavy
def test_an_import_that_is_stopped_goes_on_where_it_was(store, tmp_path):
    class Stopped(Exception):
        pass

    def stop(done, _total):
        if done >= 40:
            raise Stopped

    fill(tmp_path / "outputs", 200)
    imports = FolderImports(store)
    with pytest.raises(Stopped):
        imports.run([str(tmp_path / "outputs")], stop)
    taken = count_images(store)
    assert 0 < taken < 200
    (report,) = imports.run([str(tmp_path / "outputs")], ignore)
    assert (report.imported, report.left_out[KNOWN]) == (200 - taken, taken)


@pytest.mark.parametrize("text", ["", "  ", "outputs", "./outputs", "/no/such/folder", "/", "~nobody-of-this-name/x"])
def test_what_is_no_folder_is_refused_with_a_reason(text):
    with pytest.raises(ConfigError):
        read_folder(text)


def test_a_path_may_be_quoted_and_begin_with_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my outputs").mkdir()
    assert read_folder(' "~/my outputs" ') == tmp_path / "my outputs"
