"""Talking to a Stable Diffusion WebUI: AUTOMATIC1111, Forge, reForge or SD.Next, started with `--api`.

Every failure becomes an EngineError that says what to do. Only questions are asked twice: a request that makes images
may have been heard although no answer came.
"""

import contextlib
import time
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from stablenew.errors import ConfigError, EngineError

DEFAULT_URL: Final = "http://127.0.0.1:7860"
_ANSWER_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.3
_BUSY: Final = {502, 503, 504}
_OUT_OF_MEMORY: Final = ("OutOfMemoryError", "out of memory")


class WebUIClient:
    """One server. Threads may share it."""

    def __init__(self, url: str = "", *, transport: httpx.BaseTransport | None = None) -> None:
        address, auth = _split_auth(url or DEFAULT_URL)
        self.url = address
        self._http = httpx.Client(
            base_url=address,
            auth=auth,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            transport=transport,
        )

    def __del__(self) -> None:
        """An engine that somebody forgot lets go of its connections all the same."""
        with contextlib.suppress(AttributeError):
            self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer to a question: a GET, or with `body` a POST that changes nothing. Asked again when nobody answers.

        Raises:
            EngineError: there is no answer that can be understood.
        """
        for attempt in range(_TRIES):
            try:
                response = self._send(path, body)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise self._explain_transport(error) from None
            else:
                if response.status_code not in _BUSY or attempt == _TRIES - 1:
                    return self._read(path, response)
            time.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last attempt answers or raises")

    def find(self, path: str) -> Any:
        """As `ask`, None where the server does not know the question: the programs differ in what they answer."""
        with contextlib.suppress(EngineError):
            return self.ask(path)
        return None

    def work(self, path: str, body: Any) -> Any:
        """What the server makes of `body`. It takes as long as it takes, and is asked once.

        Raises:
            EngineError: it did not come to an answer.
        """
        try:
            response = self._http.post(path, json=body, timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS))
        except httpx.TransportError as error:
            raise self._explain_transport(error) from None
        return self._read(path, response)

    def interrupt(self) -> None:
        """Ask the server to stop what it does. Whether it hears that is not known."""
        with contextlib.suppress(httpx.HTTPError):
            self._http.post("/sdapi/v1/interrupt")

    def _send(self, path: str, body: Any) -> httpx.Response:
        return self._http.get(path) if body is None else self._http.post(path, json=body)

    def _read(self, path: str, response: httpx.Response) -> Any:
        if response.is_success:
            try:
                return response.json()
            except ValueError:
                kind = response.headers.get("content-type", "no type")
                raise EngineError(
                    f"{self.url}{path} answered with {kind} instead of JSON; is this the address of a WebUI?"
                ) from None
        raise EngineError(self._explain_status(path, response))

    def _explain_status(self, path: str, response: httpx.Response) -> str:
        said = _detail(response)
        if response.status_code in (401, 403):
            return f"{self.url} wants a name and a password: give --url http://NAME:PASSWORD@HOST:PORT"
        if any(word in said for word in _OUT_OF_MEMORY):
            return f"the server ran out of memory; try a smaller size or batch, or start it with --medvram ({said})"
        if response.status_code == 404 and path.startswith("/sdapi/") and said in ("Not Found", ""):
            return f"{self.url} has no {path}; start the WebUI with --api"
        return f"{self.url}{path} answered {response.status_code}: {said or 'without a reason'}"

    def _explain_transport(self, error: httpx.TransportError) -> EngineError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return EngineError(
                f"nobody answers at {self.url}; start the WebUI with --api, or give its address with --url"
            )
        if isinstance(error, httpx.TimeoutException):
            return EngineError(f"{self.url} does not answer; it may hang: look at its window")
        return EngineError(f"{self.url} broke off the connection ({error}); it may have crashed: look at its window")


def _split_auth(url: str) -> tuple[str, tuple[str, str] | None]:
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"expected an address such as {DEFAULT_URL}, found {url!r}")
    host = parts.netloc.rpartition("@")[2]
    address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if parts.username is None:
        return address, None
    return address, (unquote(parts.username), unquote(parts.password or ""))


def _detail(response: httpx.Response) -> str:
    """What the server says went wrong. The programs put it under `detail`, `errors` or `error`, FastAPI into a list."""
    try:
        body = response.json()
    except ValueError:
        return "" if "html" in response.headers.get("content-type", "") else response.text[:200]
    if not isinstance(body, dict):
        return str(body)[:200]
    detail = body.get("detail")
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg')}" for one in detail if isinstance(one, dict)
        )
    parts = [str(body[key]) for key in ("error", "detail", "errors") if body.get(key)]
    return ": ".join(dict.fromkeys(parts))[:400]
