"""Calls to the system that fail once: the n-th of a process's calls to the functions of `os` that reach the disk."""

import contextlib
import errno
import os
import shutil

NAMES = ["open", "read", "write", "lseek", "fstat", "fsync", "ftruncate", "close"]
NAMES += ["replace", "rename", "link", "unlink", "mkdir", "lstat", "stat", "scandir", "listdir", "chmod"]
WITH_RESULT_KEPT = {"close"}
"""Failing calls of these have done their work all the same, as `close` has."""


class Calls:
    """Counts calls, and makes the one with number `failing` fail."""

    def __init__(self, failing=None, error=errno.EIO):
        self.count = 0
        self.failed = None
        self._failing = failing
        self._error = error

    def wrap(self, name, function):
        def call(*args, **kwargs):
            self.count += 1
            if self.count == self._failing:
                self.failed = f"{name}{args[:1]}"
                if name in WITH_RESULT_KEPT:
                    function(*args, **kwargs)
                raise OSError(self._error, os.strerror(self._error))
            return function(*args, **kwargs)

        return call


@contextlib.contextmanager
def failing_call(monkeypatch, number, error=errno.EIO):
    """In the block, call `number` (from 1) fails once. Afterwards the object tells how many there were."""
    calls = Calls(number, error)
    with monkeypatch.context() as patch:
        for name in NAMES:
            patch.setattr(os, name, calls.wrap(name, getattr(os, name)))
        yield calls


def every_call(monkeypatch, act, template):
    """Run `act(copy)` on a fresh copy of `template`, with call 1, 2, 3, … failing, until there are no more.

    Yields (the result of `act`, what failed).
    """
    number = 1
    while True:
        copy = shutil.copytree(template, template.with_name(f"copy-{number}"))
        with failing_call(monkeypatch, number) as calls:
            result = act(copy)
        if calls.failed is None:
            return
        yield result, f"call {number}, {calls.failed}"
        shutil.rmtree(copy)
        number += 1
