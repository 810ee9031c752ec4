"""`stablenew hold` and `stablenew copies`: images in place taken into the store, and pictures that are there twice."""

from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stablenew.cli.console import Output, format_bytes, plural
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.images_command import find_images
from stablenew.cli.table import Column
from stablenew.errors import FAILURE, ConfigError

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory

_SHOWN: Final = 50
_SHORT: Final = 12
_COPY: Final = "copy:"
"""How the tag of one picture in several files begins; what follows is the digest of the first of them."""


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
    confirm: Annotated[
        tuple[str, str] | None,
        typer.Option("--confirm", metavar="A B", help="Say that two images are one picture; beginnings of digests do."),
    ] = None,
) -> int:
    """Find pictures that are there several times: the same pixels in files with other bytes.

    Every image is decoded once, at low priority; stopped, it goes on there the next time. What a person confirmed as a
    copy carries a tag that begins with `copy:`, counts here too, and `stablenew undo` takes it back.
    """
    out: Output = ctx.obj
    if confirm is not None:
        return _confirm(out, *confirm)
    from stablenew.importing.pixel_index import PixelIndex

    confirmed = _confirmed(open_history(out))
    with PixelIndex(out.controller.run_store) as pixels:
        decoded = out.with_bar("Looking at pixels", pixels.update)
        if alike:
            known = {frozenset(pair) for group in confirmed for pair in combinations(group, 2)}
            return _show_alike(out, [pair for pair in pixels.alike() if frozenset(pair[:2]) not in known], decoded)
        groups = pixels.copies()
    out.json(groups + confirmed)
    rows = [("  ".join(map(_short, group)), "same pixels") for group in groups]
    rows += [("  ".join(map(_short, group)), "confirmed") for group in confirmed]
    out.table(["the same picture", ""], rows[:_SHOWN])
    out.print(f"{plural(len(rows), 'picture')} in several files ({decoded:,} images decoded now)")
    return 0


def _show_alike(out: Output, pairs: list[tuple[str, str, int]], decoded: int) -> int:
    out.json([{"images": [first, second], "bits": bits} for first, second, bits in pairs])
    rows = [(_short(first), _short(second), str(bits)) for first, second, bits in pairs[:_SHOWN]]
    out.table(["image", "looks like", Column("bits that differ, of 64", is_right=True)], rows)
    out.print(f"{plural(len(pairs), 'pair')} to look at ({decoded:,} images decoded now)")
    if pairs:
        out.print(f"one picture? stablenew copies --confirm {rows[0][0]} {rows[0][1]}")
    return 0


def _confirmed(history: "JobHistory") -> list[list[str]]:
    """The digests of each picture that a person confirmed to be in several files."""
    groups: dict[str, set[str]] = {}
    for image in find_images(history, f"tag:{_COPY}*", "oldest", 0):
        for tag in image["tags"]:
            if tag.startswith(_COPY):
                groups.setdefault(tag, set()).add(image["digest"])
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _confirm(out: Output, first: str, second: str) -> int:
    from stablenew.formats.documents.feedback_input import FeedbackInput

    history = open_history(out)
    images = [_find_one(history, first), _find_one(history, second)]
    if images[0]["digest"] == images[1]["digest"]:
        raise ConfigError(f"{first} and {second} are the same image: {images[0]['digest']}")
    # One that is confirmed already brings its picture along.
    known = [tag for image in images for tag in image["tags"] if tag.startswith(_COPY)]
    tag = known[0] if known else f"{_COPY}{_short(min(image['digest'] for image in images))}"
    out.controller.feedback.record_many(
        FeedbackInput.build(run_id=image["run_id"], image_id=image["digest"], tags=[tag])
        for image in images
        if tag not in image["tags"]
    )
    out.json({"tag": tag, "images": [image["digest"] for image in images]})
    out.print(f"one picture: both carry the tag {tag}")
    return 0


def _find_one(history: "JobHistory", name: str) -> dict[str, Any]:
    found = find_images(history, f"digest:{name}", "oldest", 2)
    if len(found) != 1:
        reason = "no image" if not found else "several images"
        raise ConfigError(f"expected the digest of an image or its beginning, found {name!r}, which fits {reason}")
    return found[0]


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:_SHORT]
