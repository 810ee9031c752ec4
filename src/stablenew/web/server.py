"""The server: one for each store on this machine, at a port that it keeps, where a second `serve` finds it."""

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stablenew.controller.app_controller import AppController
from stablenew.disk.atomic_file import replace_file
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import ConfigError
from stablenew.store.local_state import state_folder, store_key
from stablenew.store.run_lock import file_lock
from stablenew.web.guard import Keys
from stablenew.web.interrupts import Interrupts

if TYPE_CHECKING:
    from types import FrameType

    from filelock import BaseFileLock

    from stablenew.web.lan.lan_door import LanDoor

FIRST_PORT: Final = 8321
_PORTS_TRIED: Final = 40
_HOST: Final = "127.0.0.1"
_SHUTDOWN_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class ServerNote:
    """What a server writes to the state folder, readable by this user only: how to reach it, and its secret."""

    port: int
    secret: str
    instance: str
    lan_origin: str | None = None
    """Its address on the network; None where it is not open to it."""

    @property
    def keys(self) -> Keys:
        """What links and cookies are made of."""
        return Keys(bytes.fromhex(self.secret), self.instance)

    def build_url(self) -> str:
        """A fresh link into the page, good once."""
        return f"http://{_HOST}:{self.port}/?token={self.keys.build_token()}"


class ServerPlace:
    """Where the server of a store leaves its note. Whoever holds the lock is the server."""

    def __init__(self, root: Path) -> None:
        folder = state_folder() / "servers"
        self._note = folder / f"{store_key(root)}.json"
        self._lock_path = folder / f"{store_key(root)}.lock"
        self._lock: BaseFileLock | None = None

    def take(self) -> bool:
        """Become the server; False when there is one."""
        from filelock import Timeout  # noqa: PLC0415

        make_private_folder(self._lock_path.parent)
        lock = file_lock(self._lock_path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Stop being the server."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def read(self) -> ServerNote | None:
        """The note of the running server, or of the last one."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return ServerNote(**json.loads(self._note.read_bytes()))
        return None

    def write(self, note: ServerNote) -> None:
        """Write the note. No other user may read it.

        Raises:
            WriteFailed: it could not be written.
        """
        known = {name: getattr(note, name) for name in note.__slots__}
        replace_file(
            self._note, json.dumps({name: value for name, value in known.items() if value is not None}).encode()
        )
        with contextlib.suppress(OSError):
            self._note.chmod(0o600)


def open_socket(port: int | None, last: int | None) -> socket.socket:
    """A socket of this machine at `port`; without one at the `last` port, or the first that is free.

    Raises:
        ConfigError: the port is taken, or none is free.
    """
    wanted = [port] if port is not None else [*([last] if last else []), *range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED)]
    for number in wanted:
        # Named, the protocol makes asyncio send each part of an answer at once (TCP_NODELAY).
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, number))
            listener.listen(128)
        except OSError:
            listener.close()
        else:
            return listener
    raise ConfigError(f"port {wanted[0]} is taken by another program; choose one with --port, or 0 for any")


@contextlib.contextmanager
def serving(
    controller: AppController,
    place: ServerPlace,
    *,
    port: int | None,
    is_read_only: bool,
    lan_door: "LanDoor | None" = None,
) -> Iterator[tuple[ServerNote, Callable[[Interrupts], None]]]:
    """A server ready to run: its note, and the function that serves until it is stopped.

    The caller holds the `place`, and closes the `lan_door`, at which the network is answered too. The port listens
    already: a browser that comes before the server runs waits for it.
    """
    last = place.read()
    listener = open_socket(port, last.port if last else None)
    secret = last.secret if last else secrets.token_hex(32)
    note = ServerNote(listener.getsockname()[1], secret, secrets.token_hex(8), lan_door.origin if lan_door else None)
    place.write(note)
    try:
        options = {"instance": note.instance, "is_read_only": is_read_only, "lan_door": lan_door}
        yield note, lambda interrupts: _serve(controller, listener, note, interrupts, options)
    finally:
        listener.close()


def _serve(
    controller: AppController,
    listener: socket.socket,
    note: ServerNote,
    interrupts: Interrupts,
    options: dict[str, Any],
) -> None:
    import uvicorn  # noqa: PLC0415

    from stablenew.web.context import WebContext  # noqa: PLC0415
    from stablenew.web.http_protocol import PatientProtocol  # noqa: PLC0415
    from stablenew.web.web_app import build_web_app  # noqa: PLC0415

    context = WebContext(controller, **options)
    config = uvicorn.Config(
        build_web_app(context, port=note.port, keys=note.keys),
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    end = server.handle_exit

    def handle_exit(number: int, frame: "FrameType | None") -> None:
        context.live.close()  # or the server would wait for the streams of open pages
        end(number, frame)

    server.handle_exit = handle_exit  # type: ignore[method-assign, assignment]
    if not interrupts.pass_to(handle_exit):
        server.run(sockets=[listener])
