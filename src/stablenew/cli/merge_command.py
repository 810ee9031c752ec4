"""`stablenew merge`: take in another store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.options import DryRunOption
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.store.run_store import RunStore


def merge(
    ctx: typer.Context,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="Another store, or a zip of run folders.")],
    dry_run: DryRunOption = False,
) -> int:
    """Copy the runs and the feedback of another store into this one; merging twice is harmless."""
    out: Output = ctx.obj
    from stablenew.store.upkeep.store_merge import merge_stores

    ours = out.controller.run_store
    with _opened(other) as theirs, out.progress() as progress:
        task = progress.add_task("merging", total=None)
        report = merge_stores(
            ours,
            theirs,
            dry_run=dry_run,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    out.json(
        {
            "ok": report.is_complete,
            "dry_run": dry_run,
            "counts": report.counts,
            "new_events": sum(item.new_events for item in report.items),
            "runs": [item.to_dict() for item in report.items],
        }
    )
    worth_showing = [item for item in report.items if item.outcome != "unchanged"]
    out.table(
        ["run", "outcome", Column("new events", rank=1, is_right=True), Column(is_wrapped=True)],
        [(item.run_id, item.outcome, str(item.new_events or ""), item.message) for item in worth_showing],
    )
    for item in report.items:
        for problem in item.problems:
            out.warn(f"{item.run_id}: {problem}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
    out.print(f"{plural(len(report.items), 'run')}{' (dry run)' if dry_run else ''}: {counts or 'nothing there'}")
    return 0 if report.is_complete else FAILURE


@contextlib.contextmanager
def _opened(other: Path) -> "Iterator[RunStore]":
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.run_archive import open_archive

    if other.is_file():
        with open_archive(other) as store:
            yield store
    else:
        yield RunStore(other)
