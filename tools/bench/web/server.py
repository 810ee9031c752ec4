"""A server with a store, as a process of its own."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


@contextlib.contextmanager
def serving(folder: Path, program: Sequence[str] = ("-m", "stablenew")) -> Iterator[tuple[str, int]]:
    """The link into the page of a store, and the server's process id. `program` is what Python is started with."""
    command = [sys.executable, *program, "--runs-dir", str(folder), "serve", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if match := re.search(r"http://\S+token=\S+", line):
                    yield match[0], process.pid
                    break
        finally:
            process.send_signal(signal.SIGINT)
