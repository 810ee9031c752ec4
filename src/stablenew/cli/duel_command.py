"""`stablenew duel`: the result of blind votes between the values of a setting."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HELP = """Report what blind votes between images say; `stablenew serve` is where to vote.

\b
stablenew duel --by sampler
stablenew duel "prompt:harbour steps:30" --by model --matters 0.1
"""


def duel(
    ctx: typer.Context,
    query: Annotated[list[str] | None, typer.Argument(metavar="QUERY", help="Which images take part.")] = None,
    by: Annotated[str, typer.Option(metavar="SETTING", help="The setting whose values are compared.")] = "model",
    matters: Annotated[
        float, typer.Option(min=0.01, max=0.49, help="How far from one half a win rate has to be to matter.")
    ] = 0.15,
    all_raters: Annotated[bool, typer.Option("--all-raters", help="Count everybody's votes.")] = False,
) -> None:
    """Report what blind votes say."""
    out: Output = ctx.obj
    from stablenew.controller.light_table.duels import Duel, DuelQuestion
    from stablenew.learning.duels.duel_verdict import DuelRule

    text = read_query(query)
    history = open_history(out, text)
    rater = None if all_raters else out.controller.feedback.rater
    report = Duel(history, DuelQuestion(text, by, rater, DuelRule(matters=matters))).report()
    out.json(report)
    out.print(describe_verdict(report))
    if report["vote_count"]:
        out.table(_SIDE_COLUMNS, [_side_cells(side) for side in report["sides"]])
        out.print("")
        out.table(_PAIR_COLUMNS, [_pair_cells(pair) for pair in report["pairs"]])
        for line in _iter_checks(report):
            out.print(line)


_SIDE_COLUMNS: Final = (
    Column("value", least=16),
    Column("images", is_right=True),
    Column("votes", is_right=True),
    Column("wins against the average", rank=1),
)
_PAIR_COLUMNS: Final = (
    Column("pair", least=20),
    Column("won", is_right=True),
    Column("lost", is_right=True),
    Column("ties", rank=2, is_right=True),
    Column("both bad", rank=2, is_right=True),
    Column("win rate", rank=1),
    "verdict",
)


def describe_verdict(report: "Mapping[str, Any]") -> str:
    """The verdict as a sentence."""
    counted = plural(report["counted_votes"], "vote")
    match report["verdict"]:
        case "winner":
            return f"{report['winner']} is better, after {counted} (wrong with at most {report['error']:.0%})."
        case "no_difference":
            return f"No difference of {report['matters']:.0%} or more in win rates, after {counted}."
        case _ if not report["vote_count"]:
            values = ", ".join(side["value"] for side in report["sides"])
            return f"No votes yet between {values}. `stablenew serve`, then Duel."
        case _:
            return f"Not decided after {counted}: {report['progress']:.0%} of the evidence that it takes."


def _side_cells(side: "Mapping[str, Any]") -> tuple[str, ...]:
    return (side["value"], str(side["image_count"]), str(side["vote_count"]), _format_rate(side["strength"]))


def _pair_cells(pair: "Mapping[str, Any]") -> tuple[str, ...]:
    verdicts = {"first": f"{pair['first']} better", "second": f"{pair['second']} better", "equal": "no difference"}
    return (
        f"{pair['first']} : {pair['second']}",
        *(str(pair[name]) for name in ("wins", "losses", "ties", "both_bad")),
        _format_rate(pair["win_rate"]),
        verdicts.get(pair["verdict"], "open"),
    )


def _format_rate(rate: "Mapping[str, Any] | None") -> str:
    """`64 % (52-75)`."""
    if rate is None or rate["estimate"] is None:
        return ""
    return f"{rate['estimate']:.0%} ({100 * rate['low']:.0f}-{100 * rate['high']:.0f})"


def _iter_checks(report: "Mapping[str, Any]") -> "Iterable[str]":
    agreement, left = report["agreement"], report["left_rate"]
    if agreement["trials"]:
        yield f"Shown again with the sides swapped: the same answer {_format_rate(agreement)}."
    if left["trials"]:
        yield f"The image on the left won {_format_rate(left)}."
