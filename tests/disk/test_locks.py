import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from stablenew.disk.locks import LockFile, ThreadLock


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "locks" / "a.lock")


def test_one_holds_it_at_a_time(path):
    first, second = LockFile(path), LockFile(path)
    assert first.acquire()
    assert first.is_held_here
    assert not second.acquire()
    assert not second.is_held_here
    first.release()
    assert second.acquire()


def test_both_kinds_of_locks_exclude_each_other(path):
    mine, other = LockFile(path), FileLock(path)
    assert mine.acquire()
    with pytest.raises(Timeout):
        other.acquire(timeout=0)
    mine.release()
    with other:
        assert not mine.acquire()
    assert mine.acquire()


def test_leaving_for_good_takes_the_file_away(path):
    lock = LockFile(path)
    lock.acquire()
    lock.release(forget=True)
    assert not Path(path).exists()
    lock.release(forget=True)
    assert lock.acquire()


def test_leaving_what_is_not_held_removes_nothing(path):
    holder, other = LockFile(path), LockFile(path)
    holder.acquire()
    other.release(forget=True)
    assert Path(path).exists()


def test_an_object_that_nobody_has_any_more_lets_go(path):
    dropped = LockFile(path)
    dropped.acquire()
    del dropped
    assert LockFile(path).acquire()


def test_a_link_in_its_place_is_not_followed(path, tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"a\.lock"):
        LockFile(path).acquire()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_holds_nothing_of_its_parents(path):
    lock = LockFile(path)
    lock.acquire()
    said, says = os.pipe()
    ends, end = os.pipe()
    child = os.fork()
    if not child:
        os.write(says, b"1" if lock.is_held_here else b"0")
        os.close(end)
        os.read(ends, 1)
        os._exit(0)
    assert os.read(said, 1) == b"0"
    assert not LockFile(path).acquire(), "the parent holds it still"
    lock.release()
    assert LockFile(path).acquire(), "the child lives, and does not hold it"
    os.close(end)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.heavy
def test_processes_that_take_it_away_never_hold_it_together(path, tmp_path):
    """Each that holds the file makes another one that must not be there yet."""
    script = """
        import os, sys, time
        from stablenew.disk.locks import LockFile
        lock, alone = LockFile(sys.argv[1]), sys.argv[2]
        held = 0
        deadline = time.monotonic() + 60
        while held < 100 and time.monotonic() < deadline:
            if lock.acquire():
                os.close(os.open(alone, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                os.unlink(alone)
                lock.release(forget=True)
                held += 1
        print(held)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), path, str(tmp_path / "alone")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [worker.communicate()[0] for worker in workers] == ["100\n"] * 4


def is_free_for_others(lock):
    """Whether another thread could take the lock now."""
    taken = threading.Event()

    def take():
        with lock:
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return taken.wait(0.02)


def test_one_thread_holds_it_at_a_time_and_may_take_it_again():
    lock = ThreadLock()
    with lock:
        with lock:
            assert not is_free_for_others(lock)
        assert not is_free_for_others(lock)
    assert is_free_for_others(lock)


def test_what_fails_under_the_lock_is_told_and_frees_it():
    lock = ThreadLock()
    with pytest.raises(KeyError), lock:
        raise KeyError("told")
    assert is_free_for_others(lock)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have():
    lock = ThreadLock()
    held, done = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        with lock:
            os._exit(7)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        done.set()
        holder.join()
