"""How far a WebUI is with a task: `/internal/progress` by the task's id, else `/sdapi/v1/progress` of the whole server.

AUTOMATIC1111 and its forks answer both; SD.Next does not know our ids. The first one also tells whether the task still
waits for others, the second one whether somebody interrupted the server (`modules/progress.py`, `modules/api/api.py`).
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from stablenew.engines.engine import EngineImage
from stablenew.engines.webui.client import WebUIClient
from stablenew.engines.webui.replies import decode_image
from stablenew.errors import EngineError


class TaskProgress:
    """One task on one server, asked again and again while it runs."""

    def __init__(self, client: WebUIClient, task_id: str, *, wants_previews: bool = False) -> None:
        self._client = client
        self._task_id = task_id
        self._wants_previews = wants_previews
        self._preview_id = -1
        self._knows_tasks = True
        self._last: object = None
        self.fraction = 0.0
        """The part that is done; it never goes back."""
        self.is_queued = False
        """Whether the task waits for others, as far as the server can tell."""
        self.preview: EngineImage | None = None

    def poll(self) -> bool:
        """Ask the server; whether anything moved since the last time."""
        status = self._ask_task() if self._knows_tasks else None
        if status is None:
            self._knows_tasks = False
            status = self._ask_server()
        self.is_queued = bool(status.get("queued")) and not status.get("active")
        self.preview = self._read_preview(status)
        snapshot = (status.get("progress"), status.get("queued"), self._preview_id, str(status.get("state")))
        has_moved, self._last = snapshot != self._last, snapshot
        progress = status.get("progress")
        if isinstance(progress, (int, float)):
            self.fraction = min(0.99, max(self.fraction, float(progress)))
        return has_moved

    def was_interrupted(self) -> bool:
        """Whether somebody interrupted the job that ended last. The server forgets it when the next job begins."""
        state = self._ask_server().get("state")
        return isinstance(state, dict) and bool(state.get("interrupted") or state.get("stopping_generation"))

    def _ask_server(self) -> Mapping[str, Any]:
        without = str(not self._wants_previews).lower()
        status = self._client.find(f"/sdapi/v1/progress?skip_current_image={without}")
        return status if isinstance(status, dict) else {}

    def _ask_task(self) -> Mapping[str, Any] | None:
        body = {
            "id_task": self._task_id,
            "id_live_preview": self._preview_id,
            "live_preview": self._wants_previews,
        }
        with contextlib.suppress(EngineError):
            status = self._client.ask("/internal/progress", body)
            return status if isinstance(status, dict) else None
        return None

    def _read_preview(self, status: Mapping[str, Any]) -> EngineImage | None:
        text = status.get("live_preview") or status.get("current_image")
        if isinstance(status.get("id_live_preview"), int):
            self._preview_id = status["id_live_preview"]
        if not self._wants_previews or not text:
            return None
        with contextlib.suppress(EngineError):
            return decode_image(text)
        return None
