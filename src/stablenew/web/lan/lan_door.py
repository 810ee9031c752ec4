"""LanDoor: the server's second socket, open to the network at one address of this machine, over HTTPS."""

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from stablenew.errors import ConfigError
from stablenew.web.guard import App
from stablenew.web.http_protocol import PatientProtocol
from stablenew.web.lan.certificate import CertificateFiles, check_packages, ensure_certificate
from stablenew.web.lan.device_book import DeviceBook

if TYPE_CHECKING:
    import uvicorn

FIRST_PORT: Final = 8443
_PORTS_TRIED: Final = 40
_SOMEWHERE_ELSE: Final = ("192.0.2.1", 9)
"""An address that is nobody's. Nothing is sent to it: the system only says from which address it would be."""
_CONNECTIONS_OF_AN_ADDRESS: Final = 64
_CONNECTIONS: Final = 512


class LanDoor:
    """An open socket with its certificate and devices; `serving` answers requests there."""

    def __init__(self, root: Path, listener: socket.socket, *, is_insecure: bool = False) -> None:
        self.address, self.port = listener.getsockname()[:2]
        self.certificate: CertificateFiles | None = None if is_insecure else ensure_certificate(self.address)
        """None where plain HTTP is spoken."""
        self.book = DeviceBook(root)
        self._listener = listener

    @property
    def origin(self) -> str:
        """Its address, as browsers write it."""
        return f"{'https' if self.certificate else 'http'}://{self.address}:{self.port}"

    @property
    def fingerprint(self) -> str | None:
        """That of its certificate; None where plain HTTP is spoken."""
        return self.certificate.fingerprint if self.certificate else None

    def close(self) -> None:
        """Close the socket."""
        self._listener.close()

    @contextlib.asynccontextmanager
    async def serving(self, app: App) -> AsyncIterator[None]:
        """Answer through `app`, which is behind a LanGuard, on the loop that runs."""
        server = _build_server(app, self.certificate)
        task = asyncio.create_task(server.serve(sockets=[self._listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await task


def _build_server(app: App, certificate: CertificateFiles | None) -> "uvicorn.Server":
    import uvicorn  # noqa: PLC0415

    class Beside(uvicorn.Server):
        """A server beside another one, which has the signals."""

        def capture_signals(self) -> Any:
            return contextlib.nullcontext()

    config = uvicorn.Config(
        app,
        http=_CountedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",  # not each request that is none: anybody on the network can send such
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate.certificate if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    return Beside(config)


class _CountedProtocol(PatientProtocol):
    """Closes connections beyond a number, of one address and of all."""

    _open: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        self._open[self._peer] += 1
        if self._open[self._peer] > _CONNECTIONS_OF_AN_ADDRESS or self._open.total() > _CONNECTIONS:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._open[self._peer] -= 1
        if not self._open[self._peer]:
            del self._open[self._peer]
        super().connection_lost(exc)


def open_lan_door(root: Path, *, address: str | None, port: int | None, is_insecure: bool = False) -> LanDoor:
    """A door at `address`, by default this machine's own on the network, and `port`, by default the first free one.

    With `is_insecure` it speaks plain HTTP: whoever shares the network can read what passes, cookies included.

    Raises:
        ConfigError: a package is missing, the machine is on no network, or the address or port cannot be had.
    """
    check_packages()
    address = _check_address(address) if address else find_address()
    wanted = [port] if port is not None else range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED)
    reason = ""
    for number in wanted:
        # Named, the protocol makes asyncio send each part of an answer at once (TCP_NODELAY).
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            _bind(listener, address, number)
            return LanDoor(root, listener, is_insecure=is_insecure)
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
    raise ConfigError(
        f"{address} port {wanted[0]} cannot be opened ({reason}); choose others with --lan-address, --lan-port"
    )


def _bind(listener: socket.socket, address: str, port: int) -> None:
    if os.name != "nt":  # there it would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)


def _check_address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise ConfigError(f"expected an address of this machine such as 192.168.1.20, found {text!r}") from None
    if address.is_unspecified:
        raise ConfigError("expected one address; 0.0.0.0 would open every network this machine is on")
    return str(address)


def find_address() -> str:
    """This machine's own address on its network.

    Raises:
        ConfigError: it is on none.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_SOMEWHERE_ELSE)
        address: str = probe.getsockname()[0]
        if not ipaddress.ip_address(address).is_loopback:
            return address
    raise ConfigError("this machine is on no network; name an address of it with --lan-address")
