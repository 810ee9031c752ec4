"""Calls to the system that fail once: the n-th of a process's calls to the functions of `os` that reach the disk."""

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path

import stablenew
from tests.profiles import by_profile

PROGRAM = str(Path(stablenew.__file__).parent)
NAMES = ["open", "read", "write", "lseek", "fstat", "fsync", "ftruncate", "close"]
NAMES += ["replace", "rename", "link", "unlink", "mkdir", "lstat", "stat", "scandir", "listdir", "chmod"]
WITH_RESULT_KEPT = {"close"}
"""Failing calls of these have done their work all the same, as `close` has."""


class Calls:
    """Counts calls, and makes the one with number `failing` fail."""

    def __init__(self, failing=None, error=errno.EIO):
        self.count = 0
        self.failed = None
        self.first_of_place = {}
        """The number of the first call from each place of the program."""
        self._failing = failing
        self._error = error

    def wrap(self, name, function):
        def call(*args, **kwargs):
            self.count += 1
            self.first_of_place.setdefault((name, *_calling_lines(sys._getframe(1))), self.count)
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


def _calling_lines(frame):
    """The innermost four lines of the program that led to `frame`."""
    lines = []
    while frame is not None and len(lines) < 4:
        if frame.f_code.co_filename.startswith(PROGRAM):
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return lines


def every_call(monkeypatch, act, template):
    """Run `act(copy)` on a fresh copy of `template` with one call failing: the first of each place; in `nightly`, each.

    Yields (the result of `act`, what failed).
    """
    copy = shutil.copytree(template, template.with_name("copy-0"))
    with failing_call(monkeypatch, None) as calls:
        act(copy)
    firsts = sorted(calls.first_of_place.values())
    for number in by_profile(few=firsts, quick=firsts, ci=firsts, nightly=range(1, calls.count + 1)):
        copy = shutil.copytree(template, template.with_name(f"copy-{number}"))
        with failing_call(monkeypatch, number) as calls:
            result = act(copy)
        yield result, f"call {number}, {calls.failed}"
        shutil.rmtree(copy)
