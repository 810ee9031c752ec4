"""`stablenew share`: a pack of images to send, which opens without StableNew and can be checked."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import SHOWN_PROBLEMS, Output, format_bytes, plural
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.images_command import find_sorted, without_trash
from stablenew.cli.options import ImageQuery
from stablenew.errors import FAILURE, StableNewError

if TYPE_CHECKING:
    from stablenew.exporting.share.share_pack import ShareReport

HELP = """Write images to a zip file that opens from a folder: a wall, a loupe, stars, and what they say.

\b
stablenew share "rating:>=4" -o keepers.zip
stablenew share "tag:print" -o print.zip --without prompts
"""
_PARTS = ("prompts", "images")


def share(
    ctx: typer.Context,
    query: ImageQuery = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.zip", help="The pack to write.")] = Path(
        "stablenew-pack.zip"
    ),
    without: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="Leave out prompts, or images; may be given twice.")
    ] = None,
    salts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --without: keep here what proves later what was left out."),
    ] = None,
) -> int:
    """Write a pack."""
    out: Output = ctx.obj
    parts = frozenset(without or ())
    if unknown := sorted(parts - set(_PARTS)):
        raise typer.BadParameter(f"--without takes {' or '.join(_PARTS)}, not {unknown[0]}")
    if salts is not None and "prompts" not in parts:
        raise typer.BadParameter("--salts needs --without prompts")
    from stablenew.exporting.share.share_pack import write_pack

    asked = read_query(query)
    history = open_history(out, asked)
    images = find_sorted(out, history, without_trash(out, history, asked))
    insights = _find_insights(out, asked)
    report = out.with_bar(
        "Packing images",
        lambda progress: write_pack(
            out.controller.run_store, images, output, without=parts, insights=insights, progress=progress
        ),
    )
    if salts is not None:
        salts.write_text(json.dumps({"root": report.root, "withheld": report.withheld}, indent=1), encoding="utf-8")
    _show(out, report, output, parts)
    return FAILURE if report.problems else 0


def _find_insights(out: Output, query: str) -> dict[str, Any] | None:
    """What the stars say; None where too little is rated, or no dataset can be built."""
    try:
        return out.controller.datasets.insights(query)
    except (StableNewError, OSError) as error:
        out.warn(f"the pack has no evidence: {error}")
        return None


def _show(out: Output, report: "ShareReport", output: Path, parts: frozenset[str]) -> None:
    size = output.stat().st_size
    out.json(report.to_dict() | {"path": str(output), "size_bytes": size})
    out.print(f"{output}: {plural(report.image_count, 'image')}, {format_bytes(size)}. Unpack it and open index.html.")
    if "prompts" in parts:
        out.print(
            "Left out: prompts, tags, notes, scores, names of people, jobs and computers; pictures were made new.",
            f"Root, for who gets it to compare: {report.root}",
            f"Signed with your key {report.key}" + (", that of your certificate" if report.is_certified else ""),
            "It proves your word, made now; the seals of the runs prove nothing of this pack.",
        )
    else:
        out.print(
            f"{plural(report.sealed_files, 'file')} of {plural(report.runs, 'sealed run')} can be checked against "
            "their own seals.",
            "The records of these runs are in it whole, with all their prompts and the names of computer and user.",
        )
    for problem in report.problems[:SHOWN_PROBLEMS]:
        out.warn(problem)
