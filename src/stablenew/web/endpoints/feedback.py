"""Feedback: posted, undone, redone."""

from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import StableNewError
from stablenew.web.api import Call, Endpoint, describe_error
from stablenew.web.lan.device_view import check_query
from stablenew.web.lan.roles import check_feedback, without_places

if TYPE_CHECKING:
    from stablenew.web.request_bodies import PostedFeedback, StepBody


def _post_feedback(call: Call) -> dict[str, Any]:
    """Record everything; where something does not fit, the rest is recorded and that is named with its reason."""
    from stablenew.web.request_bodies import FeedbackBody  # noqa: PLC0415

    batch = call.body(FeedbackBody).says
    try:
        check_feedback(batch, call.viewer)
        call.context.controller.record_feedback(batch, rater=call.viewer.rater)
    except StableNewError:
        return _post_one_by_one(call, batch)
    return {"saved": list(dict.fromkeys(item.act for item in batch)), "refused": []}


def _post_one_by_one(call: Call, batch: "list[PostedFeedback]") -> dict[str, Any]:
    saved, refused = {}, {}
    for item in batch:
        try:
            check_feedback([item], call.viewer)
            call.context.controller.record_feedback([item], rater=call.viewer.rater)
            saved[item.act] = True
        except (StableNewError, OSError) as error:
            if isinstance(error, OSError) and not isinstance(error, LookupError):
                raise  # the disk: posting again later may help
            refused[item.act] = without_places(describe_error(error), call.viewer) | {
                "act": item.act,
                "run_id": item.run_id,
            }
    return {"saved": [act for act in saved if act not in refused], "refused": list(refused.values())}


def _move(call: Call) -> dict[str, Any]:
    from stablenew.controller.light_table.albums import plan_move  # noqa: PLC0415
    from stablenew.web.request_bodies import MoveBody  # noqa: PLC0415

    body, controller = call.body(MoveBody), call.context.controller
    query = controller.history.parse(check_query(body.query, call.viewer, controller.history))
    places = plan_move(controller.history, controller.feedback, query, body.images, body.target, is_after=body.is_after)
    controller.record_places(places, act=body.act, rater=call.viewer.rater)
    return {"moved": len(places)}


def _undo(call: Call) -> dict[str, Any]:
    step = _read_step(call)
    return {"undone": len(call.context.controller.undo_feedback(step.run_ids, act=step.act, rater=call.viewer.rater))}


def _redo(call: Call) -> dict[str, Any]:
    step = _read_step(call)
    controller, rater = call.context.controller, call.viewer.rater
    events = controller.redo_feedback(step.run_ids, act=step.act, as_act=step.as_act, rater=rater)
    return {"redone": len(events), "act": step.as_act}


def _read_step(call: Call) -> "StepBody":
    from stablenew.web.request_bodies import StepBody  # noqa: PLC0415

    step: StepBody = call.body(StepBody)
    return step


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/api/feedback",
        "Post feedback on images and runs. Durable when answered.",
        _post_feedback,
        (),
        "FeedbackBody",
    ),
    Endpoint("POST", "/api/albums/move", "Give images of an album another place in it.", _move, (), "MoveBody"),
    Endpoint("POST", "/api/undo", "Undo an act.", _undo, (), "StepBody"),
    Endpoint("POST", "/api/redo", "Redo what was undone.", _redo, (), "StepBody"),
)
