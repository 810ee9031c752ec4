"""The page itself: files that come with the program, read once, served from memory.

One HTML file is the page of every screen; which screen it shows is the address's business, and so the browser's.
"""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from stablenew.formats.digest import digest_bytes

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SCREENS: Final = (
    "/",
    "/review",
    "/jobs",
    "/runs/{run_id}",
    "/compare",
    "/duel",
    "/grid",
    "/trash",
    "/new",
    "/insights",
    "/tune",
    "/health",
    "/import",
)
_FIRST_MODULES: Final = ("js/app.js", "js/screens/wall_screen.js")
_COMMENT: Final = re.compile(rb"^[ ]*(?://[^\n]*|/\*\*?(?:[^*]|\*(?!/))*\*/)[ ]*\n", re.MULTILINE)
_INDENTATION: Final = re.compile(rb"^[ ]+|\n(?=\n)", re.MULTILINE)
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|`[^`]*`')
_AROUND_SIGN: Final = re.compile(rb"[ ]*([=<>!&|?:,;(){}\[\]*])[ ]*")
_AROUND_PLUS: Final = re.compile(rb"(?<=[\w)\]]) ([+-]) (?=[\w(])")
_TYPE_COMMENT: Final = re.compile(rb"/\*\*[^*]*\*/ ?")
_LATE_COMMENT: Final = re.compile(rb" //[ ][^\"'`]*$")
_CONTINUES: Final = (b".", b"?", b":", b")", b"]", b"}", b"&&", b"||")
_GOES_ON: Final = (b";", b"{", b",", b"(", b"[", b"=", b">", b"&&", b"||", b"?", b":")
_MODULES_SLOT: Final = b"<!-- modules -->"
_IMPORT: Final = re.compile(rb'^(?:import|export)[^"]*?"(\.[^"]+)"', re.MULTILINE)
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
    """Every file of the page by its path. The page itself names all modules of its first screen.

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
    """A script without what people need and browsers do not: comments, white space.

    The scripts have no text that spans several lines, and end every statement with a semicolon.
    """
    lines = _INDENTATION.sub(b"", _COMMENT.sub(b"", data)).split(b"\n")
    found = b""
    for line in map(_tighten, lines):
        needs_end = found and not (_is_joined(found, line))
        found += (b"\n" if needs_end else b"") + line
    return found


def _is_joined(before: bytes, line: bytes) -> bool:
    """Whether a line may follow what is before it without an end between them."""
    last = before.rpartition(b"\n")[2]
    if b"//" in last or line.startswith((b"import", b"export")):  # the latter begin a line, where others look for them
        return False
    return last.endswith(_GOES_ON) or line.startswith(_CONTINUES)


def _tighten(line: bytes) -> bytes:
    """A line without white space around signs. One that may hold a regular expression stays as it is."""
    line = _LATE_COMMENT.sub(b"", _TYPE_COMMENT.sub(b"", line)) if b"/" in line else line
    codes, texts = _TEXT.split(line), _TEXT.findall(line)
    if line.count(b"`") > 2 or any(sign in code for code in codes for sign in (b"/", b"'", b"`")):
        return line
    codes = [_AROUND_SIGN.sub(rb"\1", _AROUND_PLUS.sub(rb"\1", code)) for code in codes]
    return b"".join(code + text for code, text in zip(codes, [*texts, b""], strict=True))


def _page_file(data: bytes, suffix: str) -> PageFile:
    return PageFile(data, _MEDIA_TYPES[suffix], f'"{digest_bytes(data)[7:]}"')


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
    headers = {"cache-control": "no-cache", "etag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media_type, headers=headers)
