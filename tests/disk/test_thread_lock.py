"""A lock for the threads of one process."""

import os
import threading

import pytest

from stablenew.disk.locks import ThreadLock


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
