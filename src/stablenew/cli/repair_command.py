"""`stablenew repair`: finish what a crash left behind."""

from typing import TYPE_CHECKING, Annotated

import typer

from stablenew.cli.console import Output, plural
from stablenew.cli.options import DryRunOption, RunsArgument
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.store.upkeep.run_repair import RepairReport


def repair(
    ctx: typer.Context,
    runs: RunsArgument = None,
    dry_run: DryRunOption = False,
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
        ["run", Column("what", rank=1), Column("file", rank=2), Column(is_wrapped=True)],
        [(report.subject, action.code, action.path, action.message) for report in shown for action in report.actions],
    )
    verb = "would be done" if dry_run else "done"
    out.print(
        f"{plural(count, 'run')}: {plural(actions, 'repair')} {verb}"
        if actions
        else f"{plural(count, 'run')}: nothing to repair"
    )
    return FAILURE if skipped else 0
