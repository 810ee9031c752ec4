"""`stablenew images`: any images among all of them, listed or exported."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stablenew.cli.console import Output, plural, shown_ids
from stablenew.cli.history_command import open_history, read_query
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory

HELP = """List images, the newest first, or those that fit QUERY; --export copies them.

\b
stablenew images "rating:5" --sort best
stablenew images "model:dreamshaper* cfg:5..8 -flag:reject" --sort metric.aesthetic
stablenew images "rating:>=4" --export keepers.zip --name "{date}-{seed}-{prompt:40}"
"""


def images(
    ctx: typer.Context,
    query: Annotated[list[str] | None, typer.Argument(metavar="QUERY", help="What to look for.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Show at most N images; 0 for all.", metavar="N")] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="newest, oldest, best, worst, random, metric.NAME (-metric.NAME: lowest first), or album, the "
            "order of an album. By default newest, and album in a search for one."
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Copy the images to a new folder or .zip file.", metavar="DIR|FILE.zip")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="File names of the export: {n}, {date}, {time}, {seed}, {prompt:40}, {model}, {stars}, {run}, …"
        ),
    ] = None,
    fields: Annotated[bool, typer.Option("--fields", help="List what queries can ask for, settings included.")] = False,
    sidecar: Annotated[bool, typer.Option("--sidecar", help="Write what is known of each image beside it.")] = False,
) -> int:
    """List or export images."""
    out: Output = ctx.obj
    if export is None and (name is not None or sidecar):
        raise typer.BadParameter("--name and --sidecar need --export")
    asked = read_query(query)
    history = open_history(out, asked)
    if fields:
        return _list_fields(out, history)
    text = without_trash(out, history, asked)
    wanted = limit if limit is not None else 0 if export else _DEFAULT_LIMIT
    found = find_sorted(out, history, text, sort, wanted)
    if export is not None:
        default = ALBUM_NAME if sort in (None, "album") and asks_for_album(history, text) else DEFAULT_NAME
        return _export(out, found, export, name or default, sidecar=sidecar)
    out.json(found)
    if not found:
        out.print(f"No image fits {asked}" if asked else out.describe_empty_store("images"))
        return 0
    out.table(_COLUMNS, _cells(found))
    if len(found) == wanted:
        out.print(f"{plural(wanted, 'image')} of {history.count_images(text)} shown; --limit 0 shows all.")
    return 0


def _list_fields(out: Output, history: "JobHistory") -> int:
    from stablenew.formats.query_language import FIELDS

    names = sorted({*FIELDS, *(name.lower() for name in history.field_names())})
    out.json(names)
    out.print(", ".join(names))
    return 0


def without_trash(out: Output, history: "JobHistory", query: str) -> str:
    """The query without images in the trash, unless it speaks of them itself; how many those are is printed."""
    if any(condition.field == "is" for condition in history.parse(query).conditions):
        return query
    hidden = history.count_images(f"{query} is:trashed")
    if not hidden:
        return query
    out.print(f"{plural(hidden, 'image')} in the trash left out; is:trashed finds them.")
    return f"{query} -is:trashed".strip()


_DEFAULT_LIMIT: Final = 20
_PAGE: Final = 500
DEFAULT_NAME: Final = "{date}-{time}-{seed}-{prompt:40}"
ALBUM_NAME: Final = "{n}-{seed}-{prompt:40}"
_COLUMNS: Final = (
    "stars",
    Column("prompt", least=24),
    Column("settings that vary", rank=1, least=16),
    Column("score", rank=2, is_right=True),
    "run",
    "image",
)
"""Run and image are the two names that `stablenew rate` takes."""


def asks_for_album(history: "JobHistory", query: str) -> bool:
    """Whether a query is a search for an album."""
    from stablenew.controller.light_table.albums import find_album

    return find_album(history.parse(query)) is not None


def find_sorted(
    out: Output, history: "JobHistory", query: str, sort: str | None = None, limit: int = 0
) -> list[dict[str, Any]]:
    """As `find_images`; with no `sort` those of an album in its order, and others the newest first."""
    if sort != "album" and (sort is not None or not asks_for_album(history, query)):
        return find_images(history, query, sort or "newest", limit)
    from stablenew.controller.light_table.albums import in_album_order

    found = in_album_order(history, out.controller.feedback, history.parse(query)).images.tolist()
    return history.image_rows(found[:limit] if limit else found)


def find_images(history: "JobHistory", query: str, sort: str, limit: int) -> list[dict[str, Any]]:
    """At most `limit` images that fit, or all for 0."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        size = min(_PAGE, limit - len(found)) if limit else _PAGE
        page = history.find_images(query, sort=sort, limit=size, after=after)
        found += page.rows
        after = page.next_cursor
        if after is None or (limit and len(found) >= limit):
            return found


def _describe_settings(image: dict[str, Any], names: list[str]) -> str:
    from stablenew.index.asking.image_rows import compared_settings

    settings = compared_settings(image)
    return " ".join(f"{name}={settings[name]}" for name in names if name in settings)


def _cells(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    from stablenew.index.asking.image_rows import varying_settings

    varying = varying_settings(found)
    runs = dict(zip(run_ids := list({image["run_id"]: None for image in found}), shown_ids(run_ids), strict=True))
    return [
        (
            format_rating(image["rating"]),
            image["prompt"] or "",
            _describe_settings(image, varying),
            " ".join(f"{value:.4g}" for value in image["metrics"].values()),
            runs[image["run_id"]],
            image["name"],
        )
        for image in found
    ]


def format_rating(rating: float | None) -> str:
    """`★★★★☆`, and the mean where raters differ: `★★★★☆ 3.5`; empty when unrated."""
    if rating is None:
        return ""
    stars = int(rating + 0.5)
    mean = "" if rating == stars else f" {rating:.1f}"
    return f"{'★' * stars}{'☆' * (5 - stars)}{mean}"


def _export(out: Output, found: list[dict[str, Any]], target: Path, template: str, *, sidecar: bool) -> int:
    from stablenew.controller.image_export import export_images

    def work(progress: Any) -> Any:
        return export_images(out.controller.run_store, found, target, template, sidecar=sidecar, progress=progress)

    report = out.with_bar("Copying images", work)
    out.json({"path": str(target), "names": report.names, "problems": report.problems})
    for problem in report.problems:
        out.warn(problem)
    out.print(f"{plural(len(report.names), 'image')} copied to {target}")
    return 1 if report.problems else 0
