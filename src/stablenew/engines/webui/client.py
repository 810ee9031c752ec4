"""Talking to a Stable Diffusion WebUI: AUTOMATIC1111, Forge, reForge or SD.Next, started with `--api`."""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from stablenew.engines.engine_http import EngineHttpClient


class WebUIClient(EngineHttpClient):
    """One WebUI. Threads may share it."""

    program: ClassVar[str] = "WebUI"
    default_url: ClassVar[str] = "http://127.0.0.1:7860"
    start_hint: ClassVar[str] = "start the WebUI with --api"
    memory_hint: ClassVar[str] = "try a smaller size or batch, or start it with --medvram"

    def interrupt(self) -> None:
        """Ask the server to stop what it does. Whether it hears that is not known."""
        self._tell("/sdapi/v1/interrupt")

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Set options of the server. Whether it takes them is not known."""
        self._tell("/sdapi/v1/options", dict(options))

    def _explain_status(self, path: str, response: httpx.Response) -> str:
        if response.status_code == 404 and path.startswith("/sdapi/") and self._detail(response) in ("Not Found", ""):
            return f"{self.url} has no {path}; {self.start_hint}"
        return super()._explain_status(path, response)

    def _detail(self, response: httpx.Response) -> str:
        """The programs put it under `error`, `detail`, `errors` or `message`, FastAPI into a list."""
        try:
            body = response.json()
        except ValueError:
            return super()._detail(response)
        if not isinstance(body, dict):
            return str(body)[:200]
        detail = body.get("detail")
        if isinstance(detail, list):
            return "; ".join(
                f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}"
                for item in detail
                if isinstance(item, dict)
            )
        parts = [str(body[key]) for key in ("error", "detail", "errors", "message") if body.get(key)]
        return ": ".join(dict.fromkeys(parts))[:400]
