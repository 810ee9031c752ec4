"""LiveHub: what happens, told to every open page at once by server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

_KEEP_ALIVE_SECONDS: Final = 15.0
_MOST_WAITING: Final = 1000


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
        """Let every page go, so that the server can end."""
        self._is_closed = True
        for page in list(self._pages):
            page.wake.set()

    def publish(self, event: str, data: Any, *, key: str | None = None) -> None:
        """Tell every page. Of several waiting messages of one `key` only the last is worth sending."""
        if not self._pages or self._loop is None:
            return
        text = f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
        with contextlib.suppress(RuntimeError):  # the loop has just ended
            self._loop.call_soon_threadsafe(self._put, key, text)

    def _put(self, key: str | None, text: str) -> None:
        for page in self._pages:
            page.put(key, text)

    async def stream(self) -> AsyncIterator[bytes]:
        """What one page hears, until it goes away or the server ends."""
        page = _Page()
        self._pages.add(page)
        try:
            yield b"retry: 500\nevent: hello\ndata: {}\n\n"
            while not self._is_closed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(page.wake.wait(), _KEEP_ALIVE_SECONDS)
                yield page.take().encode() or b": still here\n\n"
        finally:
            self._pages.discard(page)


class _Page:
    """What waits to be sent to one page."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self._waiting: dict[str, str] = {}
        self._count = 0

    def put(self, key: str | None, text: str) -> None:
        self._count += 1
        self._waiting.pop(key or "", None)
        self._waiting[key or str(self._count)] = text
        if len(self._waiting) > _MOST_WAITING:  # it does not listen; when it does, it should ask for everything
            self._waiting = {"reset": 'event: changes\ndata: {"changes":[],"jobs":{},"is_reset":true}\n\n'}
        self.wake.set()

    def take(self) -> str:
        text = "".join(self._waiting.values())
        self._waiting.clear()
        self.wake.clear()
        return text
