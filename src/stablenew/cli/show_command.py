"""`stablenew runs` and `stablenew show`: what is in a store, what is in a run."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stablenew.cli.console import Output, format_bytes, format_duration, format_local_time, plural, shown_ids
from stablenew.cli.options import RunArgument
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.formats.documents.learning_record import LearningRecord
    from stablenew.store.run import Run


def runs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=0, help="Show at most N runs; 0 shows all.")] = 20,
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
        out.print(out.describe_empty_store("runs"))
        return 0
    ids = shown_ids([run.run_id for run in found])
    out.table(_RUN_COLUMNS, [_run_row(*parts) for parts in zip(found, ids, summaries, strict=True)])
    unreadable = [summary for summary in summaries if summary["problem"]]
    for summary in unreadable:
        out.warn(f"{summary['run_id']}: {summary['problem']}")
    return FAILURE if unreadable else 0


_RUN_COLUMNS: Final = (
    "run",
    Column("prompt", least=24),
    "status",
    Column("variants", rank=1, is_right=True),
    Column("outputs", rank=2, is_right=True),
    Column("duration", rank=4, is_right=True),
    Column("pack", rank=3, least=10),
    Column("action", rank=5),
    Column("time", rank=6),
)


def _run_row(run: "Run", shown_id: str, summary: dict[str, Any]) -> tuple[str, ...]:
    total = summary["plan_size"]
    done = summary["record_count"]
    return (
        shown_id,
        next((record.prompt.positive for record in run.iter_records()), ""),
        summary["status"],
        f"{'?' if done is None else done}{f'/{total}' if total is not None else ''}",
        "" if summary["output_count"] is None else str(summary["output_count"]),
        format_duration(summary["duration_seconds"]),
        ", ".join(summary["packs"]),
        summary["one_click_action"] or "",
        format_local_time(summary["created_at"]) if summary["created_at"] else "",
    )


def show(
    ctx: typer.Context,
    run: RunArgument,
) -> int:
    """Show a run: what was requested, what ran, what came out."""
    out: Output = ctx.obj
    from stablenew.store.run_description import describe_run

    found = out.controller.run_store.resolve(run)
    described = describe_run(found)
    records, problems = found.read_records()
    out.json(described)
    _show_head(out, found, described, records)
    out.table(_RECORD_COLUMNS, [_record_row(record) for record in records])
    _show_differences(out, records)
    for problem in [*problems, *([described["problem"]] if described["problem"] else [])]:
        out.warn(str(problem))
    return FAILURE if problems or described["problem"] else 0


def _show_head(out: Output, run: "Run", summary: dict[str, Any], records: "list[LearningRecord]") -> None:
    prompts = {record.prompt.positive for record in records}
    pairs = [
        ("run", run.run_id),
        ("folder", str(run.path)),
        ("status", summary["status"]),
        ("time", format_local_time(summary["created_at"]) if summary["created_at"] else None),
        ("took", format_duration(summary["duration_seconds"])),
        ("engine", summary["engine"]),
        ("prompt", "".join(prompts) if len(prompts) == 1 else None),
        ("pack", ", ".join(summary["packs"])),
        ("action", summary["one_click_action"]),
        ("digest", run.digest if run.is_sealed else None),
    ]
    out.facts((name, str(value)) for name, value in pairs if value)
    out.print("")


_RECORD_COLUMNS: Final = (
    "image",
    Column("variant", least=16),
    "status",
    Column("sampler", rank=4),
    Column("steps", rank=5, is_right=True),
    Column("cfg", rank=3, is_right=True),
    Column("seed", rank=1, is_right=True),
    Column("time", rank=6, is_right=True),
    Column("outputs", rank=2),
)


def _record_row(record: "LearningRecord") -> tuple[str, ...]:
    settings = record.actual or record.requested
    size = sum(output.size_bytes for output in record.outputs)
    stages = list(dict.fromkeys(output.stage for output in record.outputs))
    return (
        name_images(record),
        record.variant.label or record.prompt.positive,
        record.status,
        settings.sampler or "",
        "" if settings.steps is None else str(settings.steps),
        "" if settings.cfg_scale is None else f"{settings.cfg_scale:g}",
        "" if settings.seed is None else str(settings.seed),
        format_duration(record.duration_seconds),
        f"{plural(len(record.outputs), 'image')} ({', '.join(stages)}), {format_bytes(size)}" if stages else "none",
    )


def name_images(record: "LearningRecord") -> str:
    """What `rate` calls the images of a variant: `2/0`, `2/0-3` for four of them, `2` for none."""
    finals = [output for output in record.outputs if output.role == "final"] or record.outputs
    variant = record.variant.index
    return f"{variant}/0" + (f"-{len(finals) - 1}" if len(finals) > 1 else "") if finals else str(variant)


def _show_differences(out: Output, records: "list[LearningRecord]") -> None:
    """Settings that did not run as they were asked for."""
    from stablenew.pipeline.substitutions import find_substitutions

    lines = [
        f"  {record.variant.index}: {found.setting.name} {found.asked} → {found.ran}"
        for record in records
        if record.actual
        for found in find_substitutions(record.requested.to_dict(), record.actual.to_dict())
    ]
    if lines:
        out.print("\nRan otherwise than requested", *lines)
