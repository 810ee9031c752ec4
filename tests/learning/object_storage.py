"""A real S3 server on loopback: rclone, serving a folder."""

import contextlib
import socket
import subprocess
import time

from tests.rclone import find_rclone_that_serves_s3

KEY, SECRET = "key", "secret"


@contextlib.contextmanager
def serving(folder):
    """The options with which fsspec finds `folder` as buckets."""
    port = free_port()
    command = [
        find_rclone_that_serves_s3(),
        "serve",
        "s3",
        folder,
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{KEY},{SECRET}",
    ]
    server = subprocess.Popen([*command, "--config", "/dev/null"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield {"key": KEY, "secret": SECRET, "endpoint_url": f"http://127.0.0.1:{port}"}
    finally:
        server.kill()
        server.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        else:
            return
