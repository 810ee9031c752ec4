"""What the ratings teach: insights into settings, and what to try next. Both change nothing but caches."""

from pathlib import Path
from typing import Any, Final

from stablenew.errors import ConfigError
from stablenew.web.api import Call, Endpoint, Parameter

_LARGEST_BATCH: Final = 64


def _insights(call: Call) -> dict[str, Any]:
    """Those who may only look on have it too."""
    query, controller = call.get("query"), call.context.controller
    controller.history.parse(query)
    kind = f"insights {query}".strip()  # those into other runs are another task
    return call.context.tasks.start(kind, lambda report: controller.datasets.insights(query, progress=report)).to_dict()


def _tuning(call: Call) -> dict[str, Any]:
    query, over, controller = call.get("query"), call.get("over"), call.context.controller
    controller.history.parse(query)
    size = call.get("size")
    if not 2 <= size <= _LARGEST_BATCH:
        raise ConfigError(f"a batch has 2 to {_LARGEST_BATCH} images, found {size}")
    kind = f"tuning {size} {over} {query}".strip()

    def look(report: Any) -> dict[str, Any]:
        ranges = [over] if over else []
        return controller.datasets.tuning(query, over=ranges, size=size, rater=call.rater, progress=report)

    return call.context.tasks.start(kind, look).to_dict()


def _start_round(call: Call) -> dict[str, Any]:
    """The same ratings give the same proposals, so that what is made is what the page shows."""
    from stablenew.controller.experiments.next_round import build_round, start_round  # noqa: PLC0415
    from stablenew.learning.next_experiment import find_next  # noqa: PLC0415
    from stablenew.pipeline.prompt_pack import Prompt  # noqa: PLC0415
    from stablenew.pipeline.run_request import parse_assignments  # noqa: PLC0415
    from stablenew.web.request_bodies import RoundBody  # noqa: PLC0415

    body, controller = call.body(RoundBody), call.context.controller
    found = find_next(controller.datasets.open(body.query), [body.over] if body.over else [], size=body.size)
    prompts = [Prompt(body.prompt)] if body.prompt and body.prompt.strip() else []
    plan = build_round(found, prompts, parse_assignments(body.settings, is_dotted=False), body.engine)
    return start_round(controller, plan, url=body.url).to_dict()


def _save_pack(call: Call) -> dict[str, Any]:
    from stablenew.controller.experiments.tuned_pack import save_tuned_pack  # noqa: PLC0415
    from stablenew.pipeline.prompt_pack import Prompt  # noqa: PLC0415
    from stablenew.web.request_bodies import TunedPackBody  # noqa: PLC0415

    body = call.body(TunedPackBody)
    folder = Path(call.context.controller.app_config.get("packs_dir"))
    prompts = [Prompt(positive, negative) for positive, negative in body.prompts]
    path = save_tuned_pack(folder, body.name, body.settings, prompts)
    return {"pack": path.name, "path": str(path.absolute())}


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
            Parameter("size", "How many images a round has.", "integer", default=4),
        ),
    ),
    Endpoint("POST", "/api/rounds", "Make the images that teach most, as a run.", _start_round, (), "RoundBody"),
    Endpoint(
        "POST", "/api/packs", "Keep settings as a new prompt pack with a preset.", _save_pack, (), "TunedPackBody"
    ),
)
