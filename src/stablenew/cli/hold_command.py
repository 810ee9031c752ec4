"""`stablenew hold` and `stablenew copies`: images in place taken into the store, and pictures that are there twice."""

from typing import Annotated

import typer

from stablenew.cli.console import Output, format_bytes, plural
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.images_command import find_images
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

_SHOWN = 50
_SHORT = 12


def hold(
    ctx: typer.Context,
    query: Annotated[list[str] | None, typer.Argument(metavar="QUERY", help="Which images; all when empty.")] = None,
) -> int:
    """Copy images in place into the store, so that it no longer needs their folders."""
    out: Output = ctx.obj
    from stablenew.importing.holding import hold_images

    text = read_query(query)
    found = find_images(open_history(out, text), text, "newest", 0)
    store, digests = out.controller.run_store, [image["digest"] for image in found]
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
) -> int:
    """Find pictures that are there several times: the same pixels in files with other bytes.

    Every image is decoded once, at low priority; stopped, it goes on there the next time.
    """
    out: Output = ctx.obj
    from stablenew.importing.pixel_index import PixelIndex

    with PixelIndex(out.controller.run_store) as pixels:
        decoded = out.with_bar("Looking at pixels", pixels.update)
        if alike:
            pairs = list(pixels.alike())
            out.json([{"images": [first, second], "bits": bits} for first, second, bits in pairs])
            rows = [(_short(first), _short(second), str(bits)) for first, second, bits in pairs[:_SHOWN]]
            out.table(["image", "looks like", Column("bits that differ, of 64", is_right=True)], rows)
            out.print(f"{plural(len(pairs), 'pair')} to look at ({decoded:,} images decoded now)")
            return 0
        groups = pixels.copies()
    out.json(groups)
    out.table(["the same picture"], [("  ".join(map(_short, group)),) for group in groups[:_SHOWN]])
    out.print(f"{plural(len(groups), 'picture')} in several files ({decoded:,} images decoded now)")
    return 0


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:_SHORT]
