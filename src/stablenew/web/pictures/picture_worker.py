"""PictureWorker: thumbnails made by a child process, so that an image that crashes its decoder ends nothing else."""

import contextlib
import json
import subprocess
import threading
from typing import Any, Final

from stablenew.web.pictures.thumbnail_making import LARGE, LENGTH_BYTES, SIZE_BYTES, NoPicture, make_thumbnails
from stablenew.worker_pool import OWN_GROUP, is_available, module_command

_MODULE: Final = "stablenew.web.pictures.thumbnail_making"
_MOST_SECONDS: Final = 60.0


class PictureWorker:
    """Makes thumbnails of one image at a time. The child is started when it is needed, and again after a crash."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the child now, so that the first image need not wait for it."""
        with self._guard:
            self._running()

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def make(self, data: bytes, largest: int = LARGE) -> dict[int, bytes]:
        """See `make_thumbnails`.

        Raises:
            NoPicture: there is none, or the decoder crashed or took longer than a minute.
        """
        with self._guard:
            process = self._running()
            return make_thumbnails(data, largest) if process is None else _ask(process, data, largest)

    def _running(self) -> "subprocess.Popen[bytes] | None":
        """The child; None where this Python cannot start one."""
        if self._process is not None and self._process.poll() is not None:
            self._process.communicate()
            self._process = None
        if self._process is None and is_available():
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(module_command(_MODULE), stdin=pipe, stdout=pipe, process_group=OWN_GROUP)  # noqa: S603
        return self._process


def _ask(process: "subprocess.Popen[bytes]", data: bytes, largest: int) -> dict[int, bytes]:
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101
    watch = threading.Timer(_MOST_SECONDS, process.kill)
    watch.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # its missing answer says so
            process.stdin.write(len(data).to_bytes(LENGTH_BYTES) + largest.to_bytes(SIZE_BYTES) + data)
            process.stdin.flush()
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise NoPicture(f"it cannot be decoded: the decoder ended with {process.wait()}")
        says: dict[str, Any] = json.loads(line)
        if "error" in says:
            raise NoPicture(says["error"])
        return {int(size): process.stdout.read(length) for size, length in says["sizes"].items()}
    finally:
        watch.cancel()
