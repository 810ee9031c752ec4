"""Folders of images: which there are, what would be taken in, and taking them in.

All of it is POST, also what only looks: a path of this machine is told to nobody who may not write here.
"""

from typing import TYPE_CHECKING, Any, Final

from stablenew.web.api import Call, Endpoint

if TYPE_CHECKING:
    from stablenew.importing.importer import ImportReport

_IMPORT: Final = "import"


def _places(call: Call) -> dict[str, Any]:
    imports = call.context.controller.imports
    found = [
        {"path": str(place.path), "tool": place.tool, "image_count": place.image_count, "is_more": place.is_more}
        for place in imports.find_places()
    ]
    return {"places": found, "sources": imports.describe_sources(), "task": _task_of(call, _IMPORT)}


def _task_of(call: Call, kind: str) -> dict[str, Any] | None:
    return next((task.to_dict() for task in call.context.tasks.tasks() if task.kind == kind), None)


def _preview(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import FolderBody  # noqa: PLC0415

    return call.context.controller.imports.preview(call.body(FolderBody).path).to_dict()


def _import(call: Call) -> dict[str, Any]:
    from stablenew.importing.folder_imports import read_folder  # noqa: PLC0415
    from stablenew.web.request_bodies import ImportBody  # noqa: PLC0415

    body, imports = call.body(ImportBody), call.context.controller.imports
    paths = [str(read_folder(path)) for path in body.paths]

    def work(report: Any) -> dict[str, Any]:
        reports = imports.run(paths, report, is_watched=body.watch)
        return {"imports": [_describe(found) for found in reports]}

    return call.context.tasks.start(_IMPORT, work).to_dict()


def _describe(report: "ImportReport") -> dict[str, Any]:
    """A report as pages get it: every page that listens is told, so it names no file."""
    counts = {"imported": report.imported, "size_bytes": report.size_bytes, "tools": dict(report.tools)}
    return {"import_id": report.import_id, **counts, "left_out": dict(report.left_out)}


def _stop(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import NothingBody  # noqa: PLC0415

    call.body(NothingBody)
    call.context.tasks.cancel(_IMPORT)
    return {"task": _task_of(call, _IMPORT)}


def _watch(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import WatchBody  # noqa: PLC0415

    body, imports = call.body(WatchBody), call.context.controller.imports
    if body.watch:
        imports.watch(body.source)
    else:
        imports.unwatch(body.source)
    return {"sources": imports.describe_sources()}


ENDPOINTS: Final = (
    Endpoint("POST", "/api/import/places", "Folders of images on this machine, and the sources.", _places),
    Endpoint("POST", "/api/import/preview", "What a folder holds that would be taken in.", _preview, (), "FolderBody"),
    Endpoint("POST", "/api/import", "Take folders in: the task does it.", _import, (), "ImportBody"),
    Endpoint("POST", "/api/import/stop", "Stop taking in; what is in stays.", _stop, (), "NothingBody"),
    Endpoint("POST", "/api/import/watch", "Watch a source from now on, or no more.", _watch, (), "WatchBody"),
)
