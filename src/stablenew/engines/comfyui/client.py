"""Talking to ComfyUI: its HTTP calls, and its websocket for as long as that holds.

Fields are those of ComfyUI's `server.py` and `execution.py` (0.3.64).
"""

import base64
import contextlib
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import urlencode

import httpx

from stablenew.engines.comfyui.graph import Graph
from stablenew.engines.engine_http import EngineHttpClient
from stablenew.errors import EngineError
from stablenew.formats.strict_json import parse_loose_json

_LONGEST_REASON: Final = 1000
_UPLOAD_FOLDER: Final = "stablenew"
OWN_MARK: Final = {"stablenew": {"is_recorded": True}}
"""Stands in `extra_data` of every prompt that is submitted here."""
LEFT_OUT: Final = "ComfyUI left a part of the workflow out: {}"
"""What a person is told of an answer that accepts a prompt and has errors of nodes all the same."""
_CONNECT_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0
_RECONNECT_SECONDS: Final = 5.0


class ImageAddress(NamedTuple):
    """Where the server has an image."""

    filename: str
    subfolder: str
    type: str
    """`output`, `temp` or `input`."""


class ComfyUIClient(EngineHttpClient):
    """One ComfyUI."""

    program: ClassVar[str] = "ComfyUI"
    default_url: ClassVar[str] = "http://127.0.0.1:8188"
    start_hint: ClassVar[str] = "start ComfyUI"
    memory_hint: ClassVar[str] = "try a smaller size, or start it with --lowvram"

    def submit(self, graph: Graph, client_id: str) -> tuple[str, str]:
        """Queue a workflow. Returns its id, and what the server left out of it: it runs the outputs that are valid.

        The prompt is marked as ours, so that a recorder inside ComfyUI does not record it a second time.

        Raises:
            EngineError: the server refuses it; the message names the nodes and what is wrong with them.
        """
        answer = self._post_once("/prompt", json={"prompt": graph, "client_id": client_id, "extra_data": OWN_MARK})
        if not isinstance(answer, dict) or not answer.get("prompt_id"):
            raise EngineError(f"{self.url}/prompt gave no id; is this the address of a ComfyUI?")
        return str(answer["prompt_id"]), describe_node_errors(answer)

    def find_history(self, prompt_id: str) -> Mapping[str, Any] | None:
        """What the server remembers of a finished prompt, None as long as it is not finished.

        Raises:
            EngineError: there is no answer.
        """
        answer = self.ask(f"/history/{prompt_id}")
        entry = answer.get(prompt_id) if isinstance(answer, dict) else None
        return entry if isinstance(entry, dict) else None

    def queue_position(self, prompt_id: str) -> int | None:
        """0 while the prompt runs, how many are before it while it waits, None where the server does not know it."""
        answer = self.ask("/queue")
        running, pending = ([*answer.get(name, ())] for name in ("queue_running", "queue_pending"))
        if any(item[1] == prompt_id for item in running):
            return 0
        waiting = sorted((item[0], item[1]) for item in pending)
        return next((place + 1 for place, (_, key) in enumerate(waiting) if key == prompt_id), None)

    def stop(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or interrupt it where it runs already; nobody else's work is touched."""
        self._tell("/queue", {"delete": [prompt_id]})
        with contextlib.suppress(EngineError):
            if self.queue_position(prompt_id) == 0:
                self._tell("/interrupt", {"prompt_id": prompt_id})

    def upload(self, name: str, data: bytes, media_type: str) -> str:
        """Hand over an image for LoadImage; what the node has to be told.

        Raises:
            EngineError: the server did not take it.
        """
        answer = self._post_once(
            "/upload/image",
            files={"image": (name, data, media_type)},
            data={"type": "temp", "subfolder": _UPLOAD_FOLDER, "overwrite": "true"},
        )
        folder = f"{answer['subfolder']}/" if answer.get("subfolder") else ""
        return f"{folder}{answer['name']} [{answer.get('type', 'temp')}]"

    def download(self, address: ImageAddress) -> bytes:
        """The exact bytes of an image.

        Raises:
            EngineError: the server has it no more.
        """
        return self.fetch(f"/view?{urlencode(address._asdict())}")

    def choices(self, kind: str, name: str) -> list[str]:
        """The values that an input of a class of nodes can take; empty where the server has no such class or list.

        Raises:
            EngineError: there is no answer.
        """
        inputs = self._describe_node(kind).get("input") or {}
        spec = (inputs.get("required") or {}).get(name) or (inputs.get("optional") or {}).get(name) or [[]]
        values = spec[1].get("options", []) if spec[0] == "COMBO" and len(spec) > 1 else spec[0]
        return [str(value) for value in values] if isinstance(values, list) else []

    def is_there(self) -> bool:
        """Whether the server answers now; asked once."""
        try:
            return bool(self._http.get("/queue").is_success)
        except httpx.TransportError:
            return False

    def has_node(self, kind: str) -> bool:
        """Whether the server knows a class of nodes.

        Raises:
            EngineError: there is no answer.
        """
        return bool(self._describe_node(kind))

    def _describe_node(self, kind: str) -> dict[str, Any]:
        """A class of nodes as the server describes it; empty where it has no such class."""
        answer = self.ask(f"/object_info/{kind}")
        found = answer.get(kind) if isinstance(answer, dict) else None
        return found if isinstance(found, dict) else {}

    def _explain_status(self, path: str, response: httpx.Response) -> str:
        if path == "/prompt" and response.status_code == 400:
            return f"ComfyUI refuses the workflow: {self._detail(response)}"
        return super()._explain_status(path, response)

    def _detail(self, response: httpx.Response) -> str:
        """An error of the whole prompt, and those of its nodes."""
        try:
            body = response.json()
        except ValueError:
            return super()._detail(response)
        return describe_refusal(body)


def describe_refusal(body: Any) -> str:
    """Why a prompt was refused, in the answer's words: its nodes' errors, or else the one of the whole prompt."""
    error = body.get("error") if isinstance(body, dict) else body
    whole = error.get("message") if isinstance(error, dict) else str(error)
    if isinstance(error, dict) and error.get("details"):
        whole = f"{whole} {error['details']}"
    return (describe_node_errors(body) or str(whole))[:_LONGEST_REASON]


def describe_node_errors(body: Any) -> str:
    """The errors of nodes in an answer to a prompt: one that was refused, or one that was accepted in part."""
    nodes = (body.get("node_errors") or {}) if isinstance(body, dict) else {}
    return "; ".join(
        f"node {key} ({found.get('class_type')}): {error.get('message')}: {error.get('details')}"
        for key, found in nodes.items()
        for error in found.get("errors", ())
    )


class ComfyUISocket:
    """What the server tells a client as it happens. A connection that cannot be made or breaks is tried again later."""

    def __init__(self, client: ComfyUIClient, client_id: str) -> None:
        scheme, _, rest = client.url.partition("://")
        self._url = f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws?clientId={client_id}"
        self._headers = {}
        if client.auth:
            token = base64.b64encode(":".join(client.auth).encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {token}"
        self._connection: Any = None
        self._open = contextlib.ExitStack()
        self._next_try = 0.0

    def connect(self) -> bool:
        """Connect, unless connected already or tried a moment ago. Returns whether there is a connection now."""
        from websockets.exceptions import WebSocketException  # noqa: PLC0415
        from websockets.sync.client import connect  # noqa: PLC0415

        if self._connection is None and time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + _RECONNECT_SECONDS
            with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                self._connection = self._open.enter_context(
                    connect(
                        self._url,
                        additional_headers=self._headers,
                        max_size=None,  # previews of any size
                        open_timeout=_CONNECT_SECONDS,
                        close_timeout=_CLOSE_SECONDS,
                        proxy=None,
                    )
                )
        return self._connection is not None

    def receive(self, timeout: float) -> Mapping[str, Any] | bytes | None:
        """The next message, None when none came in time or there is no connection."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        if not self.connect():
            time.sleep(timeout)
            return None
        try:
            message = self._connection.recv(timeout=timeout)
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError):
            self.close()
            return None
        if isinstance(message, bytes):
            return message
        with contextlib.suppress(ValueError):
            parsed = parse_loose_json(message)
            return parsed if isinstance(parsed, dict) else None
        return None

    def close(self) -> None:
        """Break off the connection."""
        self._connection = None
        with contextlib.suppress(OSError):
            self._open.close()
