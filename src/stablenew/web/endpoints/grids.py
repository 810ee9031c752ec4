"""Grids: images laid out by two settings."""

from typing import Any, Final

from starlette.responses import Response

from stablenew.controller.light_table.grids import Grid
from stablenew.web.api import NO_STORE, Call, Endpoint, Parameter
from stablenew.web.lan.device_view import check_axes, check_query, without_paths

_PARAMETERS: Final = (
    Parameter("query", "A search, in the query language of history.", default=""),
    Parameter("x", "The setting across, such as `cfg`; without one the first that varies.", default=""),
    Parameter("y", "The setting down.", default=""),
    Parameter("panel", "A third setting: a grid for each of its values.", default=""),
)


def _open(call: Call) -> Grid:
    history = call.context.controller.history
    check_axes((call.get("x"), call.get("y"), call.get("panel")), call.viewer)
    query = check_query(call.get("query"), call.viewer, history)
    return Grid(history, query, call.get("x"), call.get("y"), call.get("panel"))


def _grid(call: Call) -> dict[str, Any]:
    grid = _open(call).to_dict()
    return without_paths(grid) if call.viewer.is_device else grid


def _plan(call: Call) -> Response:
    plan = _open(call).plan_holes()
    headers = {**NO_STORE, "content-disposition": 'attachment; filename="holes.plan.json"'}
    return Response(plan.encode_document(), media_type="application/json", headers=headers)


def _data(call: Call) -> Response:
    headers = {**NO_STORE, "content-disposition": 'attachment; filename="grid.csv"'}
    return Response(_open(call).encode_data(), media_type="text/csv", headers=headers)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/grid",
        "Images laid out by two settings: the values of the axes, and for each cell that is not empty its place (x, y, "
        "panel), how many images it has, and the ids of the first of them.",
        _grid,
        _PARAMETERS,
    ),
    Endpoint("GET", "/api/grid/plan", "The plan that fills the holes, for `stablenew plan run`.", _plan, _PARAMETERS),
    Endpoint("GET", "/api/grid/data", "The grid as CSV.", _data, _PARAMETERS, media_type="text/csv"),
)
