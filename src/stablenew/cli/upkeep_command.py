"""`stablenew merge` and `repair`: bring stores together, finish what a crash left."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import FINDINGS, Output, plural

if TYPE_CHECKING:
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.run_repair import RepairReport


def merge(
    ctx: typer.Context,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="Another store, or a zip of run folders.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> int:
    """Take in the runs and the feedback of another store; twice is the same as once."""
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
        ["run", "outcome", ("new events", {"justify": "right"}), ""],
        [(item.run_id, item.outcome, str(item.new_events or ""), item.message) for item in worth_showing],
    )
    for item in report.items:
        for problem in item.problems:
            out.warn(f"{item.run_id}: {problem}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
    out.print(f"{plural(len(report.items), 'run')}{' (dry run)' if dry_run else ''}: {counts or 'nothing there'}")
    return 0 if report.is_complete else FINDINGS


@contextlib.contextmanager
def _opened(other: Path) -> "Iterator[RunStore]":
    from stablenew.store.run_store import RunStore
    from stablenew.store.upkeep.run_archive import open_archive

    if other.is_file():
        with open_archive(other) as store:
            yield store
    else:
        yield RunStore(other)


def repair(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Run ids, prefixes or latest; all when none is given."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also finish runs that began on another machine.")] = False,
) -> int:
    """Seal interrupted runs, remove what crashes left, merge conflict copies of feedback."""
    out: Output = ctx.obj
    from stablenew.store.upkeep.run_repair import repair_store

    reports = [] if runs else [repair_store(out.controller.run_store, dry_run=dry_run)]
    total = 0
    with out.progress() as progress:
        task = progress.add_task("repairing", total=None)
        for report, done, total in out.controller.iter_repair(runs or (), dry_run=dry_run, force=force):
            reports.append(report)
            progress.update(task, completed=done, total=total)
    return _show_repair(out, reports, total, dry_run=dry_run)


def _show_repair(out: Output, reports: "list[RepairReport]", count: int, *, dry_run: bool) -> int:
    skipped = any(action.code == "skipped" for report in reports for action in report.actions)
    actions = sum(action.code != "skipped" for report in reports for action in report.actions)
    shown = [report for report in reports if report.actions]
    out.json({"ok": not skipped, "dry_run": dry_run, "runs": [report.to_dict() for report in shown]})
    out.table(
        ["run", "what", "file", ""],
        [(report.subject, one.code, one.path, one.message) for report in shown for one in report.actions],
    )
    verb = "would be done" if dry_run else "done"
    out.print(
        f"{plural(count, 'run')}: {plural(actions, 'repair')} {verb}"
        if actions
        else f"{plural(count, 'run')}: nothing to repair"
    )
    return FINDINGS if skipped else 0
