"""What a tool saves into a watched folder becomes a record, once, and only when it is whole."""

import contextlib
import functools
import shutil
import threading
import time

from stablenew import RunStore, RunVerifier
from stablenew.importing import folder_watch
from stablenew.importing.folder_watch import FolderWatch
from stablenew.importing.importer import Importer
from stablenew.store.output_access import IN_PLACE, place_of
from tests.importing.images import fill, make_png


@contextlib.contextmanager
def watching(store, folder):
    """A watch in a thread; gives the files it took, in order."""
    taken, stop, failures, is_following = [], threading.Event(), [], threading.Event()

    def run():
        try:
            FolderWatch(Importer(store), folder, lambda read: taken.append(read.file.path)).run(
                stop, lambda _: is_following.set()
            )
        except Exception as error:
            failures.append(error)
            is_following.set()

    thread = threading.Thread(target=run)
    thread.start()
    is_following.wait()
    try:
        yield taken
    finally:
        stop.set()
        thread.join()
    assert not failures


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def outputs_of(store):
    return [(run, output) for run in store.iter_runs() for _, output in run.iter_outputs()]


def seeds_of(store):
    return sorted(record.actual.seed for run in store.iter_runs() for record in run.iter_records())


def test_what_is_there_and_what_comes_is_taken_once(store, tmp_path):
    folder = tmp_path / "outputs"
    fill(folder, 3)
    with watching(store, folder) as taken:
        wait_for(lambda: len(seeds_of(store)) == 3)
        fill(folder / "2026-11-28", 5, first=3)
        wait_for(lambda: len(taken) == 5)
    assert seeds_of(store) == list(range(8))
    for run in store.iter_runs():
        assert RunVerifier(run, deep=True).verify().findings == ()
    assert Importer(store).run(folder).imported == 0


def test_a_file_is_taken_when_it_is_whole_and_not_before(store, tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    data = make_png(5)
    with watching(store, folder) as taken:
        with (folder / "slow.png").open("wb") as file:
            for start in range(0, len(data), 40):
                assert taken == []
                file.write(data[start : start + 40])
                file.flush()
                time.sleep(0.05)
        wait_for(lambda: taken == ["slow.png"])
        (folder / "half.png").write_bytes(make_png(6)[:-20])  # closed, and still not whole
        time.sleep(0.3)
        assert taken == ["slow.png"]
        (folder / "half.png").write_bytes(make_png(6))
        wait_for(lambda: taken == ["slow.png", "half.png"])


def test_a_file_that_is_renamed_into_place_is_taken_under_its_name(store, tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    with watching(store, folder) as taken:
        (folder / "a.png.tmp").write_bytes(make_png(1))
        (folder / "a.png.tmp").rename(folder / "a.png")
        (tmp_path / "b.png").write_bytes(make_png(2))
        shutil.move(tmp_path / "b.png", folder / "b.png")
        wait_for(lambda: sorted(taken) == ["a.png", "b.png"])


def test_a_folder_that_goes_away_and_comes_back_is_watched_again(store, tmp_path):
    folder = tmp_path / "outputs"
    fill(folder, 1)
    with watching(store, folder) as taken:
        wait_for(lambda: len(seeds_of(store)) == 1)
        for number in (1, 2):  # long before the next look through the whole folder
            folder.rename(tmp_path / "away")
            time.sleep(0.7)
            (tmp_path / "away").rename(folder)
            (path,) = fill(folder, 1, first=number)
            wait_for(functools.partial(lambda name: name in taken, path.name), seconds=90)
    assert taken == ["00001-1.png", "00002-2.png"]


def test_a_file_that_moves_between_watched_folders_is_one_image_in_its_new_place(store, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with watching(store, first) as taken, watching(store, second):
        (path,) = fill(first, 1)
        wait_for(lambda: len(taken) == 1)
        path.rename(second / "moved.png")
        wait_for(lambda: {place_of(*pair) for pair in outputs_of(store)} == {IN_PLACE})
    assert len({output.digest for _, output in outputs_of(store)}) == 1


def test_what_no_event_told_of_is_found_at_the_next_look(store, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_watch, "_RESCAN_SECONDS", 0.3)
    monkeypatch.setattr(folder_watch._Arrivals, "on_any_event", lambda *_: None)
    folder = tmp_path / "outputs"
    folder.mkdir()
    with watching(store, folder) as taken:
        fill(folder, 2)
        wait_for(lambda: len(taken) == 2)


def test_a_run_is_sealed_after_quiet_and_holds_at_most_a_hundred(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_watch, "_SEAL_SECONDS", 0.5)
    monkeypatch.setattr(folder_watch, "MOST_IMAGES", 4)
    store, folder = RunStore(tmp_path / "runs"), tmp_path / "outputs"
    folder.mkdir()
    with watching(store, folder):
        fill(folder, 6)
        wait_for(lambda: len(seeds_of(store)) == 6 and all(run.is_sealed for run in store.iter_runs()))
    assert sorted(len(list(run.iter_records())) for run in store.iter_runs()) == [2, 4]


def test_stores_hidden_folders_and_links_are_not_watched(store, tmp_path):
    folder = tmp_path / "outputs"
    (folder / ".trash").mkdir(parents=True)
    with watching(store, folder) as taken:
        (folder / ".trash" / "x.png").write_bytes(make_png(1))
        (tmp_path / "real.png").write_bytes(make_png(2))
        (folder / "link.png").symlink_to(tmp_path / "real.png")
        (folder / "real.png").write_bytes(make_png(3))
        wait_for(lambda: taken == ["real.png"])
        time.sleep(0.3)
        assert taken == ["real.png"]
