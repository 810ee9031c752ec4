"""How far a prompt is, from what ComfyUI's websocket says. Pure."""

import contextlib
import struct
from collections.abc import Mapping
from typing import Any, Final

from stablenew.engines.comfyui.graph import Graph
from stablenew.engines.engine import EngineImage
from stablenew.engines.image_reading import read_image
from stablenew.errors import EngineError
from stablenew.formats.strict_json import parse_loose_json

_PREVIEW: Final = 1
_PREVIEW_WITH_METADATA: Final = 4
ENDS: Final = {"execution_success", "execution_error", "execution_interrupted"}


class PromptProgress:
    """One prompt. A node with steps counts as many times as it has steps: sampling is what takes the time."""

    def __init__(self, graph: Graph, prompt_id: str, *, wants_previews: bool = False) -> None:
        self._weights = {key: _weight(node["inputs"]) for key, node in graph.items()}
        self._total = sum(self._weights.values()) or 1.0
        self._prompt_id = prompt_id
        self._wants_previews = wants_previews
        self._done: set[str] = set()
        self._current: tuple[str, float] | None = None
        self.fraction = 0.0
        self.is_over = False
        """Whether the server says that it is through with the prompt, whatever came of it."""
        self.preview: EngineImage | None = None
        """What the last message showed."""

    def take(self, message: Mapping[str, Any] | bytes) -> bool:
        """Take in a message; whether it was about this prompt."""
        self.preview = None
        if isinstance(message, bytes):
            return self._take_preview(message)
        data = message.get("data")
        if not isinstance(data, dict) or data.get("prompt_id") != self._prompt_id:
            return False
        kind = message.get("type")
        if kind in ENDS or (kind == "executing" and data.get("node") is None):
            self.is_over = True
        elif kind == "execution_cached":
            self._done.update(map(str, data.get("nodes") or ()))
        elif kind == "executing":
            self._finish_current(str(data["node"]))
        elif kind == "progress" and data.get("max"):
            self._current = (str(data.get("node")), min(1.0, float(data["value"]) / float(data["max"])))
        self._count()
        return True

    def _finish_current(self, following: str) -> None:
        if self._current is not None:
            self._done.add(self._current[0])
        self._current = (following, 0.0)

    def _count(self) -> None:
        done = sum(self._weights.get(key, 0.0) for key in self._done)
        if self._current is not None and self._current[0] not in self._done:
            done += self._weights.get(self._current[0], 0.0) * self._current[1]
        self.fraction = min(0.99, max(self.fraction, done / self._total))

    def _take_preview(self, message: bytes) -> bool:
        """Binary: the kind of event, then a preview as JPEG or PNG, behind its format or its metadata."""
        if not self._wants_previews or len(message) < 8:
            return False
        kind, size = struct.unpack(">II", message[:8])
        with contextlib.suppress(EngineError, ValueError):
            if kind == _PREVIEW:
                self.preview = read_image(message[8:])
                return True
            if kind == _PREVIEW_WITH_METADATA:
                about = parse_loose_json(message[8 : 8 + size])
                if isinstance(about, dict) and about.get("prompt_id") in (None, self._prompt_id):
                    self.preview = read_image(message[8 + size :])
                    return True
        return False


def _weight(inputs: Mapping[str, Any]) -> float:
    steps = inputs.get("steps")
    return float(steps) if isinstance(steps, (int, float)) else 1.0
