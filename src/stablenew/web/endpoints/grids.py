"""Grids: images laid out by two settings."""

from typing import Any, Final

from starlette.responses import Response

from stablenew.controller.experiments.plan_controller import PlanController
from stablenew.controller.light_table.grids import AXES, Grid
from stablenew.web.api import NO_STORE, QUERY, Call, Endpoint, Parameter
from stablenew.web.lan.device_view import check_axes, check_query, without_paths
from stablenew.web.request_bodies import GridBody

_PARAMETERS: Final = (
    QUERY,
    Parameter("x", "The setting across, such as `cfg`; without one the first that varies.", default=""),
    Parameter("y", "The setting down.", default=""),
    Parameter("panel", "A third setting: a grid for each of its values, one below the other.", default=""),
    Parameter("across", "A fourth setting: a grid for each of its values, side by side.", default=""),
)


def _open(call: Call) -> Grid:
    history = call.context.controller.history
    check_axes(tuple(map(call.get, AXES)), call.viewer)
    query = check_query(call.get("query"), call.viewer, history)
    return Grid(history, query, *map(call.get, AXES))


def _grid(call: Call) -> dict[str, Any]:
    grid = _open(call).to_dict()
    return without_paths(grid) | {"can_fill": False} if call.viewer.is_device else grid


def _plan(call: Call) -> Response:
    plan = _open(call).plan_holes()
    headers = {**NO_STORE, "content-disposition": 'attachment; filename="holes.plan.json"'}
    return Response(plan.encode_document(), media_type="application/json", headers=headers)


def _fill(call: Call) -> dict[str, Any]:
    """Start a run of what the empty cells lack, with the engine that made the others."""
    body = call.body(GridBody)
    controller = call.context.controller
    grid = Grid(controller.history, body.query, *(getattr(body, axis) for axis in AXES))
    plans = PlanController(controller, grid.plan_holes())
    choice = controller.choose_engine_again(controller.run_store.open(grid.find_run()))
    jobs = [
        controller.jobs.start(
            plans.build_config(step),
            plan=plans.build_variants(step),
            engine=choice.name,
            url=choice.url,
            learning=True,  # what is not recorded fills no cell
        )
        for step in plans.plan.steps
    ]
    return {"running": [job.to_dict() for job in jobs]}


def _data(call: Call) -> Response:
    headers = {**NO_STORE, "content-disposition": 'attachment; filename="grid.csv"'}
    return Response(_open(call).encode_data(), media_type="text/csv", headers=headers)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/grid",
        "Images laid out by up to four settings: the values of the axes, and for each cell that is not empty its place "
        "(x, y, panel, across), how many images it has, the ids of the first of them, and the mean of their ratings.",
        _grid,
        _PARAMETERS,
    ),
    Endpoint("GET", "/api/grid/plan", "The plan that fills the holes, for `stablenew plan run`.", _plan, _PARAMETERS),
    Endpoint(
        "POST", "/api/grid/fill", "Start runs that fill the holes; their ids are in the answer.", _fill, (), "GridBody"
    ),
    Endpoint("GET", "/api/grid/data", "The grid as CSV.", _data, _PARAMETERS, media_type="text/csv"),
)
