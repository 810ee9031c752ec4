"""Locks of this machine: one writer for a run, and blocks that exclude each other by the files they are about."""

import threading

import pytest

from stablenew.errors import RunLocked
from stablenew.store.local_state import state_folder
from stablenew.store.run_lock import RunLock, file_guard, file_lock


@pytest.fixture
def lock(tmp_path):
    return RunLock(tmp_path, "run")


def test_a_run_has_one_writer_and_the_second_one_is_told_to_wait(tmp_path, lock):
    lock.acquire()
    second = RunLock(tmp_path, "run")
    with pytest.raises(RunLocked, match="run run is being written by another process; wait until it ends"):
        second.acquire()
    lock.release()
    second.acquire()
    second.release()


def test_runs_and_stores_have_locks_of_their_own(tmp_path, lock):
    lock.acquire()
    others = [RunLock(tmp_path, "run-2"), RunLock(tmp_path / "other", "run")]
    for other in others:
        other.acquire()
        other.release()
    lock.release()


def test_whether_a_run_is_written_is_seen_by_all_and_looking_changes_nothing(tmp_path, lock):
    other = RunLock(tmp_path, "run")
    assert (lock.is_held(), other.is_held(), other.was_acquired_here()) == (False, False, False)
    lock.acquire()
    assert (lock.is_held(), other.is_held(), other.was_acquired_here()) == (True, True, True)
    lock.release()
    assert (lock.is_held(), other.is_held()) == (False, False)
    lock.acquire()
    lock.release()


def test_what_a_writer_leaves_says_that_it_was_here_unless_nobody_will_write_again(lock):
    lock.acquire()
    lock.release()
    assert lock.was_acquired_here()
    lock.acquire()
    lock.release(forget=True)
    assert not lock.was_acquired_here()
    lock.release(forget=True)


def test_locks_lie_in_the_state_of_this_machine_and_never_in_a_store(tmp_path, lock):
    lock.acquire()
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in (state_folder() / "locks").rglob("*.lock")] == ["run.lock"]
    lock.release()


def enters(*paths):
    """Whether another thread gets into a block for these paths at once."""
    entered = threading.Event()

    def enter():
        with file_guard(*paths):
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    return entered.wait(0.05)


def test_a_block_excludes_others_for_the_same_file_until_it_ends(tmp_path):
    with file_guard(tmp_path / "a"):
        assert not enters(tmp_path / "a")
    assert enters(tmp_path / "a")
    with pytest.raises(KeyError), file_guard(tmp_path / "a"):
        raise KeyError("told")
    assert enters(tmp_path / "a")


def test_files_that_share_a_lock_and_no_file_at_all_block_nobody(tmp_path):
    many = [tmp_path / str(number) for number in range(200)]
    with file_guard(*many, *many):
        pass
    with file_guard():
        assert enters(tmp_path / "a")
    assert len(list((state_folder() / "locks" / "files").iterdir())) <= 64


def test_two_that_take_the_same_files_in_other_orders_never_wait_for_each_other(tmp_path):
    paths = [tmp_path / str(number) for number in range(8)]
    rounds = []

    def take(order):
        for number in range(10):
            with file_guard(*order):
                rounds.append(number)

    threads = [threading.Thread(target=take, args=(order,), daemon=True) for order in (paths, paths[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(rounds) == 20


def test_a_lock_of_a_file_may_be_released_by_another_thread(tmp_path):
    lock = file_lock(tmp_path / "deep" / "a.lock")
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert not lock.is_locked
