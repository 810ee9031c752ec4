"""`stablenew hold` and `stablenew copies`: images in place taken into the store, and pictures that are there twice."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from stablenew.cli.console import Output, format_bytes, plural
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.options import ImageQuery
from stablenew.cli.table import Column
from stablenew.errors import FAILURE
from stablenew.formats.digest import short_digest

if TYPE_CHECKING:
    from stablenew.controller.light_table.copies import Copies

_SHOWN: Final = 50


def hold(
    ctx: typer.Context,
    query: ImageQuery = None,
) -> int:
    """Copy images in place into the store, so that it no longer needs their folders."""
    out: Output = ctx.obj
    from stablenew.importing.holding import hold_images

    text = read_query(query)
    store, digests = out.controller.run_store, open_history(out, text).digests(text)
    report = out.with_bar("Copying images", lambda progress: hold_images(store, digests, progress=progress))
    out.json(report.to_dict())
    out.print(
        f"{plural(report.held, 'image')} copied into the store, {format_bytes(report.size_bytes)}; "
        f"{report.already:,} were there already"
    )
    for image, reason in report.problems:
        out.warn(f"{image}: {reason}")
    return FAILURE if report.problems else 0


def copies(
    ctx: typer.Context,
    alike: Annotated[
        bool, typer.Option("--alike", help="Pairs that only look alike: scaled or lossy copies, to be looked at.")
    ] = False,
    confirm: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--confirm", metavar="A B", help="Say that two images are one picture; the beginning of a digest is enough."
        ),
    ] = None,
    refuse: Annotated[
        tuple[str, str] | None,
        typer.Option("--refuse", metavar="A B", help="Say that two images that look alike are two pictures."),
    ] = None,
) -> int:
    """Find duplicate pictures: history shows each of them once, with all its files.

    Every image is decoded once, at low priority; a stopped search continues the next time. Files with the same pixels
    are one picture, except those of a single colour. Those that only look alike are one when a person says so; that is
    a tag (`copy:`, `no-copy:`), and `stablenew undo` takes it back.
    """
    out: Output = ctx.obj
    history = open_history(out)
    from stablenew.controller.light_table.copies import Copies
    from stablenew.controller.light_table.image_names import find_digest

    found = Copies(out.controller.run_store, history, out.controller.feedback)
    if (pair := confirm or refuse) is not None:
        first, second = (find_digest(history, name) for name in pair)
        return _judge(out, found, first, second, is_same=confirm is not None)
    decoded = out.with_bar("Looking at pixels", found.update)
    history.refresh()
    return _show_alike(out, found, decoded) if alike else _show_pictures(out, found, decoded)


def _show_pictures(out: Output, found: "Copies", decoded: int) -> int:
    pictures = found.pictures()
    out.json([list(picture.digests) for picture in pictures])
    rows = [
        ("  ".join(map(short_digest, picture.digests)), "confirmed" if picture.is_confirmed else "same pixels")
        for picture in pictures
    ]
    out.table(["the same picture", ""], rows[:_SHOWN])
    out.print(f"{plural(len(rows), 'picture')} in several files ({plural(decoded, 'image')} decoded now)")
    return 0


def _show_alike(out: Output, found: "Copies", decoded: int) -> int:
    pairs = found.candidates()
    out.json([{"images": [first, second], "bits": bits} for first, second, bits in pairs])
    rows = [(short_digest(first), short_digest(second), str(bits)) for first, second, bits in pairs[:_SHOWN]]
    out.table(["image", "looks like", Column("bits that differ, of 64", is_right=True)], rows)
    out.print(f"{plural(len(pairs), 'pair')} to look at ({plural(decoded, 'image')} decoded now)")
    if pairs:
        out.print(f"one picture?  stablenew copies --confirm {rows[0][0]} {rows[0][1]}")
        out.print(f"two pictures? stablenew copies --refuse {rows[0][0]} {rows[0][1]}")
        out.print("`stablenew serve` shows them side by side, on the page of Health")
    return 0


def _judge(out: Output, found: "Copies", first: str, second: str, *, is_same: bool) -> int:
    tag = found.confirm(first, second) if is_same else found.refuse(first, second)
    out.json({"tag": tag, "images": [first, second]})
    out.print(
        f"one picture: both carry the tag {tag}" if is_same else f"two pictures: one of them carries the tag {tag}"
    )
    return 0
