"""Jobs: found, counted, listed."""

from typing import Any, Final

from starlette.responses import Response

from stablenew.errors import ConfigError, InvalidQuery
from stablenew.formats.query_language import FIELDS, FLAGS, SWITCHES
from stablenew.web.api import NO_STORE, QUERY, Call, Endpoint, Parameter, describe_error
from stablenew.web.lan.device_view import read_query

_SORT: Final = Parameter("sort", "time, oldest, rating, duration, outputs or variants.", default="time")
_MOST_JOBS: Final = 500
_NUMBER_TYPE: Final = "<i8"


def _jobs(call: Call) -> dict[str, Any]:
    limit = call.get("limit")
    if not 1 <= limit <= _MOST_JOBS:
        raise ConfigError(f"expected a limit of 1 to {_MOST_JOBS}, found {limit}")
    history = call.context.controller.history
    page = history.page(call.get("query"), after=call.get("after"), limit=limit, sort=call.get("sort"))
    numbers = [history.number_of(row["run_id"]) for row in page.rows]
    shown = history.shown_rows([number for number in numbers if number is not None], call.get("query"))
    return {"jobs": [row for row in shown if row], "next_cursor": page.next_cursor}


def _rows(call: Call) -> dict[str, Any]:
    """Each number's job or null, so that a list can fill its places."""
    history = call.context.controller.history
    return {"jobs": history.shown_rows(_some(call.get("numbers")), call.get("query"))}


def _some(numbers: list[int] | None) -> list[int]:
    if not numbers or len(numbers) > _MOST_JOBS:
        raise ConfigError(f"expected 1 to {_MOST_JOBS} numbers")
    return numbers


def _numbers(call: Call) -> Response:
    numbers = call.context.controller.history.numbers(call.get("query"), sort=call.get("sort"))
    return Response(
        numbers.astype(_NUMBER_TYPE, copy=False).tobytes(), media_type="application/octet-stream", headers=NO_STORE
    )


def _count(call: Call) -> dict[str, int]:
    return {"count": len(call.context.controller.history.numbers(call.get("query")))}


def _facets(call: Call) -> dict[str, Any]:
    facets = call.context.controller.history.facets(call.get("query"), limit=call.get("limit"))
    return {
        name: [{"value": item.value, "job_count": item.job_count} for item in values] for name, values in facets.items()
    }


def _check(call: Call) -> dict[str, Any]:
    """Whether a query is valid: an answer and no error, because people are still typing."""
    try:
        history = call.context.controller.history
        history.parse(read_query(call.get("query"), call.viewer, history))
    except InvalidQuery as error:
        return {"problem": describe_error(error)}
    return {"problem": None}


def _fields(_call: Call) -> dict[str, Any]:
    return {"fields": list(FIELDS), "switches": list(SWITCHES), "flags": list(FLAGS)}


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/jobs",
        "A page of jobs, as `history --json` lists them, each with its number and the settings of its images.",
        _jobs,
        (
            QUERY,
            _SORT,
            Parameter("limit", "At most N jobs.", "integer", 50),
            Parameter("after", "The `next_cursor` of the page before."),
        ),
    ),
    Endpoint(
        "GET",
        "/api/jobs/rows",
        "The jobs of some numbers, in their order; null where one is gone.",
        _rows,
        (
            Parameter("numbers", "Numbers of jobs, with commas between them.", "numbers"),
            Parameter("query", "With it each job names the first of its images that fit.", default=""),
        ),
    ),
    Endpoint(
        "GET",
        "/api/jobs/numbers",
        "The numbers of all jobs that fit, in order: 8 bytes each, little endian.",
        _numbers,
        (QUERY, _SORT),
        media_type="application/octet-stream",
    ),
    Endpoint("GET", "/api/jobs/count", "How many jobs fit.", _count, (QUERY,)),
    Endpoint(
        "GET",
        "/api/facets",
        "For each facet its values, and how many of the jobs that fit have them.",
        _facets,
        (QUERY, Parameter("limit", "At most N values of each.", "integer", 20)),
    ),
    Endpoint("GET", "/api/query", "Whether a query is valid, and where it is not.", _check, (QUERY,)),
    Endpoint("GET", "/api/query/fields", "The fields of the query language.", _fields),
)
