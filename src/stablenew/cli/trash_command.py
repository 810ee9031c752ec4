"""`stablenew trash`: what is in the trash, taking it out, and freeing the disk."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stablenew.cli.console import Output, format_bytes, plural, shown_ids
from stablenew.cli.history_command import open_history
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from stablenew.controller.light_table.trash import TrashCan, TrashedImage

app = typer.Typer(help="Images in the trash: list them, take them out, free the disk.", no_args_is_help=True)


@app.command("list")
def list_images(ctx: typer.Context) -> None:
    """List what is in the trash."""
    out: Output = ctx.obj
    images = list(_open_trash(out).iter_images())
    out.json([image.to_dict() for image in images])
    if not images:
        out.print("The trash is empty.")
        return
    _show(out, images)
    size = sum(image.held_bytes for image in images)
    out.print(
        f"{plural(len(images), 'image')}, {format_bytes(size)} on this machine; `stablenew trash empty` frees them."
    )


@app.command()
def add(
    ctx: typer.Context,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="A digest, or the beginning of one.")],
) -> None:
    """Put images into the trash; `empty` frees the disk."""
    out: Output = ctx.obj
    trash = _open_trash(out)
    added = trash.add(images)
    out.json({"added": added})
    out.print(f"{plural(len(added), 'image')} put into the trash.")


@app.command()
def restore(
    ctx: typer.Context,
    images: Annotated[list[str] | None, typer.Argument(metavar="IMAGE", help="The beginning of a digest.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Take everything out.")] = False,
) -> None:
    """Take images out of the trash.

    Bytes that were removed come back with the next merge from a store that has them.
    """
    out: Output = ctx.obj
    if bool(images) == everything:
        raise typer.BadParameter("give the images to take out, or --all")
    trash = _open_trash(out)
    chosen = list(trash.iter_images()) if everything else trash.find(images or ())
    count = trash.restore(chosen)
    gone = sum(not image.held_bytes for image in chosen)
    out.json({"restored": [image.digest for image in chosen], "without_bytes": gone})
    out.print(f"{plural(count, 'image')} taken out of the trash.")
    if gone:
        out.print(f"The bytes of {gone} are not here; `stablenew merge OTHER_RUNS_DIR` brings them back from there.")


@app.command()
def empty(
    ctx: typer.Context,
    older: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only what was trashed longer ago than this: 30d, 12h, 4w.")
    ] = None,
    all_raters: Annotated[
        bool, typer.Option("--all-raters", help="Also what others picked or gave 4 stars or more.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Remove the bytes of what you trashed from this machine. Records, ratings and prompts stay."""
    out: Output = ctx.obj
    trash = _open_trash(out)
    chosen, kept = trash.choose(older=older, all_raters=all_raters)
    for image in kept:
        out.print(f"{image.digest[7:19]} stays: {', '.join(image.kept_for)}")
    if not chosen:
        out.json({"removed": [], "freed_bytes": 0, "problems": [], "kept": [image.to_dict() for image in kept]})
        out.print("Nothing to remove.")
        return 0
    if not yes and not _confirm(out, chosen):
        out.print("Nothing was removed.")
        return 0
    report = out.with_bar(
        "Removing images", lambda progress: trash.empty(chosen, all_raters=all_raters, progress=progress)
    )
    out.json(report.to_dict() | {"kept": [image.to_dict() for image in kept]})
    for problem in report.problems:
        out.warn(problem)
    out.print(f"{plural(len(report.removed), 'image')} removed, {format_bytes(report.freed_bytes)} freed.")
    return 1 if report.problems else 0


def _confirm(out: Output, chosen: "list[TrashedImage]") -> bool:
    """Show what would go, and ask.

    Raises:
        ConfigError: nobody is there to answer.
    """
    from stablenew.errors import ConfigError

    if out.is_json or out.is_quiet or not sys.stdin.isatty():
        raise ConfigError("emptying the trash asks first; with nobody to answer, give --yes")
    _show(out, chosen)
    size = sum(image.held_bytes for image in chosen)
    in_place = sum(image.is_in_place for image in chosen)
    where = f", {in_place} of them to the trash of this system" if in_place else ""
    return typer.confirm(f"Remove {plural(len(chosen), 'image')} ({format_bytes(size)}) from this machine{where}?")


def _open_trash(out: Output) -> "TrashCan":
    from stablenew.controller.light_table.trash import TrashCan

    history = open_history(out, "is:trashed")
    return TrashCan(out.controller.run_store, history, out.controller.feedback)


_NAMED: Final = 5

_COLUMNS = (
    "image",
    Column("trashed", rank=2),
    Column("by", rank=1),
    Column("size", is_right=True),
    Column("prompt", least=20),
    Column("stays for", rank=3),
    Column("run", rank=1),
)


def _show(out: Output, images: "list[TrashedImage]") -> None:
    run_ids = list(dict.fromkeys(str(image.row["run_id"]) for image in images))
    shown = dict(zip(run_ids, shown_ids(run_ids), strict=True))
    out.table(
        _COLUMNS,
        [
            (
                image.digest[7:19],
                image.trashed_at[:10],
                ", ".join(image.trashed_by),
                format_bytes(image.held_bytes) if image.held_bytes else "removed",
                image.row["prompt"] or "",
                ", ".join(image.kept_for),
                shown[str(image.row["run_id"])],
            )
            for image in images
        ],
    )
    _show_others(out, images)


def _show_others(out: Output, images: "list[TrashedImage]") -> None:
    """Name the files that look the same and stay."""
    others = dict.fromkeys(digest for image in images for digest in image.other_files)
    if others:
        named = ", ".join(digest[7:19] for digest in list(others)[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        out.print(f"Not in the trash, although their pixels are the same: {named}{more}.")
