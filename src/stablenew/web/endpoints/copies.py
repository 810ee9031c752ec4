"""Copies: pictures in several files, and pairs of images for a person to say whether they are one picture."""

from typing import TYPE_CHECKING, Any, Final

from stablenew.web.api import Call, Endpoint, Parameter

if TYPE_CHECKING:
    from stablenew.controller.app_controller import AppController
    from stablenew.controller.light_table.copies import Copies

_SHOWN: Final = 12


def open_copies(controller: "AppController") -> "Copies":
    """The copies of the store."""
    from stablenew.controller.light_table.copies import Copies  # noqa: PLC0415

    return Copies(controller.run_store, controller.history, controller.feedback)


def _copies(call: Call) -> dict[str, Any]:
    found = open_copies(call.context.controller)
    pairs = found.candidates()
    return {
        "pictures": len(call.context.controller.history.copies()),
        "missing": found.count_missing() if call.get("count") else None,
        "count": len(pairs),
        "pairs": [
            {"bits": pair.bits, "images": [found.describe(digest) for digest in pair[:2]]} for pair in pairs[:_SHOWN]
        ],
    }


def _say(call: Call) -> dict[str, Any]:
    from stablenew.web.request_bodies import CopiesBody  # noqa: PLC0415

    body, found = call.body(CopiesBody), open_copies(call.context.controller)
    if body.is_same is None:
        found.take_back(body.first, body.second)
        return {"tag": None}
    return {"tag": (found.confirm if body.is_same else found.refuse)(body.first, body.second)}


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/copies",
        "How many pictures are in several files, and the pairs that look alike, the most alike first.",
        _copies,
        (Parameter("count", "1: also count the images that were not decoded yet.", default=""),),
    ),
    Endpoint("POST", "/api/copies", "Say whether two images are one picture.", _say, (), "CopiesBody"),
)
