"""Tells the recorder, a process of its own, what a program makes.

Runs inside that program, under its Python (3.9 or later) and beside its libraries. Telling costs a place in a queue and
returns at once; a failure is printed once on the console, and the program goes on. The recorder confirms each message
when what it says is recorded; one that is killed is started again, and hears again what it did not confirm.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

_QUEUE_SIZE = 10_000
_RESTART_SECONDS = 10.0
_EXIT_SECONDS = 3.0
_LAST_WORDS_SECONDS = 5.0
"""How long confirmations of a recorder that has ended are waited for; they are in a pipe already."""
_TOO_MANY = "the recorder does not keep up; some images are not recorded"
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
        # -P: the folder that the program was started in is not a place to import from
        module = ["-P", "-m", "stablenew.controller.hook_listener"]
        command = [settings["python"], *module, "--runs-dir", settings["runs_dir"]]
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue(_QUEUE_SIZE)
        self._recorder = Recorder(command, self._wake)
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
            say_once(_TOO_MANY)

    def _wake(self) -> None:
        """Have the thread look after its recorder, which has ended."""
        with contextlib.suppress(queue.Full):  # then it is awake
            self._messages.put_nowait({})

    def _work(self) -> None:
        while True:
            try:
                message = self._messages.get(timeout=self._recorder.seconds_to_start())
            except queue.Empty:
                message = {}
            if message is None:
                break
            self._write(message)
        harmless(self._recorder.close)()

    @harmless
    def _write(self, message: dict[str, Any]) -> None:
        if message:
            self._recorder.keep(json.dumps(message, default=str).encode("ascii") + b"\n")
        self._recorder.write_kept()

    def _finish(self) -> None:
        """Give the recorder a moment to hear the rest."""
        try:
            self._messages.put_nowait(None)
        except queue.Full:
            return
        if self._thread is not None:
            self._thread.join(_EXIT_SECONDS)


class Recorder:
    """The recorder's process, and the lines that it has not confirmed. All but the confirming is for one thread."""

    def __init__(self, command: list[str], on_end: Callable[[], None]) -> None:
        self._command = command
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._next_start = 0.0
        self._guard = threading.Condition()
        """Held for what both threads change: the lines, how many of them are written, whether the process has ended."""
        self._kept: deque[bytes] = deque()
        self._written = 0
        self._has_ended = False
        self._suspect: bytes | None = None
        """The line that the last recorder ended with."""

    def keep(self, line: bytes) -> None:
        """Take a line to be written; it is kept until it is confirmed."""
        with self._guard:
            if len(self._kept) < _QUEUE_SIZE:
                self._kept.append(line)
                return
        say_once(_TOO_MANY)

    def write_kept(self, *, is_last: bool = False) -> None:
        """Write the lines that this recorder was not given yet; with `is_last`, one is started at any time."""
        while self._is_running(is_last) and (line := self._next_line()):
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._process.stdin.write(rest) :]  # type: ignore[union-attr]
            except OSError:
                self._bury()

    def seconds_to_start(self) -> float | None:
        """How long until a recorder that has ended may be started again; None where nothing waits for that."""
        if self._process is not None or not self._kept:
            return None
        return max(0.0, self._next_start - time.monotonic())

    def close(self) -> None:
        """Write the rest, wait until it is confirmed, and let the recorder end; one that is killed has a follower."""
        self.write_kept(is_last=True)
        while self._process is not None:
            self._process.stdin.close()  # type: ignore[union-attr]
            with self._guard:
                self._guard.wait_for(lambda: self._has_ended or not self._kept)
            if not self._kept:
                return
            self._bury()
            self.write_kept(is_last=True)

    def _next_line(self) -> bytes | None:
        with self._guard:
            if self._written >= len(self._kept):
                return None
            self._written += 1
            return self._kept[self._written - 1]

    def _is_running(self, is_last: bool) -> bool:
        """Whether a recorder runs. One that does not is started, though not again at once."""
        if self._process is not None:
            if self._process.poll() is None:
                return True
            self._bury()
        if not self._kept or (time.monotonic() < self._next_start and not is_last):
            return False
        self._next_start = time.monotonic() + _RESTART_SECONDS
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter that wrote this folder
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # or the program waits at its end for a recorder that hangs
                env=environment,
                start_new_session=True,  # Ctrl-C ends the program, and the recorder when it has heard everything
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            say_once(f"the recorder cannot be started, so nothing is recorded: {self._command[0]}: {error}")
            return False
        self._has_ended = False
        self._listener = threading.Thread(target=self._listen, args=[self._process], name="stablenew-2", daemon=True)
        self._listener.start()
        return True

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Forget the lines that a recorder confirms, one for each byte, until it ends."""
        with process.stdout as heard:  # type: ignore[union-attr]
            while confirmed := heard.read(_QUEUE_SIZE):
                with self._guard:
                    for _ in range(min(len(confirmed), self._written)):
                        self._kept.popleft()
                        self._written -= 1
                    self._guard.notify()
        with self._guard:
            self._has_ended = True
            self._guard.notify()
        self._on_end()

    def _bury(self) -> None:
        """Have a recorder that has ended followed by another one, which is given what was not confirmed.

        A line that two of them ended with is left out: a third one would end with it too.
        """
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._listener.join(_LAST_WORDS_SECONDS)  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WORDS_SECONDS)  # type: ignore[union-attr]
        self._process = None
        with self._guard:
            self._written = 0
            if self._kept and self._kept[0] is self._suspect:
                self._kept.popleft()
                say_once("the recorder ended twice with the same message, which is left out")
            self._suspect = self._kept[0] if self._kept else None
