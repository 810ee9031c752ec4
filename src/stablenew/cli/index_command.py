"""`stablenew index`: the state of the index, which updates itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output, format_bytes, format_duration, heed_interrupts, plural
from stablenew.cli.streams import write_json

if TYPE_CHECKING:
    from stablenew.index.index_keeper import IndexKeeper

app = typer.Typer(
    help="The index behind history: a cache that updates itself and can be deleted.", no_args_is_help=True
)


@app.command()
def status(ctx: typer.Context) -> int:
    """Show where the index is, what it holds, and whether it is up to date."""
    out: Output = ctx.obj
    facts = _keeper(out).facts()
    out.json(facts)
    pairs = [
        ("store", facts["store"]),
        ("index", facts["path"]),
        ("state", facts["state"]),
        ("jobs", f"{facts['run_count']:,}"),
        ("size", format_bytes(facts["size_bytes"])),
        ("last scan", f"{format_duration(facts['age_seconds'])} ago" if facts["age_seconds"] is not None else "never"),
        ("a scan takes", format_duration(facts["sweep_seconds"])),
    ]
    out.facts((name, str(value)) for name, value in pairs)
    return 0


def _keeper(out: Output) -> "IndexKeeper":
    return out.controller.history.keeper


@app.command()
def update(
    ctx: typer.Context,
    deep: Annotated[bool, typer.Option(help="Read every run folder, also those that seem unchanged.")] = False,
) -> int:
    """Scan every run folder now."""
    out: Output = ctx.obj
    keeper = _keeper(out)
    done = out.with_bar("Indexing runs", lambda progress: keeper.sweep(deep=deep, progress=progress))
    out.json({"change_count": done.change_count})
    out.print(f"{plural(done.change_count, 'run')} read.")
    return 0


@app.command()
def rebuild(ctx: typer.Context) -> int:
    """Rebuild the index from the run folders. Interrupted, it resumes at the next use."""
    out: Output = ctx.obj
    done = out.with_bar("Indexing runs", _keeper(out).rebuild)
    out.json({"change_count": done.change_count})
    out.print(f"{plural(done.change_count, 'run')} indexed.")
    return 0


@app.command()
def watch(ctx: typer.Context) -> int:
    """Keep the index up to date and print changes, until Ctrl-C."""
    out: Output = ctx.obj
    import sys

    heed_interrupts()
    with out.controller.build_watcher() as watcher:
        subscription = watcher.subscribe()
        watcher.wait_until_ready()
        role = "keeping the index up to date" if watcher.is_leading else "following another process"
        out.warn(f"{role} for {out.root}; Ctrl-C ends it")
        if watcher.polling_reason and watcher.is_leading:
            out.warn(f"polling instead of waiting for events: {watcher.polling_reason}")
        try:
            for change in subscription:
                if out.is_json:
                    write_json(change._asdict())
                    sys.stdout.flush()
                else:
                    out.print(f"{change.kind}  {change.run_id}")
        except KeyboardInterrupt:
            return 0
    return 0
