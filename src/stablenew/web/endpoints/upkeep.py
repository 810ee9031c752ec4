"""The store and the page themselves: state, health, settings, saved views."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response, StreamingResponse

from stablenew import __version__
from stablenew.store.local_state import store_key
from stablenew.store.run_folder import INCOMPLETE, INTERRUPTED
from stablenew.store.upkeep.verifying.digest_collisions import DigestCollisions
from stablenew.store.upkeep.verifying.verify_report import ImagePlaces
from stablenew.web.api import NO_STORE, Call, Endpoint
from stablenew.web.endpoints.copies import open_copies
from stablenew.web.lan.device_view import describe_device_status, show_event
from stablenew.web.lan.roles import OWNER, Viewer

if TYPE_CHECKING:
    from stablenew.controller.app_controller import AppController
    from stablenew.web.context import WebContext

_SHOWN: Final = 200


WALL_QUERY: Final = "-flag:reject -is:trashed"
"""What the wall shows until somebody searches for something else."""


def _status(call: Call) -> dict[str, Any]:
    return status_of_store(call.context, call.viewer)


def status_of_store(context: "WebContext", viewer: Viewer = OWNER) -> dict[str, Any]:
    """What every screen needs to know of the store and the server."""
    status = {
        "version": __version__,
        "instance": context.instance,
        "store": str(context.controller.root.absolute()),
        "rater": context.controller.feedback.rater,
        "is_read_only": context.is_read_only,
        "learning_enabled": context.controller.app_config.learning_enabled,
        "is_indexed": context.controller.history.is_complete,
        "run_count": context.controller.history.count(),
        "wall_query": WALL_QUERY,
    }
    if not viewer.is_device:
        return status
    return describe_device_status(status, viewer, store_key(context.controller.root))


def _health(call: Call) -> dict[str, Any]:
    context = call.context
    history = context.controller.history
    watcher = context.watcher
    return {
        "index": history.keeper.facts(),
        "watcher": {
            "is_leading": bool(watcher and watcher.is_leading),
            "polling_reason": watcher.polling_reason if watcher else None,
        },
        "interrupted": history.unfinished(INTERRUPTED, limit=_SHOWN),
        "incomplete": history.unfinished(INCOMPLETE, limit=_SHOWN),
        "unreadable": history.unreadable(limit=_SHOWN),
        "tasks": [task.to_dict() for task in context.tasks.tasks()],
    }


def _task(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import TaskBody  # noqa: PLC0415

    body = call.body(TaskBody)
    tasks, controller = call.context.tasks, call.context.controller
    if body.stop:
        tasks.cancel(body.kind)
        return {"tasks": [task.to_dict() for task in tasks.tasks()]}
    if body.kind == "survey":
        return tasks.start(body.kind, lambda report: survey_store(controller, report)).to_dict()
    if body.kind == "pixels":
        return tasks.start(body.kind, lambda report: {"decoded": open_copies(controller).update(report)}).to_dict()
    return tasks.start(body.kind, lambda report: verify_store(controller, report, deep=body.deep)).to_dict()


def verify_store(controller: "AppController", report: Callable[[int, int], None], *, deep: bool) -> dict[str, Any]:
    """Every run verified, with the reports of those that are not as recorded."""
    counts: Counter[str] = Counter()
    images = ImagePlaces()
    bad, runs, files, size = [], 0, 0, 0
    collisions = DigestCollisions()
    for run_report, done, total in controller.iter_verify(deep=deep):
        runs, files, size = runs + 1, files + run_report.files, size + run_report.size_bytes
        images += run_report.images
        collisions.add(run_report)
        counts.update(finding.severity for finding in run_report.findings)
        if not run_report.is_ok:
            bad.append(run_report.to_dict())
        report(done, total)
    of_store = collisions.find(controller.run_store)
    counts.update(finding.severity for finding in of_store.findings)
    bad += [of_store.to_dict()] if of_store.findings else []
    return {
        "ok": not bad,
        "runs": runs,
        "files": files,
        "size_bytes": size,
        "counts": dict(counts),
        "images": images.to_dict(),
        "reports": bad[:_SHOWN],
        "left_out": max(0, len(bad) - _SHOWN),
    }


def survey_store(controller: "AppController", report: Callable[[int, int], None]) -> dict[str, Any]:
    """The sizes in the store by pack and month, and files that do not belong there."""
    sizes: Counter[tuple[str, str]] = Counter()
    copies, leftovers = [], []
    for survey, done, total in controller.iter_survey():
        number = controller.history.number_of(survey.run_id)
        rows = [] if number is None else controller.history.rows([number])
        pack = (rows[0]["packs"] or ["(no pack)"])[0] if rows else "(not indexed)"
        month = (rows[0]["created_at"] or "?")[:7] if rows else "?"
        sizes[pack, month] += survey.size_bytes
        copies += [{"run_id": survey.run_id, "name": name} for name in survey.conflict_copies]
        leftovers += [{"run_id": survey.run_id, "name": name} for name in survey.leftovers]
        report(done, total)
    return {
        "size_bytes": sum(sizes.values()),
        "sizes": [{"pack": pack, "month": month, "size_bytes": size} for (pack, month), size in sorted(sizes.items())],
        "conflict_copies": copies[:_SHOWN],
        "conflict_copy_count": len(copies),
        "leftovers": leftovers[:_SHOWN],
        "leftover_count": len(leftovers),
    }


def _repair(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import RepairBody  # noqa: PLC0415

    reports = call.context.controller.iter_repair(call.body(RepairBody).run_ids)
    return {"runs": [report.to_dict() for report, _, _ in reports]}


def _settings(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import SettingsBody  # noqa: PLC0415

    body = call.body(SettingsBody)
    config = call.context.controller.app_config
    for name in body.model_fields_set:
        config.set(name, getattr(body, name))
    if "rater" in body.model_fields_set:
        call.context.controller.forget_rater()
    return {"learning_enabled": config.learning_enabled, "rater": call.context.controller.feedback.rater}


def _views(call: Call) -> dict[str, Any]:
    return _as_list(call.context.controller.views.read())


def _keep_view(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import ViewBody  # noqa: PLC0415

    body = call.body(ViewBody)
    return _as_list(call.context.controller.views.put(body.name, body.query))


def _as_list(views: dict[str, str]) -> dict[str, Any]:
    return {"views": [{"name": name, "query": query} for name, query in views.items()]}


def _live(call: Call) -> Response:
    select = show_event if call.viewer.is_device else None
    return StreamingResponse(
        call.context.live.stream(select),
        media_type="text/event-stream",
        headers={**NO_STORE, "x-accel-buffering": "no"},
    )


ENDPOINTS: Final = (
    Endpoint("GET", "/api/status", "Which store this is, and what the page may do.", _status),
    Endpoint(
        "GET",
        "/api/live",
        "Server-sent events: `changes` (of runs), `job` (progress), `news`, `task`.",
        _live,
        media_type="text/event-stream",
    ),
    Endpoint("GET", "/api/health", "Index, watcher, runs that need attention, tasks.", _health),
    Endpoint("POST", "/api/tasks", "Start, or stop, a scan of the whole store.", _task, (), "TaskBody"),
    Endpoint("POST", "/api/repair", "Repair runs, as `repair --json`.", _repair, (), "RepairBody"),
    Endpoint("POST", "/api/settings", "Change settings; they are kept.", _settings, (), "SettingsBody"),
    Endpoint("GET", "/api/views", "Saved searches.", _views),
    Endpoint("POST", "/api/views", "Save a search under a name, or delete one.", _keep_view, (), "ViewBody"),
)
