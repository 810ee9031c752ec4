"""Guard: who may talk to the server. Everything here is about other pages in the same browser, and other users.

The server listens on the loopback interface only. A page of another site can still send requests there, under any name
it makes point there; so names, origins and the kind of request are checked, and everything needs a cookie that only
the one-time link of `stablenew serve` gives.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
TOO_LARGE: Final = f"expected at most {MAX_BODY_BYTES:,} bytes"
_MOST_LENGTH_DIGITS: Final = 19
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
READ_ONLY: Final = "this page was started with --read-only: nothing can be changed here"
COOKIE_SECONDS: Final = 400 * 24 * 3600
_RULES: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS: Final = (
    (b"content-security-policy", "; ".join(_RULES).encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
"""On every answer, unless the answer sets one of them itself."""

_NO_ENTRY: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>StableNew</title>"
    "<h1>This page needs a link of its own</h1><p>{reason}</p>"
    "<p>Type <code>stablenew serve</code> in a terminal: it opens the page, or prints a fresh link to it, also while "
    "another one is running.</p></html>"
)


class Keys:
    """The secret of a store's page: what cookies and links are made of.

    Cookies stay good when the server is started again, links are good once and for one server only.
    """

    def __init__(self, secret: bytes, instance: str) -> None:
        self._secret = secret
        self._instance = instance
        self._used: set[str] = set()

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._secret, "\0".join(parts).encode(), hashlib.sha256).hexdigest()

    @property
    def cookie(self) -> str:
        """The value of the cookie."""
        return self._sign("cookie")

    def build_token(self) -> str:
        """A fresh token for a link. Whoever knows the secret can make one; the server need not be asked."""
        nonce = secrets.token_hex(8)
        return nonce + self._sign("token", self._instance, nonce)[:32]

    def use_token(self, token: str) -> bool:
        """Whether a token is good; from then on it is not."""
        nonce = token[:16]
        is_good = hmac.compare_digest(self._sign("token", self._instance, nonce)[:32].encode(), token[16:].encode())
        if not is_good or nonce in self._used:
            return False
        self._used.add(nonce)
        return True


class Guard:
    """Lets a request through to `app`, or answers it itself. Adds the security headers to every answer."""

    def __init__(self, app: App, *, port: int, keys: Keys, is_read_only: bool = False) -> None:
        self._app = app
        self._keys = keys
        self._is_read_only = is_read_only
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._origins = frozenset(f"http://{host}" for host in self._hosts)
        self._cookie_name = f"stablenew-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = with_headers(send)
        headers = read_headers(scope)
        refusal = self._refusal(scope, headers)
        token = _token_of(scope)
        if refusal is not None:
            await answer(send, *refusal)
        elif token is not None:
            await self._enter(send, token, headers)
        elif not self._has_cookie(headers):
            await _answer_no_entry(send, "It was opened without the link that lets it in.")
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        refusal = find_refusal(scope, headers, self._hosts, self._origins)
        if refusal is None and self._is_read_only and scope["method"] not in SAFE_METHODS and self._has_cookie(headers):
            return 403, READ_ONLY
        return refusal

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        wanted = self._keys.cookie.encode()
        values = find_cookies(headers.get("cookie", ""), self._cookie_name)
        return any(hmac.compare_digest(value.encode(), wanted) for value in values)

    async def _enter(self, send: Send, token: str, headers: dict[str, str]) -> None:
        if not self._keys.use_token(token) and not self._has_cookie(headers):
            await _answer_no_entry(send, "The link was used before, or is of a server that has ended.")
            return
        cookie = f"{self._cookie_name}={self._keys.cookie}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict"
        extra = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": extra})
        await send({"type": "http.response.body", "body": b""})


def find_refusal(
    scope: Scope, headers: dict[str, str], hosts: frozenset[str], origins: frozenset[str]
) -> tuple[int, str] | None:
    """Status and reason, if this is nothing that our own page would send."""
    if headers.get("host", "") not in hosts:
        return 421, f"this server answers to {' and '.join(sorted(hosts))} only"
    is_navigation = (
        headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and scope["method"] == "GET"
    )
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not is_navigation:
        return 403, "requests of other sites are refused"
    return None if scope["method"] in SAFE_METHODS else _find_refusal_to_write(headers, origins)


def _find_refusal_to_write(headers: dict[str, str], origins: frozenset[str]) -> tuple[int, str] | None:
    if headers.get("origin") not in origins:
        return 403, "requests that change something must come from the page itself (header Origin)"
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "expected application/json"
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return 411, "expected a Content-Length"
    if len(length) > _MOST_LENGTH_DIGITS or int(length) > MAX_BODY_BYTES:
        return 413, TOO_LARGE
    return None


def read_headers(scope: Scope) -> dict[str, str]:
    """Every header by its name; several of one name are joined, cookies as one header of them would be."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}" if name in headers else value
    return headers


def find_cookies(header: str, name: str) -> list[str]:
    """The values of every cookie of this name, read as browsers write them.

    Cookies are shared by all programs on a host, whatever their port, so any others may be among ours.
    """
    pairs = (part.partition("=") for part in header.split(";"))
    return [value.strip().strip('"') for key, _, value in pairs if key.strip() == name]


def _token_of(scope: Scope) -> str | None:
    if scope["path"] != "/" or scope["method"] != "GET" or b"token=" not in scope["query_string"]:
        return None
    tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return tokens[0] if tokens else None


def with_headers(send: Send) -> Send:
    """`send`, with the security headers on every answer."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            names = {name.lower() for name, _ in own}
            message["headers"] = own + [(name, value) for name, value in HEADERS if name not in names]
        await send(message)

    return send_with_headers


async def answer(send: Send, status: int, reason: str) -> None:
    """Answer with a reason in JSON."""
    await send_body(send, status, b"application/json", json.dumps({"error": reason}).encode())


async def _answer_no_entry(send: Send, reason: str) -> None:
    await send_body(send, 401, b"text/html; charset=utf-8", _NO_ENTRY.format(reason=reason).encode())


async def send_body(send: Send, status: int, media_type: bytes, body: bytes, *extra: tuple[bytes, bytes]) -> None:
    """Answer with a body that is not cached."""
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
