"""What the ratings teach: insights into settings, and what to try next. Both change nothing but caches."""

from typing import Any, Final

from stablenew.errors import ConfigError
from stablenew.web.api import Call, Endpoint, Parameter

_LARGEST_BATCH: Final = 64


def _insights(call: Call) -> dict[str, Any]:
    """Those who may only look on have it too."""
    query, controller = call.get("query"), call.context.controller
    controller.history.parse(query)
    kind = f"insights {query}".strip()  # those into other runs are another task
    return call.context.tasks.start(kind, lambda report: controller.look_at_insights(query, progress=report)).to_dict()


def _tuning(call: Call) -> dict[str, Any]:
    query, over, controller = call.get("query"), call.get("over"), call.context.controller
    controller.history.parse(query)
    size = call.get("size")
    if not 2 <= size <= _LARGEST_BATCH:
        raise ConfigError(f"a batch has 2 to {_LARGEST_BATCH} images, found {size}")
    kind = f"tuning {size} {over} {query}".strip()

    def look(report: Any) -> dict[str, Any]:
        return controller.look_at_tuning(query, over=[over] if over else [], size=size, progress=report)

    return call.context.tasks.start(kind, look).to_dict()


_QUERY: Final = Parameter("query", "Which images; all when it is empty.", default="")

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/insights",
        "What the ratings say about settings: the task that works it out, started unless it is running.",
        _insights,
        (_QUERY,),
    ),
    Endpoint(
        "GET",
        "/api/tuning",
        "What to try next, the best settings known, curves and maps: the task that works it out.",
        _tuning,
        (
            _QUERY,
            Parameter("over", "What to tune, such as cfg=3..12,sampler=Euler|DDIM; all that varied.", default=""),
            Parameter("size", "So many images.", "integer", default=4),
        ),
    ),
)
