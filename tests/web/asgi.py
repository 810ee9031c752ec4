"""Asking a part of the server as the server does, without one: a scope in, an answer out."""

import asyncio
import json
from dataclasses import dataclass, field

from tests.coroutines import run_coroutine


@dataclass
class Answer:
    """What was sent back."""

    status: int = 0
    headers: list = field(default_factory=list)
    body: bytes = b""
    is_over: bool = False
    """Whether its end was sent."""

    def header(self, name):
        """The value of a header; None where there is none."""
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(found) <= 1, found
        return found[0] if found else None

    @property
    def error(self):
        """The reason of a refusal."""
        return json.loads(self.body)["error"]

    async def take(self, message):
        """Take in a message of the application."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.is_over = not message.get("more_body", False)


def scope_of(method, path, headers=(), query=b"", client=("192.168.1.9", 5)):
    """The scope of a request; headers by name, with `_` for `-`, or as pairs."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in pairs]
    return {
        "type": "http", "method": method, "path": path, "query_string": query, "headers": raw, "client": client
    }  # fmt: skip


def ask(app, method, path, headers=(), *, body=b"", query=b"", client=("192.168.1.9", 5)):
    """The answer of `app` to one request, whose body arrives in the parts of `body`."""
    parts = [body] if isinstance(body, bytes) else list(body)
    messages = [
        {"type": "http.request", "body": part, "more_body": place < len(parts)} for place, part in enumerate(parts, 1)
    ]
    waiting = iter(messages)
    answer = Answer()

    async def receive():
        return next(waiting, None) or await asyncio.Event().wait()  # who asked stays there

    run_coroutine(app(scope_of(method, path, headers, query, client), receive, answer.take))
    return answer
