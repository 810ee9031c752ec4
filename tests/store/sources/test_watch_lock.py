"""One program at a time takes in what is saved in a folder, and the second one is told by whom."""

import pytest

from stablenew.errors import WatchedElsewhere
from stablenew.store.local_state import state_folder
from stablenew.store.sources.watch_lock import WatchLock
from tests.samples import fake_clock


@pytest.fixture
def watch(tmp_path):
    """A lock on a folder for a store; the folder need not be there."""

    def watch(folder, program="a command", store="runs"):
        return WatchLock(tmp_path / store, tmp_path / folder, program, fake_clock())

    return watch


def is_refused(lock):
    try:
        lock.acquire()
    except WatchedElsewhere:
        return True
    lock.release()
    return False


def test_the_second_one_is_told_who_watches_and_what_to_do(watch, tmp_path):
    first = watch("pictures", "the page")
    first.acquire()
    with pytest.raises(WatchedElsewhere) as refused:
        watch("pictures").acquire()
    said = str(refused.value)
    assert said.startswith(f"{tmp_path / 'pictures'} is watched already, by the page (process ")
    assert "since 2027-01-15T08:00:01.000Z" in said
    assert said.endswith("To watch it from here, end that one first")
    first.release()


@pytest.mark.parametrize(
    ("other", "refused"),
    [("pictures", True), ("pictures/2026", True), (".", True), ("pictures/../pictures", True), ("pictures-2", False)],
)
def test_a_folder_in_it_or_around_it_counts_as_the_same(watch, other, refused):
    first = watch("pictures")
    first.acquire()
    assert is_refused(watch(other)) == refused
    first.release()
    assert not is_refused(watch(other))


def test_a_link_is_the_folder_that_it_leads_to(watch, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    first = watch("pictures")
    first.acquire()
    assert is_refused(watch("link"))
    first.release()


def test_another_store_may_take_in_the_same_folder(watch):
    first = watch("pictures")
    first.acquire()
    assert not is_refused(watch("pictures", store="other"))
    first.release()


def test_nothing_is_left_when_all_have_ended_and_who_holds_none_releases_none(watch):
    first, second = watch("pictures"), watch("pictures")
    first.acquire()
    second.release()
    assert is_refused(second)
    first.release()
    first.release()
    assert [path for path in (state_folder() / "locks" / "watches").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"folder": "/", "program": "x", "process": 1, "since": ""}'])
def test_the_note_of_a_watcher_that_was_killed_stops_nobody(watch, note):
    first = watch("pictures")
    first.acquire()
    (place,) = (state_folder() / "locks" / "watches").rglob("*.json")
    first.release()
    place.write_text(note)
    assert not is_refused(watch("pictures"))
    assert not place.exists()
