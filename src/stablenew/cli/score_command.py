"""`stablenew score`: numbers that a program gives images, to search, sort and learn by."""

from typing import Annotated, Final

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.images_command import without_trash
from stablenew.cli.options import ImageQuery

HELP: Final = """Score images, or those that fit QUERY, with a scorer; images it has scored before are left out.

\b
stablenew score --with sharpness                      built in: sharpness, contrast, colourfulness
stablenew score --with my_scorer.py:aesthetic "rating:>=3"
stablenew images "metric.aesthetic:>6" --sort metric.aesthetic

A scorer is a function of a Pillow image (and, if it takes two arguments, of a dict with its prompt, settings and
digest) that returns a number, or a dict of numbers; a class is made once in each process. FILE.py is that very file;
a module must be installed. What is scored is kept at once: a stopped scoring goes on where it was.
"""
_MOST_SHOWN: Final = 10


def score(
    ctx: typer.Context,
    with_scorer: Annotated[
        str, typer.Option("--with", help="A scorer's name, FILE.py:function, or module:function.", metavar="SCORER")
    ],
    query: ImageQuery = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes; by default one per processor.", metavar="N")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also score images that this scorer has scored before.")
    ] = False,
) -> int:
    """Score images."""
    from stablenew.controller.scoring.scoring import score_images

    out: Output = ctx.obj
    text = read_query(query)
    history = open_history(out, text)
    text = without_trash(out, history, text)
    report = out.with_bar(
        "Scoring",
        lambda progress: score_images(history, text, with_scorer, workers=workers, again=again, progress=progress),
    )
    metrics = sorted(report.metrics)
    out.json(
        {
            "scorer": report.scorer,
            "scored": report.scored,
            "known": report.known,
            "metrics": metrics,
            "problems": report.problems,
        }
    )
    for problem in report.problems[:_MOST_SHOWN]:
        out.warn(problem)
    if len(report.problems) > _MOST_SHOWN:
        out.warn(f"and {len(report.problems) - _MOST_SHOWN:,} more without a score")
    before = f", {report.known:,} were scored before" if report.known else ""
    out.print(f"{plural(report.scored, 'image')} scored by {report.scorer}{before}")
    if metrics:
        out.print(f"search them with metric.{metrics[0]}:>…, sort with --sort metric.{metrics[0]}")
    return 1 if report.problems else 0
