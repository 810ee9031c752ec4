"""The page itself: files that come with the program, read once, served from memory.

One HTML file is the page of every screen; which screen it shows is the address's business, and so the browser's.
"""

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from stablenew.formats.digest import digest_bytes

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SCREENS: Final = ("/", "/review", "/runs/{run_id}", "/new", "/insights", "/health", "/import")
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, with the tag that changes when it does."""

    data: bytes
    media_type: str
    tag: str


def read_page_files() -> dict[str, PageFile]:
    """Every file of the page by its path."""
    return dict(_walk(resources.files("stablenew.web") / "static", ""))


def _walk(folder: "Traversable", prefix: str) -> "list[tuple[str, PageFile]]":
    found = []
    for item in folder.iterdir():
        suffix = item.name.rpartition(".")[2]
        if item.is_dir():
            found += _walk(item, f"{prefix}{item.name}/")
        elif suffix in _MEDIA_TYPES:
            data = item.read_bytes()
            found.append((f"{prefix}{item.name}", PageFile(data, _MEDIA_TYPES[suffix], f'"{digest_bytes(data)[7:]}"')))
    return found


def page_response(file: PageFile | None, request: Request) -> Response:
    """A file of the page; 304 when the browser has it."""
    if file is None:
        return Response("not found", 404)
    headers = {"cache-control": "no-cache", "etag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media_type, headers=headers)
