"""`stablenew` in processes of their own that fork from one which has imported the program: a tenth of the start-up.

Each is a real process with its own streams, folder and environment, which can be killed. What is about starting itself
(what is imported, Ctrl-C in the first moment, closed streams) starts `python -m stablenew`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

_PRELOADED = (
    "stablenew.__main__",
    "stablenew.cli.learn_command",
    "stablenew.cli.serve_command",
    "stablenew.controller.experiments.next_round",
    "stablenew.controller.pipeline_controller",
    "stablenew.engines.sketch",
    "stablenew.importing.folder_imports",
    "stablenew.index.asking.columns.column_cache",
    "stablenew.index.image_history",
    "stablenew.index.job_history",
    "stablenew.index.reading.run_reading",
    "stablenew.learning.dataset_builder",
    "stablenew.learning.learning_contract",
    "stablenew.learning.next_experiment",
    "stablenew.learning.surface.asking_again",
    "stablenew.learning.surface.left_to_gain",
    "stablenew.pipeline.pipeline_runner",
    "stablenew.recording.feedback_manager",
    "stablenew.web.http_protocol",
    "stablenew.web.server",
    "stablenew.web.web_app",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
    "watchdog.observers",
    "rich.progress",
    "numpy",
)
_MESSAGE = 1 << 20
_STATUS = struct.Struct("=i")


class ForkedCommand:
    """A command that was started. What `subprocess.Popen` has, as far as tests ask for it."""

    def __init__(self, status, stdout, stderr):
        self._status = status
        self.stdout = stdout
        self.stderr = stderr
        self.pid = _STATUS.unpack(os.read(status, _STATUS.size))[0]
        self.returncode = None

    def poll(self):
        return self._read_status(0)

    def wait(self, timeout=None):
        if self._read_status(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def _read_status(self, timeout):
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = _STATUS.unpack(os.read(self._status, _STATUS.size))[0]
            os.close(self._status)
        return self.returncode


def start(*arguments, env=None, stderr=subprocess.PIPE):
    """`stablenew` with `arguments` in the current folder; its output comes through pipes of text."""
    output, child_output = os.pipe()
    errors, child_errors = (None, child_output) if stderr == subprocess.STDOUT else os.pipe()
    status, child_status = os.pipe()
    request = {
        "arguments": arguments,
        "cwd": str(Path.cwd()),
        "env": dict(os.environ if env is None else env),
        "ignores_interrupts": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    }
    with Path(os.devnull).open() as nothing:
        descriptors = [nothing.fileno(), child_output, child_errors, child_status]
        socket.send_fds(_server(), [json.dumps(request).encode()], descriptors)
    for descriptor in {child_output, child_errors, child_status}:
        os.close(descriptor)
    return ForkedCommand(status, os.fdopen(output), None if errors is None else os.fdopen(errors))


def run(*arguments, env=None, encoding="utf-8"):
    """`stablenew` with `arguments`, when it has ended: `subprocess.CompletedProcess` with both outputs as text."""
    process = start(*arguments, env={**(os.environ if env is None else env), "PYTHONIOENCODING": encoding})
    with process.stdout, process.stderr:
        said = [part.decode(encoding) for part in _read_together(process.stdout, process.stderr)]
    return subprocess.CompletedProcess(arguments, process.wait(), *said)


def call(*arguments, code=0):
    """The same for a command that must exit with `code`."""
    done = run(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def _read_together(*streams):
    """All of each stream; a child that fills one pipe never waits for us at the other."""
    parts = {stream.fileno(): b"" for stream in streams}
    waiting = set(parts)
    while waiting:
        for descriptor in select.select(waiting, [], [])[0]:
            if chunk := os.read(descriptor, _MESSAGE):
                parts[descriptor] += chunk
            else:
                waiting.discard(descriptor)
    return parts.values()


@functools.cache
def _server():
    """The socket of this worker's server, which is started with the first command."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    atexit.register(process.wait, 30)
    atexit.register(ours.close)  # which ends it; the last one registered is called first
    return ours


def serve(connection):
    """Fork a child for each request, report its end, until the tests are over."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # as the command does before its first import
    for name in _PRELOADED:
        importlib.import_module(name)
    importlib.import_module("stablenew.web.page.static_files").read_page_files()
    gc.collect()
    gc.freeze()  # what was imported is not looked at again, so its pages stay shared
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest
    status_of = {}
    while True:
        ready = select.select([connection, wake], [], [])[0]
        if wake in ready:
            os.read(wake, 1024)
            _report_ended(status_of)
        if connection in ready:
            message, descriptors, _, _ = socket.recv_fds(connection, _MESSAGE, 4)
            if not message:
                return
            if (pid := os.fork()) == 0:
                connection.close()
                _become_command(json.loads(message), descriptors)
                return
            _, _, _, status = descriptors
            os.write(status, _STATUS.pack(pid))
            status_of[pid] = status
            for descriptor in descriptors[:3]:
                os.close(descriptor)


def _report_ended(status_of):
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            status = status_of.pop(ended[0])
            with contextlib.suppress(BrokenPipeError):
                os.write(status, _STATUS.pack(os.waitstatus_to_exitcode(ended[1])))
            os.close(status)


def _become_command(request, descriptors):
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN if request["ignores_interrupts"] else signal.default_int_handler)
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["stablenew", *request["arguments"]]
    sys.modules["__main__"] = sys.modules["stablenew.__main__"]  # what workers of multiprocessing look at
    sys.stdin = os.fdopen(0)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb"), encoding=encoding)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb"), encoding=encoding, errors="backslashreplace", line_buffering=True)
    from stablenew.cli.main import main

    _end(main)


def _end(main):
    """Exit as Python does, but for taking a thousand modules apart, which takes longer than most commands.

    The children of multiprocessing end like this.
    """
    status = 1
    try:
        main()
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
