"""Engines as a form of a new run needs them: whether one answers, what it has, what a workflow of one's own binds."""

from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import StableNewError
from stablenew.web.api import Call, Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stablenew.engines.engine import Engine, EngineCheck


def _check(call: Call) -> dict[str, Any]:
    """The state of an engine. One that does not answer is an answer too: people start their servers after the page."""
    from stablenew.web.request_bodies import EngineBody  # noqa: PLC0415

    body = call.body(EngineBody)
    try:
        opened = call.context.controller.open_engine(body.engine, body.url)
        found = _ask(opened)
    except StableNewError as error:
        return {"answers": False, "summary": str(error), "lists": list_names({})}
    return {"answers": True, "summary": _summarize(found, opened.info.url), "lists": list_names(found.names)}


def _ask(engine: "Engine") -> "EngineCheck":
    from stablenew.engines.engine import Checkable, EngineCheck  # noqa: PLC0415

    info = engine.info
    return engine.check() if isinstance(engine, Checkable) else EngineCheck(info.name, info.version)


def _summarize(found: "EngineCheck", url: str | None) -> str:
    """That it answers, what and where it is, and what is wrong with it."""
    count = len(found.names.get("models", ()))
    models = f", {count} model{'' if count == 1 else 's'}" if count else ""
    where = f" at {url}" if url else ""
    answer = f"{found.facts.get('program') or found.name} {found.version} answers{where}{models}"
    return ". ".join((answer, *found.problems))


def list_names(known: "Mapping[str, list[str]]") -> dict[str, list[str]]:
    """What a form can be completed with: the names that an engine has, by their common names, or else all of those."""
    from stablenew.formats.common_names import SAMPLERS, SCHEDULERS, common_sampler, common_scheduler  # noqa: PLC0415

    samplers, schedulers = known.get("samplers"), known.get("schedulers")
    return {
        "models": list(known.get("models", ())),
        "samplers": [common_sampler(name) for name in samplers or (sampler.name for sampler in SAMPLERS)],
        "schedulers": [common_scheduler(name) for name in schedulers or SCHEDULERS],
    }


def _bind(call: Call) -> dict[str, Any]:
    from stablenew.engines.comfyui.bindings import find_bindings  # noqa: PLC0415
    from stablenew.engines.comfyui.graph import describe_node, read_graph, read_value  # noqa: PLC0415
    from stablenew.formats.settings import title_of  # noqa: PLC0415
    from stablenew.web.request_bodies import WorkflowBody  # noqa: PLC0415

    graph = read_graph(call.body(WorkflowBody).workflow)
    found = find_bindings(graph)
    rows = [
        (title_of(name), describe_node(graph, places[0].node), str(read_value(graph, places[0])))
        for name, places in found.places.items()
    ]
    rows += [
        (title_of(name), f"not set: is it {' or '.join(map(str, places))}?", str(read_value(graph, places[0])))
        for name, places in found.undecided.items()
    ]
    return {"rows": rows}


ENDPOINTS: Final = (
    Endpoint("POST", "/api/engines/check", "Whether an engine answers, and what it has.", _check, (), "EngineBody"),
    Endpoint(
        "POST", "/api/workflows", "Where settings go in a ComfyUI workflow, as `engines workflow`.", _bind, (),
        "WorkflowBody",
    ),
)  # fmt: skip
