"""Blind duels: pairs to vote on, votes, the verdict."""

from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import ConfigError, StableNewError
from stablenew.web.api import QUERY, Call, Endpoint, Parameter, describe_error
from stablenew.web.lan.device_view import check_axes, check_query, without_paths
from stablenew.web.lan.roles import without_places

if TYPE_CHECKING:
    from stablenew.controller.light_table.duels import Duel
    from stablenew.web.request_bodies import PostedVote

_BY: Final = Parameter("by", "The setting whose values are compared, such as `model`.", default="model")
_MATTERS: Final = Parameter("matters", "How far from one half a win rate has to be to matter.", "number", 0.15)
_MOST_PAIRS: Final = 20


def _open(call: Call, rater: str | None) -> "Duel":
    from stablenew.controller.light_table.duels import Duel, DuelQuestion  # noqa: PLC0415
    from stablenew.learning.duels.duel_verdict import DuelRule  # noqa: PLC0415

    matters = call.get("matters")
    if not 0 < matters < 0.5:
        raise ConfigError(f"expected matters between 0 and 0.5, found {matters}")
    history = call.context.controller.history
    check_axes((call.get("by"),), call.viewer)
    query = check_query(call.get("query"), call.viewer, history)
    question = DuelQuestion(query, call.get("by"), rater, DuelRule(matters=matters))
    return Duel(history, question)


def _pairs(call: Call) -> dict[str, Any]:
    """The next pairs, and how far the duel is; nothing that tells which side an image is on."""
    count = call.get("count")
    if not 1 <= count <= _MOST_PAIRS:
        raise ConfigError(f"expected a count of 1 to {_MOST_PAIRS}, found {count}")
    rater = call.rater
    duel = _open(call, rater)
    excluded = [name for name in call.get("excluded").split(",") if name]
    return {
        "pairs": duel.draw(rater, count, excluded=excluded),
        "asked": duel.question.asked,
        "is_decided": duel.verdict.is_decided,
        "progress": duel.verdict.progress,
        "vote_count": len(duel.votes),
    }


def _report(call: Call) -> dict[str, Any]:
    is_own = call.get("raters") == "me" or call.viewer.is_blind
    report = _open(call, call.rater if is_own else None).report()
    return without_paths(report) if call.viewer.is_device else report


def _vote(call: Call) -> dict[str, Any]:
    """Record votes; one that names an image that is gone is refused with its reason, and the others are recorded."""
    from stablenew.web.request_bodies import VotesBody  # noqa: PLC0415

    votes: list[PostedVote] = call.body(VotesBody).votes
    saved, refused = {}, []
    for vote in votes:
        try:
            saved[vote.act] = call.context.controller.record_comparisons([vote], rater=call.viewer.rater)[0].run_id
        except StableNewError as error:
            refused.append(without_places(describe_error(error), call.viewer) | {"act": vote.act})
    return {"saved": saved, "refused": refused}


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/duel/pairs",
        "The next pairs of a blind duel for the rater of this page.",
        _pairs,
        (
            QUERY,
            _BY,
            _MATTERS,
            Parameter("count", "At most N pairs.", "integer", 2),
            Parameter("excluded", "Pairs not to draw: `<digest>-<digest>`, with commas between them.", default=""),
        ),
    ),
    Endpoint(
        "GET",
        "/api/duel/report",
        "The verdict of a duel with all that it rests on.",
        _report,
        (QUERY, _BY, _MATTERS, Parameter("raters", "Whose votes count: `me` or `all`.", default="me")),
    ),
    Endpoint(
        "POST",
        "/api/duel/votes",
        "Record which of two images is better. Durable when answered: for each act the run in whose log it stands.",
        _vote,
        (),
        "VotesBody",
    ),
)
