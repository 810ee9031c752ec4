"""EngineHttpClient: talking HTTP to a program that makes images.

Every failure becomes an EngineError that says what to do. Only questions are asked twice: a request that makes images
may have been heard although no answer came.
"""

import contextlib
import time
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from stablenew.errors import ConfigError, EngineError

_ANSWER_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.3
_TOO_MANY: Final = 429
_BUSY: Final = {_TOO_MANY, 502, 503, 504}
_LONGEST_WAIT_SECONDS: Final = 60.0
_FIRST_WAIT_SECONDS: Final = 1.0
_OUT_OF_MEMORY: Final = ("OutOfMemory", "out of memory")


class EngineHttpClient:
    """One server. Threads may share it. Subclasses name the program and know how it words its errors."""

    program: ClassVar[str] = "server"
    default_url: ClassVar[str]
    start_hint: ClassVar[str] = "start it"
    memory_hint: ClassVar[str] = "try a smaller size or batch"

    def __init__(self, url: str = "", *, transport: httpx.BaseTransport | None = None) -> None:
        self.url, self.auth = split_auth(url or self.default_url)
        self._http = httpx.Client(
            base_url=self.url,
            auth=self.auth,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            transport=transport,
        )

    def __del__(self) -> None:
        """Closes the connections when the client is garbage collected."""
        with contextlib.suppress(AttributeError):
            self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer to a question: a GET, or with `body` a POST that changes nothing. Asked again when nobody answers.

        Raises:
            EngineError: there is no answer that can be understood.
        """
        return self._read(path, self._ask(path, body))

    def find(self, path: str) -> Any:
        """As `ask`, None where the server does not know the question: the programs differ in what they answer."""
        with contextlib.suppress(EngineError):
            return self.ask(path)
        return None

    def fetch(self, path: str) -> bytes:
        """The bytes behind a path, as they are.

        Raises:
            EngineError: there are none.
        """
        response = self._ask(path, None)
        if not response.is_success:
            raise EngineError(self._explain_status(path, response))
        return response.content

    def work(self, path: str, body: Any) -> Any:
        """What the server makes of `body`. It takes as long as it takes, and is asked once.

        Raises:
            EngineError: it did not come to an answer.
        """
        return self._post_once(path, json=body, timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS))

    def _post_once(self, path: str, **options: Any) -> Any:
        """The answer to a POST that is sent once, and again only where the server says that it took none of it."""
        pause, waited = _FIRST_WAIT_SECONDS, 0.0
        while True:
            try:
                response = self._http.post(path, **options)
            except httpx.TransportError as error:
                raise self._explain_transport(error) from None
            if response.status_code != _TOO_MANY or waited >= _LONGEST_WAIT_SECONDS:
                return self._read(path, response)
            time.sleep(seconds := _retry_after(response, pause))
            pause, waited = pause * 2, waited + seconds

    def _tell(self, path: str, body: Any = None) -> None:
        """Say something to the server. Whether it hears that is not known."""
        with contextlib.suppress(httpx.HTTPError):
            self._http.post(path, json=body)

    def _ask(self, path: str, body: Any) -> httpx.Response:
        for attempt in range(_TRIES):
            try:
                response = self._http.get(path) if body is None else self._http.post(path, json=body)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise self._explain_transport(error) from None
            else:
                if response.status_code not in _BUSY or attempt == _TRIES - 1:
                    return response
            time.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last attempt answers or raises")

    def _read(self, path: str, response: httpx.Response) -> Any:
        if not response.is_success:
            raise EngineError(self._explain_status(path, response))
        try:
            return response.json()
        except ValueError:
            kind = response.headers.get("content-type", "no type")
            raise EngineError(
                f"{self.url}{path} answered with {kind} instead of JSON; is this the address of a {self.program}?"
            ) from None

    def _explain_status(self, path: str, response: httpx.Response) -> str:
        said = self._detail(response)
        if response.status_code in (401, 403) and self.auth:
            return f"{self.url} refuses the name {self.auth[0]!r} or its password"
        if response.status_code in (401, 403):
            return f"{self.url} wants a name and a password: give --url http://NAME:PASSWORD@HOST:PORT"
        if is_out_of_memory(said):
            return self.explain_memory(said)
        return f"{self.url}{path} answered {response.status_code}: {said or 'without a reason'}"

    def explain_memory(self, said: str) -> str:
        """What to do about a server that ran out of memory and `said` so."""
        return f"the server ran out of memory; {self.memory_hint} ({said})"

    def explain_stall(self, seconds: float) -> EngineError:
        """What to do about a server of which nothing was heard for so long."""
        return EngineError(
            f"{self.url} has made no progress for {seconds:.0f} s; it may hang: look at its window, or start it again"
        )

    def _explain_transport(self, error: httpx.TransportError) -> EngineError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return EngineError(f"nobody answers at {self.url}; {self.start_hint}, or give its address with --url")
        if isinstance(error, httpx.TimeoutException):
            return EngineError(f"{self.url} does not answer; it may hang: look at its window")
        return EngineError(f"{self.url} broke off the connection ({error}); it may have crashed: look at its window")

    def _detail(self, response: httpx.Response) -> str:
        """What the server says went wrong, in its words."""
        return "" if "html" in response.headers.get("content-type", "") else response.text[:200]


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    """How long the server asks to wait, in seconds, within reason."""
    with contextlib.suppress(KeyError, ValueError):
        return min(max(float(response.headers["retry-after"]), 0.0), _LONGEST_WAIT_SECONDS)
    return min(otherwise, _LONGEST_WAIT_SECONDS)


def is_out_of_memory(said: str) -> bool:
    """Whether that is how PyTorch says that it has no memory left."""
    return any(word in said for word in _OUT_OF_MEMORY)


def whole_text(text: str) -> str:
    """`text` without halves of surrogate pairs, which no JSON can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def split_auth(url: str) -> tuple[str, tuple[str, str] | None]:
    """An address without name and password, and these.

    Raises:
        ConfigError: it is not an address of a server.
    """
    refusal = ConfigError(f"expected an address such as http://127.0.0.1:7860, found {url!r}")
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        host = parts.netloc.rpartition("@")[2]
        address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        is_sound = parts.scheme in ("http", "https") and httpx.URL(address).host and parts.port != 0
    except (ValueError, httpx.InvalidURL):  # brackets that do not close, a port out of range, a name that no host has
        raise refusal from None
    if not is_sound:
        raise refusal
    if parts.username is None:
        return address, None
    return address, (unquote(parts.username), unquote(parts.password or ""))
