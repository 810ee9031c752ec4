"""The web application: the page, the API and the guard in front of both."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stablenew.web.api import NO_STORE, Endpoint, json_response
from stablenew.web.context import WebContext
from stablenew.web.endpoints import (
    copies,
    devices,
    duels,
    engines,
    feedback,
    grids,
    history,
    images,
    importing,
    learning,
    running,
    runs,
    trash,
    upkeep,
)
from stablenew.web.guard import App, Guard, Keys
from stablenew.web.lan.roles import viewer_of
from stablenew.web.open_api import describe_api
from stablenew.web.page.first_screen import with_first_screen
from stablenew.web.page.static_files import SCREENS, PageFile, page_response, read_page_files

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *history.ENDPOINTS,
    *images.ENDPOINTS,
    *runs.ENDPOINTS,
    *feedback.ENDPOINTS,
    *duels.ENDPOINTS,
    *grids.ENDPOINTS,
    *trash.ENDPOINTS,
    *copies.ENDPOINTS,
    *running.ENDPOINTS,
    *engines.ENDPOINTS,
    *importing.ENDPOINTS,
    *learning.ENDPOINTS,
    *upkeep.ENDPOINTS,
    *devices.ENDPOINTS,
)


def build_web_app(context: WebContext, *, port: int, keys: Keys) -> App:
    """The application for one store, served at `port` of this machine; to the network, where its door is open."""
    files = read_page_files()

    async def screen(request: Request) -> Response:
        context.warm_up()
        page = files["index.html"]
        if request.url.path != "/":
            return page_response(page, request)
        data = await run_in_threadpool(
            with_first_screen, page.data, context, request.query_params, viewer_of(request.scope)
        )
        return Response(data, media_type=page.media_type, headers=NO_STORE)

    async def unknown(request: Request, _error: Exception) -> Response:
        """The page, which says that there is nothing here; a short text for what is no browser."""
        if request.headers.get("sec-fetch-mode") != "navigate":
            return Response("Not Found", 404, media_type="text/plain")
        return Response(files["index.html"].data, 404, media_type=files["index.html"].media_type, headers=NO_STORE)

    async def static(request: Request) -> Response:
        return page_response(files.get(request.path_params["path"]), request)

    async def open_api(_request: Request) -> Response:
        return json_response(describe_api(ENDPOINTS))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        context.live.open(asyncio.get_running_loop())
        context.start()
        async with _open_to_network(context, app, files):
            yield
        await asyncio.to_thread(context.stop)

    routes = [
        *(Route(path, screen) for path in SCREENS),
        Route("/static/{path:path}", static),
        Route("/api/openapi.json", open_api),
        *(_route(context, endpoint) for endpoint in ENDPOINTS),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: unknown})
    return Guard(app, port=port, keys=keys, is_read_only=context.is_read_only)


@contextlib.asynccontextmanager
async def _open_to_network(context: WebContext, app: App, files: Mapping[str, PageFile]) -> AsyncIterator[None]:
    """Answer at the door to the network, where there is one."""
    if (door := context.lan_door) is None:
        yield
        return
    from stablenew.web.lan.lan_guard import LanGuard  # noqa: PLC0415

    guard = LanGuard(
        app,
        origin=door.origin,
        book=door.book,
        files=files,
        taken=context.known_raters,
        is_read_only=context.is_read_only,
    )
    async with door.serving(guard):
        yield


def _route(context: WebContext, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        return await endpoint.answer(context, request)

    return Route(endpoint.path, answer, methods=[endpoint.method], name=f"{endpoint.method} {endpoint.path}")
