"""The trash: what is in it, taking it out, emptying it."""

from typing import Any, Final

from stablenew.controller.light_table.trash import EmptyReport, TrashCan, TrashedImage
from stablenew.errors import ConfigError
from stablenew.web.api import Call, Endpoint, Parameter

_SHOWN: Final = 500


def _open(call: Call) -> TrashCan:
    controller = call.context.controller
    return TrashCan(controller.run_store, controller.history, controller.feedback)


def _trash(call: Call) -> dict[str, Any]:
    trash, older = _open(call), call.get("older") or None
    images = list(trash.iter_images())
    due, kept = trash.choose(older=older, images=images)
    return {
        "count": len(images),
        "held_bytes": sum(image.held_bytes for image in images),
        "images": [image.to_dict() for image in images[:_SHOWN]],
        "due": _sum_up(due),
        "kept": _sum_up(kept),
    }


def _sum_up(images: list[TrashedImage]) -> dict[str, int]:
    return {
        "count": len(images),
        "size_bytes": sum(image.held_bytes for image in images),
        "in_place_count": sum(image.is_in_place for image in images),
    }


def _restore(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import RestoreBody  # noqa: PLC0415

    body, trash = call.body(RestoreBody), _open(call)
    images = list(trash.iter_images())
    chosen = images if body.digests is None else [image for image in images if image.digest in set(body.digests)]
    return {"restored": trash.restore(chosen), "without_bytes": sum(not image.held_bytes for image in chosen)}


def _empty(call: Call) -> dict[str, Any]:
    """The task that removes what the page has shown; when there is more or less by now, nothing is done."""
    from stablenew.web.request_bodies import EmptyBody  # noqa: PLC0415

    body, trash = call.body(EmptyBody), _open(call)
    due, _ = trash.choose(older=body.older, all_raters=body.all_raters)
    if len(due) != body.expected_count:
        raise ConfigError(f"the trash changed: {len(due)} images would go, not {body.expected_count}; look at it again")

    def work(report: Any) -> dict[str, Any]:
        done: EmptyReport = trash.empty(due, all_raters=body.all_raters, progress=report)
        return done.to_dict() | {"removed": len(done.removed)}

    return call.context.tasks.start("empty trash", work).to_dict()


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/trash",
        "What is in the trash, how much emptying it would free, and what would stay because others like it.",
        _trash,
        (Parameter("older", "Only what was trashed longer ago than this would go: 30d, 12h, 4w.", default=""),),
    ),
    Endpoint("POST", "/api/trash/restore", "Take images out of the trash.", _restore, (), "RestoreBody"),
    Endpoint(
        "POST",
        "/api/trash/empty",
        "Remove the bytes of what the rater of this page trashed from this machine: the task that does it.",
        _empty,
        (),
        "EmptyBody",
    ),
)
