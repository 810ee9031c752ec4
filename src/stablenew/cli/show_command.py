"""`stablenew runs` and `stablenew show`: what is in a store, what is in a run."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import Output, format_bytes, format_duration, format_local_time, plural
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.formats.documents.learning_record import LearningRecord
    from stablenew.store.run import Run


def runs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=0, help="The newest so many; 0 for all.")] = 20,
) -> int:
    """List runs, newest first."""
    out: Output = ctx.obj
    from itertools import islice

    from stablenew.store.run_description import summarise_run

    store = out.controller.run_store
    found = list(islice(store.iter_runs(newest_first=True), limit or None))
    summaries = [summarise_run(run) for run in found]
    out.json(summaries)
    if not summaries:
        out.print(f"No runs in {store.root} yet. `stablenew demo` makes one.")
        return 0
    out.table(
        [
            ("run", {"no_wrap": True}),
            ("time", {"no_wrap": True}),
            "status",
            "pack",
            ("variants", {"justify": "right"}),
            ("outputs", {"justify": "right"}),
            ("duration", {"justify": "right"}),
            "action",
        ],
        [_summary_row(summary) for summary in summaries],
    )
    unreadable = [summary for summary in summaries if summary["problem"]]
    for summary in unreadable:
        out.warn(f"{summary['run_id']}: {summary['problem']}")
    return FAILURE if unreadable else 0


def _summary_row(summary: dict[str, Any]) -> tuple[str, ...]:
    total = summary["plan_size"]
    done = summary["record_count"]
    return (
        summary["run_id"],
        format_local_time(summary["created_at"]) if summary["created_at"] else "",
        summary["status"],
        ", ".join(summary["packs"]),
        f"{'?' if done is None else done}{f'/{total}' if total is not None else ''}",
        "" if summary["output_count"] is None else str(summary["output_count"]),
        format_duration(summary["duration_seconds"]),
        summary["one_click_action"] or "",
    )


def show(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, a unique prefix of one, or latest.")],
) -> int:
    """Show a run: what was asked, what really ran, what came out."""
    out: Output = ctx.obj
    from stablenew.store.run_description import describe_run

    found = out.controller.run_store.resolve(run)
    described = describe_run(found)
    records, problems = found.read_records()
    out.json(described)
    _show_head(out, found, described)
    out.table(
        [
            "#",
            "variant",
            "status",
            "sampler",
            ("steps", {"justify": "right"}),
            ("cfg", {"justify": "right"}),
            ("seed", {"justify": "right"}),
            ("time", {"justify": "right"}),
            "outputs",
        ],
        [_record_row(record) for record in records],
    )
    _show_differences(out, records)
    for problem in [*problems, *([described["problem"]] if described["problem"] else [])]:
        out.warn(str(problem))
    return FAILURE if problems or described["problem"] else 0


def _show_head(out: Output, run: "Run", summary: dict[str, Any]) -> None:
    pairs = [
        ("run", run.run_id),
        ("folder", str(run.path)),
        ("status", summary["status"]),
        ("time", format_local_time(summary["created_at"]) if summary["created_at"] else None),
        ("took", format_duration(summary["duration_seconds"])),
        ("engine", summary["engine"]),
        ("pack", ", ".join(summary["packs"])),
        ("action", summary["one_click_action"]),
        ("digest", run.digest if run.is_sealed else None),
    ]
    out.table([("", {"style": "bold", "no_wrap": True}), ""], [(name, str(value)) for name, value in pairs if value])
    out.print("")


def _record_row(record: "LearningRecord") -> tuple[str, ...]:
    settings = record.actual or record.requested
    size = sum(output.size_bytes for output in record.outputs)
    stages = list(dict.fromkeys(output.stage for output in record.outputs))
    return (
        f"{record.variant.index + 1}/{record.variant.total}",
        record.variant.label or record.prompt.positive[:60],
        record.status,
        settings.sampler or "",
        "" if settings.steps is None else str(settings.steps),
        "" if settings.cfg_scale is None else f"{settings.cfg_scale:g}",
        "" if settings.seed is None else str(settings.seed),
        format_duration(record.duration_seconds),
        f"{plural(len(record.outputs), 'image')} ({', '.join(stages)}), {format_bytes(size)}" if stages else "none",
    )


def _show_differences(out: Output, records: "list[LearningRecord]") -> None:
    """Settings that did not run as they were asked for."""
    lines = []
    for record in records:
        asked, ran = record.requested.to_dict(), record.actual.to_dict() if record.actual else {}
        changed = [key for key in ran if key in asked and asked[key] not in (None, ran[key])]
        lines += [f"  {record.variant.index + 1}: {key} {asked[key]} → {ran[key]}" for key in changed]
    if lines:
        out.print("\nAsked for one thing, ran another", *lines)
