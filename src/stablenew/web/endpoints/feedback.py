"""What people think: said, taken back, said again."""

from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import StableNewError
from stablenew.web.api import Call, Endpoint, describe_error

if TYPE_CHECKING:
    from stablenew.recording.feedback_manager import Said
    from stablenew.web.request_bodies import Saying, StepBody


def _say(call: Call) -> dict[str, Any]:
    """Everything, or where something does not fit, what does: the rest is named with its reason."""
    from stablenew.web.request_bodies import FeedbackBody  # noqa: PLC0415

    says = call.body(FeedbackBody).says
    controller = call.context.controller
    try:
        controller.record_feedback(map(_said, says))
    except StableNewError:
        return _say_one_by_one(call, says)
    return {"saved": list(dict.fromkeys(one.act for one in says)), "refused": []}


def _say_one_by_one(call: Call, says: "list[Saying]") -> dict[str, Any]:
    saved, refused = {}, {}
    for one in says:
        try:
            call.context.controller.record_feedback([_said(one)])
            saved[one.act] = True
        except (StableNewError, OSError) as error:
            if isinstance(error, OSError) and not isinstance(error, LookupError):
                raise  # the disk: asking again later may help
            refused[one.act] = describe_error(error) | {"act": one.act, "run_id": one.run_id}
    return {"saved": [act for act in saved if act not in refused], "refused": list(refused.values())}


def _said(one: "Saying") -> "Said":
    from stablenew.recording.feedback_manager import KEEP, Said  # noqa: PLC0415

    given = one.model_fields_set
    return Said(
        one.run_id,
        one.image_id,
        one.rating if "rating" in given else KEEP,
        one.notes,
        one.tags,
        one.flag if "flag" in given else KEEP,
        one.remove_tags,
        act=one.act,
    )


def _undo(call: Call) -> dict[str, Any]:
    step = _step(call)
    manager = call.context.controller.feedback
    return {"undone": sum(len(manager.undo(run_id, act=step.act)) for run_id in step.run_ids)}


def _redo(call: Call) -> dict[str, Any]:
    step = _step(call)
    manager = call.context.controller.feedback
    return {
        "redone": sum(len(manager.redo(run_id, act=step.act, as_act=step.as_act)) for run_id in step.run_ids),
        "act": step.as_act,
    }


def _step(call: Call) -> "StepBody":
    from stablenew.web.request_bodies import StepBody  # noqa: PLC0415

    step: StepBody = call.body(StepBody)
    return step


ENDPOINTS: Final = (
    Endpoint(
        "POST", "/api/feedback", "Say things about images and runs. Durable when answered.", _say, (), "FeedbackBody"
    ),
    Endpoint("POST", "/api/undo", "Take an act back.", _undo, (), "StepBody"),
    Endpoint("POST", "/api/redo", "Say again what was taken back.", _redo, (), "StepBody"),
)
