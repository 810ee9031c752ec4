"""What an endpoint of the JSON API is: its address, what it takes, what it returns, and how errors are reported.

Endpoints are plain functions; they run in threads, because they wait for disks. Answers carry the names that the
command line prints with `--json`.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stablenew.errors import ConfigError, InvalidQuery, StableNewError
from stablenew.web.guard import MAX_BODY_BYTES, TOO_LARGE
from stablenew.web.lan.roles import Viewer, role_for, viewer_of, without_places

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stablenew.web.context import WebContext

_LOG: Final = logging.getLogger("stablenew")
_BODY_SECONDS: Final = 60.0
_LARGEST_INTEGER: Final = 2**63 - 1
_MOST_DIGITS: Final = 20
NO_STORE: Final = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query string."""

    name: str
    description: str
    kind: str = "string"
    """`string`, `integer`, `number`, or `numbers`: numbers of jobs with commas between them."""
    default: Any = None


QUERY: Final = Parameter("query", "A search, in the query language of history.", default="")


class Call:
    """One request: its path, its parameters, its body."""

    def __init__(self, context: "WebContext", endpoint: "Endpoint", request: Request, body: bytes) -> None:
        self.context = context
        self.path = request.path_params
        self.viewer: Viewer = viewer_of(request.scope)
        """Who asks."""
        self._endpoint = endpoint
        self._request = request
        self._body = body

    def get(self, name: str) -> Any:
        """The value of a parameter, or its default.

        Raises:
            ConfigError: it is not of its kind.
        """
        parameter = next(known for known in self._endpoint.parameters if known.name == name)
        text = self._request.query_params.get(name)
        if text is None:
            return parameter.default
        try:
            return _READERS[parameter.kind](text)
        except ValueError:
            raise ConfigError(f"expected {name} to be of kind {parameter.kind}, found {text[:60]!r}") from None

    @property
    def rater(self) -> str:
        """The name under which feedback of who asks is kept."""
        return self.viewer.rater or self.context.controller.feedback.rater

    def header(self, name: str) -> str | None:
        """A header of the request; None when it has none of this name."""
        return self._request.headers.get(name)

    def body(self, kind: "type[BaseModel]") -> Any:
        """The body as `kind`.

        Raises:
            ConfigError: it is not what was expected; the message names the field.
        """
        from pydantic import ValidationError  # noqa: PLC0415

        from stablenew.formats.model_base import explain  # noqa: PLC0415

        try:
            return kind.model_validate_json(self._body or b"{}")
        except ValidationError as error:
            raise ConfigError(f"not what {self._endpoint.path} takes: {explain(error)}") from None


def _read_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text has no NUL")
    return text


def _read_integer(text: str) -> int:
    """An integer of at most 64 bits: what the index and NumPy can hold."""
    if len(text) > _MOST_DIGITS or abs(value := int(text)) > _LARGEST_INTEGER:
        raise ValueError("too large")
    return value


def _read_number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a number")
    return value


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "string": _read_text,
    "integer": _read_integer,
    "number": _read_number,
    "numbers": lambda text: [_read_integer(part) for part in text.split(",") if part],
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of the API."""

    method: str
    path: str
    """With `{run_id}` and the like in it."""
    summary: str
    handler: Callable[[Call], Any]
    """Returns what becomes JSON, or a Response."""
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    """The name in `bodies` of what it takes."""
    media_type: str = "application/json"

    async def answer(self, context: "WebContext", request: Request) -> Response:
        """Answer a request."""
        if viewer_of(request.scope).role < role_for(self.method, self.path):
            return json_response({"error": "this device may not do that"}, 403)
        try:
            body = await _read_body(request) if self.method == "POST" else b""
        except _BodyTooLarge:
            return json_response({"error": TOO_LARGE}, 413)
        except TimeoutError:
            return json_response({"error": f"the body did not arrive within {_BODY_SECONDS:.0f} s"}, 408)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return await run_in_threadpool(self._answer, Call(context, self, request, body))

    def _answer(self, call: Call) -> Response:
        try:
            result = self.handler(call)
        except (StableNewError, OSError) as error:
            return json_response(without_places(describe_error(error), call.viewer), status_of(error))
        return result if isinstance(result, Response) else json_response(result)


class _BodyTooLarge(Exception):
    """More bytes arrive than any request of the page has."""


async def _read_body(request: Request) -> bytes:
    """The body, counted as it arrives: a length that was announced may be wrong."""
    parts, size = [], 0
    async with asyncio.timeout(_BODY_SECONDS):
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise _BodyTooLarge
            parts.append(part)
    return b"".join(parts)


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as the body of an answer that is not cached."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Response(data, status, media_type="application/json", headers=NO_STORE)


def status_of(error: StableNewError | OSError) -> int:
    """The HTTP status that reports an error; one that is the server's own is logged as well."""
    status = error.http_status if isinstance(error, StableNewError) else 500
    if status >= 500:
        _LOG.error("the page asked for something that failed: %s", error)
    return status


def describe_error(error: Exception) -> dict[str, Any]:
    """An error in JSON; for a query, also the position of the mistake."""
    described: dict[str, Any] = {"error": str(error), "type": type(error).__name__}
    if isinstance(error, InvalidQuery):
        described |= {"error": error.reason, "position": error.position}
    return described
