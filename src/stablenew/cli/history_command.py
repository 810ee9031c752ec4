"""`stablenew history`: the newest jobs, and any job among all of them."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stablenew.cli.console import (
    Output,
    format_duration,
    format_local_time,
    heed_interrupts,
    plural,
    shown_ids,
)
from stablenew.cli.options import RunArgument
from stablenew.cli.streams import write_json
from stablenew.cli.table import Column

if TYPE_CHECKING:
    from stablenew.index.job_history import JobHistory

HELP = """List jobs, the newest first, or those that fit QUERY.

\b
model:dreamshaper* sampler:"Euler a" cfg:5..8 steps:>=30 rating:>=4 unrated:yes
tag:portrait pack:harbour status:failed since:7d before:2026-01-01 seed:123
"oil painting" -blurry                 words of the prompt; - turns a condition around
"""


def history(
    ctx: typer.Context,
    query: Annotated[
        list[str] | None, typer.Argument(metavar="QUERY", help="A search, in the query language below.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show at most N jobs; 0 shows all.")] = 20,
    sort: Annotated[str, typer.Option(help="time, oldest, rating, duration, outputs or variants.")] = "time",
    follow: Annotated[bool, typer.Option("--follow", help="Keep printing jobs as they arrive, until Ctrl-C.")] = False,
) -> int:
    """List jobs."""
    out: Output = ctx.obj
    text = read_query(query)
    jobs = open_history(out, text)
    rows = _find(jobs, text, limit, sort)
    if follow:
        return _follow(out, jobs, text, rows)
    out.json(rows)
    if not rows:
        out.print(f"No job matches {text}" if text else out.describe_empty_store("runs"))
        return 0
    runs = shown_ids([row["run_id"] for row in rows])
    out.table(_COLUMNS, [_cells(row, run) for row, run in zip(rows, runs, strict=True)])
    if len(rows) == limit:
        out.print(f"{plural(limit, 'job')} shown; --limit 0 shows all.")
    return 0


SETTINGS = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""A word that begins with a minus is a condition turned around, and no option."""


def read_query(words: list[str] | None) -> str:
    """The words of a command line that takes a query (see `SETTINGS`), as one query."""
    for word in words or ():
        if word.startswith("--"):
            raise typer.BadParameter(f"no such option: {word}")
    return join_query(words or [])


def join_query(words: list[str]) -> str:
    """The words of a command line as one query; re-quotes what the shell unquoted."""
    return " ".join(_requote(word) for word in words)


def _requote(word: str) -> str:
    if " " not in word or '"' in word or _is_several(word):
        return word
    name, colon, value = word.partition(":")
    return f'{name}:"{value}"' if colon and " " not in name else f'"{word}"'


def _is_several(word: str) -> bool:
    """Whether a quoted word of the command line is a query of its own: it has a field after its first blank."""
    return any(":" in part or part.startswith("-") for part in word.split(" ")[1:])


def open_history(out: Output, query: str = "") -> "JobHistory":
    """The history of the store in use, with its index up to date; filling a new one shows a progress bar.

    Raises:
        InvalidQuery: what is about to be asked cannot be understood.
    """
    from stablenew.index.index_keeper import BEHIND

    jobs = out.controller.history
    if query:
        jobs.parse(query)  # before anything else is done
    if jobs.keeper.is_fresh():
        return jobs
    freshness = out.with_bar("Indexing runs", lambda progress: jobs.refresh(progress=progress))
    if freshness.state == BEHIND:
        _sweep_in_background(out)
    return jobs


def _sweep_in_background(out: Output) -> None:
    """Scan every run folder in a child process, when there are too many to wait for."""
    import subprocess

    from stablenew.worker_pool import module_command

    command = module_command("stablenew", "--quiet", "--runs-dir", str(out.root), "index", "update")
    quiet = subprocess.DEVNULL
    subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603
    if not out.is_json and not out.is_quiet:
        out.warn("scanning in the background for changes by other machines; the next call shows them")


def _find(jobs: "JobHistory", text: str, limit: int, sort: str) -> list[dict[str, Any]]:
    if not text and sort == "time" and limit:
        return list(jobs.recent(limit).rows)
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        wanted = min(500, limit - len(rows)) if limit else 500
        page = jobs.page(text, after=after, limit=wanted, sort=sort)
        rows += page.rows
        after = page.next_cursor
        if after is None or (limit and len(rows) >= limit):
            return rows


_COLUMNS: Final = (
    "stars",
    Column("prompt", least=24),
    Column("status", rank=1),
    Column("variants", rank=2, is_right=True),
    Column("outputs", rank=3, is_right=True),
    Column("seed", rank=4, is_right=True),
    Column("duration", rank=6, is_right=True),
    Column("pack", rank=5, least=10),
    Column("time", rank=7),
    "run",
)


def _cells(row: dict[str, Any], run: str) -> tuple[str, ...]:
    planned, seeds = row["plan_size"], row["seed_count"]
    return (
        format_stars(row),
        row["prompt"] or "",
        row["status"],
        f"{row['record_count']}{f'/{planned}' if planned is not None else ''}",
        str(row["output_count"]),
        "" if row["seed"] is None else f"{row['seed']}{f' +{seeds - 1}' if seeds > 1 else ''}",
        format_duration(row["duration_seconds"]),
        ", ".join(row["packs"]),
        format_local_time(row["created_at"]) if row["created_at"] else "",
        run,
    )


def format_stars(row: dict[str, Any]) -> str:
    """`★★★★☆` for the job's own stars; `best ★★★★☆` of its images where it has none; empty when unrated."""
    own, best = row["rating"], row["best_rating"]
    if own is not None:
        return _stars(int(own))
    return "" if best is None else f"best {_stars(int(best))}"


def _stars(rating: int) -> str:
    return "★" * rating + "☆" * (5 - rating)


def _follow(out: Output, jobs: "JobHistory", text: str, rows: list[dict[str, Any]]) -> int:
    """Print the jobs, oldest first, and then every one that arrives or changes."""
    _print_rows(out, rows[::-1])
    heed_interrupts()
    with out.controller.build_watcher() as watcher:
        subscription = watcher.subscribe()
        watcher.wait_until_ready()
        if watcher.polling_reason and watcher.is_leading:
            out.warn(f"polling instead of waiting for events: {watcher.polling_reason}")
        try:
            for change in subscription:
                _print_rows(out, _rows_of(jobs, text, change.run_id))
        except KeyboardInterrupt:
            return 0
    return 0


def _rows_of(jobs: "JobHistory", text: str, run_id: str) -> list[dict[str, Any]]:
    """The job, if it exists and matches."""
    return list(jobs.page(f"{text} run:{run_id}", limit=1).rows) if run_id else []


def _print_rows(out: Output, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if out.is_json:
            write_json(row)
        else:
            out.print("  ".join(" ".join(cell.split()) for cell in _cells(row, row["run_id"]) if cell))
        sys.stdout.flush()


def path(
    ctx: typer.Context,
    run: RunArgument,
) -> None:
    """Print the folder of a run."""
    out: Output = ctx.obj
    found = out.controller.run_store.resolve(run)
    out.json({"run_id": found.run_id, "path": str(found.path.absolute())})
    if not out.is_json:
        typer.echo(str(found.path.absolute()))


def open_run(
    ctx: typer.Context,
    run: RunArgument,
) -> int:
    """Show the folder of a run in the file manager."""
    out: Output = ctx.obj
    found = out.controller.run_store.resolve(run)
    if typer.launch(str(found.path.absolute())) != 0:
        out.warn(f"no program here opens folders; it is {found.path.absolute()}")
        return 1
    out.json({"run_id": found.run_id, "path": str(found.path.absolute())})
    return 0
