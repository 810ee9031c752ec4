"""LanGuard: who may talk to the server through the network. Only devices that were paired, and each only as it may.

What is not paired gets the page that asks for a code, and nothing else. What holds for the page on the computer itself
holds here too: names, origins, kinds of requests, sizes. The cookie is good for this port only, and over HTTPS only,
unless plain HTTP is spoken.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.routing import compile_path

from stablenew.web.guard import (
    COOKIE_SECONDS,
    READ_ONLY,
    SAFE_METHODS,
    App,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    find_cookies,
    find_refusal,
    read_headers,
    send_body,
    with_headers,
)
from stablenew.web.lan.device_book import Device, DeviceBook, PairingRefused
from stablenew.web.lan.rate_limit import RateLimit
from stablenew.web.lan.roles import ROLES, VIEWER, Role

PAIR: Final = "/pair"
_PAIR_FILES: Final = {PAIR: "pair/pair.html", "/pair.js": "pair/pair.js", "/pair.css": "pair/pair.css"}
_MOST_PAIR_BYTES: Final = 4096
_PAIR_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.5
_LIVE: Final = "/api/live"
_REQUESTS_OF_STRANGERS: Final = (120, 60.0)
_WRONG_CODES: Final = (5, 60.0)
_WRITES_OF_A_DEVICE: Final = (600, 60.0)
_STREAMS_OF_A_DEVICE: Final = 8
_NOT_YOURS: Final = "this device may not do that; it can be done at the computer itself"
_TOO_MANY: Final = "too many requests; wait a minute"
_RULES: Final = [
    (key.partition(" ")[0], compile_path(key.partition(" ")[2])[0], role)
    for key, role in ROLES.items()
    if role < Role.OWNER
]


class _PageFile(Protocol):
    @property
    def data(self) -> bytes: ...
    @property
    def media_type(self) -> str: ...


class LanGuard:
    """Lets a request of a device through to `app`, or answers it itself."""

    def __init__(
        self,
        app: App,
        *,
        origin: str,
        book: DeviceBook,
        files: Mapping[str, Any],
        taken: Callable[[], set[str]],
        is_read_only: bool = False,
    ) -> None:
        self._app = app
        self._book = book
        self._files: Mapping[str, _PageFile] = files
        self._taken = taken
        self._is_read_only = is_read_only
        scheme, _, host = origin.partition("://")
        self._is_secure = scheme == "https"
        self._hosts = frozenset({host})
        self._origins = frozenset({origin})
        self._cookie_name = f"{'__Host-stablenew' if self._is_secure else 'stablenew-lan'}-{host.rpartition(':')[2]}"
        self._strangers = RateLimit(*_REQUESTS_OF_STRANGERS)
        self._wrong_codes = RateLimit(*_WRONG_CODES)
        self._writes = RateLimit(*_WRITES_OF_A_DEVICE)
        self._streams: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        send = with_headers(send)
        headers = read_headers(scope)
        refusal = find_refusal(scope, headers, self._hosts, self._origins)
        device = self._find_device(headers)
        if refusal is not None:
            await answer(send, *refusal)
        elif scope["path"] in {PAIR, "/pair.js", "/pair.css"}:
            await self._meet(scope, receive, send)
        elif device is None:
            await self._turn_away(scope, send)
        elif (denial := self._find_denial(scope, device)) is not None:
            await answer(send, *denial)
        else:
            await self._let_in(scope, receive, send, device)

    def _find_device(self, headers: dict[str, str]) -> Device | None:
        tokens = find_cookies(headers.get("cookie", ""), self._cookie_name)
        return next((device for device in map(self._book.find, tokens) if device is not None), None)

    def _find_denial(self, scope: Scope, device: Device) -> tuple[int, str] | None:
        """HTTP status and reason if this device may not do what it asks for."""
        role = find_role(scope["method"], scope["path"])
        if role > device.to_viewer().role:
            return 403, _NOT_YOURS
        if scope["method"] in SAFE_METHODS:
            return None
        if self._is_read_only:
            return 403, READ_ONLY
        return None if self._writes.take(device.id) else (429, _TOO_MANY)

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        if not self._strangers.take(_address(scope)):
            await answer(send, 429, _TOO_MANY)
        elif scope["path"] == "/" and scope["method"] == "GET":
            await send_body(send, 303, b"text/plain", b"", (b"location", PAIR.encode()))
        else:
            await answer(
                send, 401, f"this device is not paired; open {PAIR} and enter the code that the computer shows"
            )

    async def _meet(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page that asks for a code, or the answer to a code."""
        if not self._strangers.take(_address(scope)):
            await answer(send, 429, _TOO_MANY)
        elif scope["method"] in SAFE_METHODS:
            file = self._files[_PAIR_FILES[scope["path"]]]
            await send_body(send, 200, file.media_type.encode(), file.data if scope["method"] == "GET" else b"")
        elif scope["method"] != "POST" or scope["path"] != PAIR:
            await answer(send, 405, "expected GET")
        else:
            await self._pair(scope, receive, send)

    async def _pair(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = _address(scope)
        if self._wrong_codes.is_used_up(address):
            await answer(send, 429, "too many wrong codes; wait a minute")
            return
        try:
            async with asyncio.timeout(_PAIR_SECONDS):
                given = json.loads(await _read_small_body(receive))
            code, name = str(given["code"]), str(given["name"])
        except (ValueError, TypeError, KeyError, TimeoutError, RecursionError):
            await answer(send, 422, "expected a code and a name")
            return
        try:
            device, token = await run_in_threadpool(self._book.pair, code, name, address, self._taken)
        except PairingRefused as error:
            self._wrong_codes.take(address)
            await answer(send, error.http_status, str(error))
            return
        cookie = f"{self._cookie_name}={token}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"
        cookie += "; Secure" if self._is_secure else ""
        body = json.dumps({"name": device.name, "role": device.role}).encode()
        await send_body(send, 200, b"application/json", body, (b"set-cookie", cookie.encode()))

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, device: Device) -> None:
        """Pass a request on. What arrives after the device was revoked is not taken, and its stream of events ends."""
        scope[VIEWER] = device.to_viewer()

        async def receive_while_paired() -> Message:
            message = await receive()
            return message if self._book.has(device.id) else {"type": "http.disconnect"}

        if scope["path"] == _LIVE and scope["method"] == "GET":
            await self._stream(scope, receive, send, device)
        else:
            await self._app(scope, receive_while_paired, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send, device: Device) -> None:
        if self._streams.get(device.id, 0) >= _STREAMS_OF_A_DEVICE:
            await answer(send, 429, "too many pages are open on this device")
            return
        self._streams[device.id] = self._streams.get(device.id, 0) + 1
        try:
            await self._stream_while_paired(scope, receive, send, device)
        finally:
            self._streams[device.id] -= 1

    async def _stream_while_paired(self, scope: Scope, receive: Receive, send: Send, device: Device) -> None:
        streaming = asyncio.ensure_future(self._app(scope, receive, send))
        try:
            while not streaming.done() and self._book.has(device.id):
                await asyncio.wait({streaming}, timeout=_LOOK_AGAIN_SECONDS)
        finally:
            if streaming.done():
                await streaming
            else:
                streaming.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await streaming
        if streaming.cancelled():
            with contextlib.suppress(RuntimeError):  # it may not have begun
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def find_role(method: str, path: str) -> Role:
    """The least role that may ask for this; what is in no rule is the owner's."""
    method = "GET" if method == "HEAD" else method
    fitting = [role for known, pattern, role in _RULES if known == method and pattern.match(path)]
    return min(fitting, default=Role.OWNER)


async def _read_small_body(receive: Receive) -> bytes:
    body: bytes = b""
    while len(body) <= _MOST_PAIR_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
    raise ValueError("expected a short body")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
