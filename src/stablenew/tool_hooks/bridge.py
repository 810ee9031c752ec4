"""Tells the recorder, a process of its own, what a program makes.

Runs inside that program, under its Python (3.9 or later) and beside its libraries. Telling costs a place in a queue and
returns at once; a failure is printed once on the console, and the program goes on.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_QUEUE_SIZE = 10_000
_RESTART_SECONDS = 10.0
_EXIT_SECONDS = 3.0
_printed: set[str] = set()


def say_once(text: str) -> None:
    """Print a line on the program's console, once."""
    if text not in _printed:
        _printed.add(text)
        print(f"[stablenew] {text}", file=sys.stderr, flush=True)


def harmless(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which gives None instead of raising: the program that calls it must not suffer."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # we are a guest here
            say_once(f"{function.__name__} failed, the rest goes on: {type(error).__name__}: {error}")
            return None

    return guarded


def identify(path: Path) -> dict[str, int]:
    """Size and time of a file, by which the recorder knows that it is still the same; empty where it is gone."""
    try:
        status = path.stat()
    except OSError:
        return {}
    return {"size_bytes": status.st_size, "modified_ns": status.st_mtime_ns}


class Bridge:
    """The way to the recorder. Settings are `python`, the interpreter that has StableNew, and `runs_dir`."""

    def __init__(self, settings_file: Path) -> None:
        settings = json.loads(settings_file.read_text(encoding="utf-8"))
        # -P: the folder that the program was started in is no place to import from
        module = ["-P", "-m", "stablenew.controller.hook_listener"]
        self._command = [settings["python"], *module, "--runs-dir", settings["runs_dir"]]
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue(_QUEUE_SIZE)
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start = 0.0
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def send(self, **message: Any) -> None:
        """Tell the recorder something. Returns at once."""
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="stablenew", daemon=True)
                self._thread.start()
                atexit.register(self._finish)
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            say_once("the recorder does not keep up; some images are not recorded")

    def _work(self) -> None:
        while True:
            message = self._messages.get()
            if message is None:
                break
            self._write(message)
        if self._process is not None and self._process.stdin is not None:
            harmless(self._process.stdin.close)()

    @harmless
    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, default=str).encode("ascii") + b"\n"
        for _ in range(2):  # a recorder that died is started again, once
            if not self._is_running():
                return
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._process.stdin.write(rest) :]  # type: ignore[union-attr]
            except OSError:
                self._process = None
            else:
                return

    def _is_running(self) -> bool:
        """Whether there is a recorder; one is started where there is none, but not again and again."""
        if self._process is not None and self._process.poll() is None:
            return True
        if time.monotonic() < self._next_start:
            return False
        self._next_start = time.monotonic() + _RESTART_SECONDS
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter that wrote this folder
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                bufsize=0,  # or the program waits at its end for a recorder that hangs
                env=environment,
                start_new_session=True,  # Ctrl-C ends the program, and the recorder when it has heard everything
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            say_once(f"the recorder cannot be started, so nothing is recorded: {self._command[0]}: {error}")
            return False
        return True

    def _finish(self) -> None:
        """Give the recorder a moment to hear the rest."""
        try:
            self._messages.put_nowait(None)
        except queue.Full:
            return
        if self._thread is not None:
            self._thread.join(_EXIT_SECONDS)
