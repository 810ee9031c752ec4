"""LiveHub: publishes what happens to every open page, by server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

Select = Callable[[str, Any], Any]
"""What a page gets of an event and its data; None where it gets nothing."""
_KEEP_ALIVE_SECONDS: Final = 15.0
_MAX_WAITING: Final = 1000


class LiveHub:
    """Pages subscribe, any thread publishes."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pages: set[_Page] = set()
        self._is_closed = False

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish from now on, through the loop that serves the pages."""
        self._loop = loop

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for page in list(self._pages):
            page.wake.set()

    def publish(self, event: str, data: Any, *, key: str | None = None) -> None:
        """Send an event to every page. Of several waiting events with the same `key` only the last is sent."""
        if not self._pages or self._loop is None:
            return
        text = _write(event, data)
        selected = [(page, page.select(event, data)) for page in list(self._pages) if page.select is not None]
        with contextlib.suppress(RuntimeError):  # the loop has just ended
            self._loop.call_soon_threadsafe(self._put, key, text)
            for page, part in selected:
                if part is not None:
                    self._loop.call_soon_threadsafe(page.put, key, _write(event, part))

    def _put(self, key: str | None, text: str) -> None:
        for page in self._pages:
            if page.select is None:
                page.put(key, text)

    async def stream(self, select: Select | None = None) -> AsyncIterator[bytes]:
        """The events of one page, or what it may have of them, until it disconnects or the server stops."""
        page = _Page(select)
        self._pages.add(page)
        try:
            yield b"retry: 500\nevent: hello\ndata: {}\n\n"
            while not self._is_closed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(page.wake.wait(), _KEEP_ALIVE_SECONDS)
                yield page.take().encode() or b": still here\n\n"
        finally:
            self._pages.discard(page)


def _write(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


class _Page:
    """The events that wait to be sent to one page."""

    def __init__(self, select: Select | None) -> None:
        self.select = select
        self.wake = asyncio.Event()
        self._waiting: dict[str, str] = {}
        self._count = 0

    def put(self, key: str | None, text: str) -> None:
        """Add an event; one with the same key that still waits is replaced."""
        self._count += 1
        self._waiting.pop(key or "", None)
        self._waiting[key or str(self._count)] = text
        if (
            len(self._waiting) > _MAX_WAITING
        ):  # it has stopped reading; when it reads again, it should reload everything
            self._waiting = {"reset": 'event: changes\ndata: {"changes":[],"jobs":{},"is_reset":true}\n\n'}
        self.wake.set()

    def take(self) -> str:
        """All events that wait, as they are sent; then none waits."""
        text = "".join(self._waiting.values())
        self._waiting.clear()
        self.wake.clear()
        return text
