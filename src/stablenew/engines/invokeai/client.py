"""Talking to InvokeAI: its queue, its images, its models. Fields are those of the OpenAPI of 6.14.2."""

import contextlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote

import httpx

from stablenew.engines.engine_http import EngineHttpClient
from stablenew.errors import EngineError

_QUEUE: Final = "/api/v1/queue/default"
ORIGIN: Final = "stablenew"
"""Stands at every item that is queued here."""
_MOST_WORDS: Final = 300


class InvokeAIClient(EngineHttpClient):
    """One InvokeAI."""

    program: ClassVar[str] = "InvokeAI"
    default_url: ClassVar[str] = "http://127.0.0.1:9090"
    start_hint: ClassVar[str] = "start InvokeAI"
    memory_hint: ClassVar[str] = "try a smaller size"

    def enqueue(self, graph: Mapping[str, Any]) -> int:
        """Queue a graph; the number of its item.

        Raises:
            EngineError: the server refuses it.
        """
        body = {"batch": {"graph": graph, "runs": 1, "origin": ORIGIN}, "prepend": False}
        answer = self._post_once(f"{_QUEUE}/enqueue_batch", json=body)
        items = answer.get("item_ids") if isinstance(answer, dict) else None
        if not items:
            raise EngineError(f"{self.url} took nothing into its queue; is this the address of an InvokeAI?")
        return int(items[0])

    def read_item(self, item_id: int) -> Mapping[str, Any]:
        """An item of the queue: its status, and when it is through what each node made.

        Raises:
            EngineError: there is no answer, or no such item.
        """
        answer = self.ask(f"{_QUEUE}/i/{item_id}")
        if not isinstance(answer, dict) or "status" not in answer:
            raise EngineError(f"{self.url} does not know the item {item_id} of its queue any more")
        return answer

    def list_items(self) -> list[int]:
        """The numbers of the items that the queue holds, ended ones included, in the order they came.

        Raises:
            EngineError: there is no answer.
        """
        answer = self.ask(f"{_QUEUE}/item_ids?order_dir=ASC")
        ids = answer.get("item_ids") if isinstance(answer, dict) else None
        return [item_id for item_id in ids or () if isinstance(item_id, int)]

    def cancel(self, item_id: int) -> None:
        """Take an item out of the queue, or stop it; nobody else's work is touched. Whether it hears is not known."""
        with contextlib.suppress(httpx.HTTPError):
            self._http.put(f"{_QUEUE}/i/{item_id}/cancel")

    def download(self, name: str) -> bytes:
        """The exact bytes of an image.

        Raises:
            EngineError: the server has it no more.
        """
        return self.fetch(f"/api/v1/images/i/{quote(name, safe='')}/full")

    def list_models(self) -> list[Mapping[str, Any]]:
        """The models it has, of every kind.

        Raises:
            EngineError: there is no answer.
        """
        answer = self.ask("/api/v2/models/")
        models = answer.get("models") if isinstance(answer, dict) else None
        return [model for model in models or () if isinstance(model, dict)]

    def find_version(self) -> str:
        """Its version, empty where it does not answer."""
        answer = self.find("/api/v1/app/version")
        return str(answer.get("version") or "") if isinstance(answer, dict) else ""

    def _detail(self, response: httpx.Response) -> str:
        """FastAPI puts what is wrong with a body into a list, of which a line can name every node there is."""
        try:
            detail = response.json().get("detail")
        except (ValueError, AttributeError):
            return super()._detail(response)
        if isinstance(detail, list):
            found = (entry for entry in detail if isinstance(entry, dict))
            detail = "; ".join(
                f"{'.'.join(map(str, entry.get('loc', ())))}: {str(entry.get('msg'))[:_MOST_WORDS]}" for entry in found
            )
        return str(detail or "")[: 2 * _MOST_WORDS]
