"""The page itself: files that come with the program, read once, served from memory.

One HTML file is the page of every screen; which screen it shows is the address's business, and so the browser's.
"""

import gzip
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import rjsmin
from starlette.requests import Request
from starlette.responses import Response

from stablenew.formats.digest import digest_bytes
from stablenew.web.page.short_names import shorten_names

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SCREENS: Final = (
    "/",
    "/jobs",
    "/runs/{run_id}",
    "/compare",
    "/duel",
    "/grid",
    "/trash",
    "/copies",
    "/new",
    "/insights",
    "/tune",
    "/health",
    "/import",
)
_FIRST_MODULES: Final = ("js/app.js", "js/screens/wall_screen.js")
_MODULES_SLOT: Final = b"<!-- modules -->"
_IMPORT: Final = re.compile(rb'\bfrom ?"(\.[^"]+)"')
_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, with the tag that changes when it does."""

    data: bytes
    packed: bytes
    """The same, compressed with gzip."""
    media_type: str
    tag: str


@cache
def read_page_files() -> Mapping[str, PageFile]:
    """Every file of the page by its path, read once a process. The page itself names all modules of its first screen.

    Without that a browser would find them one import after the other.
    """
    files = dict(_walk(resources.files("stablenew.web") / "static", ""))
    modules = _modules_of(files, _FIRST_MODULES)
    links = "\n    ".join(f'<link rel="modulepreload" href="/static/{path}" />' for path in modules)
    page = files["index.html"]
    files["index.html"] = _page_file(page.data.replace(_MODULES_SLOT, links.encode()), "html")
    return files


def _modules_of(files: dict[str, PageFile], paths: Iterable[str]) -> list[str]:
    """These modules and all that they import, directly or not."""
    found: dict[str, None] = {}
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found and path in files:
            found[path] = None
            imported = (match[1].decode() for match in _IMPORT.finditer(files[path].data))
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in imported]
    return list(found)


def compact_script(data: bytes) -> bytes:
    """A script without what people need and browsers do not: comments, white space, long names of its own things."""
    compacted: bytes = rjsmin.jsmin(shorten_names(data.decode()).encode())
    return compacted


def _page_file(data: bytes, suffix: str) -> PageFile:
    return PageFile(data, gzip.compress(data, mtime=0), _MEDIA_TYPES[suffix], f'"{digest_bytes(data)[7:]}"')


def _walk(folder: "Traversable", prefix: str) -> "list[tuple[str, PageFile]]":
    found = []
    for item in folder.iterdir():
        suffix = item.name.rpartition(".")[2]
        if item.is_dir():
            found += _walk(item, f"{prefix}{item.name}/")
        elif suffix in _MEDIA_TYPES:
            data = item.read_bytes()
            found.append((f"{prefix}{item.name}", _page_file(compact_script(data) if suffix == "js" else data, suffix)))
    return found


def page_response(file: PageFile | None, request: Request) -> Response:
    """A file of the page; 304 when the browser has it."""
    if file is None:
        return Response("not found", 404)
    headers = {"cache-control": "no-cache", "etag": file.tag, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})
    return Response(file.data, media_type=file.media_type, headers=headers)
