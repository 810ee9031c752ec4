"""What hooks in other programs report: messages, read ahead of their handling, and the files that they name."""

import json
import queue
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stablenew.recording.images.image_input import ImageInput, read_images
from stablenew.recording.side_channel import attempt, describe, log_error

_MOST_WAITING: Final = 1000


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file that a program has saved, as it was when the hook saw it."""

    path: Path
    kind: str | None = None
    """ComfyUI's folder of it: `output`, `temp` or `input`."""
    node: str | None = None
    size_bytes: int | None = None
    """None from hooks of earlier versions."""
    modified_ns: int | None = None
    is_animated: bool = False
    """The node said that it moves."""

    @classmethod
    def from_message(cls, fields: Mapping[str, Any]) -> "SavedFile":
        """The file that a message describes. Raises KeyError or TypeError: it names none."""
        node = fields.get("node")
        return cls(
            Path(str(fields["path"])),
            fields.get("type"),
            None if node is None else str(node),
            fields.get("size_bytes"),
            fields.get("modified_ns"),
            bool(fields.get("animated")),
        )

    @property
    def identity(self) -> tuple[str, int, int] | None:
        """Path, size and time of the file as it is now; None where it is gone. A rewritten file has another one."""
        status, _ = attempt(self.path.stat)
        return (str(self.path), status.st_size, status.st_mtime_ns) if status else None

    @property
    def is_rewritten(self) -> bool:
        """Whether the file was written again since the hook saw it."""
        now = self.identity
        if now is None or self.modified_ns is None:
            return False
        return now[1:] != (self.size_bytes, self.modified_ns)

    def read(self) -> ImageInput:
        """The bytes of the file, or why they are not those that the hook saw."""
        before = self.identity
        (image,) = read_images(self.path)
        if self.is_rewritten or before != self.identity:
            return ImageInput(None, problem=f"{self.path} was written again before it could be recorded")
        return image


class HookMessages:
    """Messages from a stream of lines, in order. A thread reads ahead, so that later ones are known to earlier ones."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._saved_again: Counter[str] = Counter()
        self._guard = threading.Lock()
        threading.Thread(target=self._read, name="stablenew-messages", daemon=True).start()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (message := self._queue.get()) is not None:
            with self._guard:
                self._saved_again[str(message.get("path"))] -= 1
            yield message

    def is_saved_again(self, path: Path) -> bool:
        """Whether a message that was not handled yet says that an image was saved under the same name."""
        with self._guard:
            return self._saved_again[str(path)] > 0

    def _read(self) -> None:
        for line in self._lines:
            message, error = attempt(json.loads, line)
            if not isinstance(message, dict):
                log_error(f"not recorded: {describe(error) if error else 'expected a message'}")
                continue
            with self._guard:
                self._saved_again[str(message.get("path"))] += 1
            self._queue.put(message)
        self._queue.put(None)
