"""`stablenew import-stars`: take over what was said about images in other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.table import Column
from stablenew.errors import FAILURE, ConfigError

if TYPE_CHECKING:
    from stablenew.importing.stars.star_import import StarReport

HELP = """Take over stars, flags, colours, tags and notes of other programs; theirs are only read.

\b
stablenew import-stars ~/pictures             XMP sidecars, XMP inside images
stablenew import-stars diffusion-toolkit.db   or iib.db, wib.sqlite3, …
stablenew import-stars ~/invokeai             or an Eagle library
stablenew import-stars iib.db --map D:/outputs=/mnt/d/outputs
"""
_SHOWN = 20


def import_stars(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, a database, an .xmp or .json file.")],
    moved: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OLD=NEW", help="A folder as the other program writes it, and where it is here."),
    ] = None,
    rater: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose opinions they are; by default yours.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be taken over, and write nothing.")
    ] = False,
) -> int:
    """Take over what was said about images in other programs; exit 1 when an image was not found."""
    out: Output = ctx.obj
    from stablenew.importing.stars.image_finder import ImageFinder
    from stablenew.importing.stars.star_import import StarImport
    from stablenew.importing.stars.star_sources import read_stars

    pairs = [_read_pair(text) for text in moved or ()]
    if not source.exists():
        raise ConfigError(f"there is nothing at {source}")
    controller = out.controller
    importing = StarImport(controller.run_store, rater or controller.feedback.rater, is_dry_run=dry_run)
    with out.progress() as bar:
        task = bar.add_task("Reading the runs", total=None)

        def follow(title: str, done: int, total: int) -> None:
            bar.update(task, description=title, completed=done, total=total or None)

        finder = ImageFinder(controller.run_store, pairs)
        if not finder.image_count:
            raise ConfigError(f"no images in {out.root} yet; take them in first: stablenew import DIR")
        report = importing.run(read_stars(source), finder, follow)
    out.json({"dry_run": dry_run, **report.to_dict()})
    _show(out, report, dry_run=dry_run)
    return FAILURE if report.unmatched or report.problems else 0


def _read_pair(text: str) -> tuple[str, str]:
    old, separator, new = text.partition("=")
    if not (old and separator and new):
        raise ConfigError(f"expected --map OLD=NEW, found {text!r}")
    return old, new


def _show(out: Output, report: "StarReport", *, dry_run: bool) -> None:
    if not report.read:
        out.print("Nothing was said there about any image.")
        return
    verb = "would be taken over" if dry_run else "taken over"
    known = f", {report.unchanged:,} known already" if report.unchanged else ""
    out.print(f"{plural(report.read, 'image')} with opinions there: {report.written:,} {verb}{known}")
    if report.matched:
        out.print(f"  from {_counts(report.via)}; found by {_counts(report.matched)}")
    if report.older:
        out.print(f"  {report.older:,} older than what was said here, which goes on to count")
    for run_id, reason in report.problems:
        out.warn(f"{run_id}: {reason}")
    if report.unmatched:
        _show_unmatched(out, report)


def _counts(counts: Any) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common()) or "none"


def _show_unmatched(out: Output, report: "StarReport") -> None:
    out.warn(f"{plural(len(report.unmatched), 'image')} not found here:")
    rows = [
        (
            "".join("★" for _ in range(missing.said.rating or 0)) or missing.said.flag or ", ".join(missing.said.tags),
            missing.said.path,
            ", ".join(f"{image.run_id} {image.digest[7:19]}" for image in missing.suggestions[:2]),
        )
        for missing in report.unmatched[:_SHOWN]
    ]
    out.table(["said", Column("image there", is_wrapped=True), Column("of the same name and size", rank=1)], rows)
    if len(report.unmatched) > _SHOWN:
        out.print(f"and {len(report.unmatched) - _SHOWN:,} more (--json lists them all)")
