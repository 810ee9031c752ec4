"""What came out of a run, on the terminal and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stablenew.cli.console import INTERRUPTED, Output, format_duration, plural
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.formats.documents.pipeline_result import PipelineRunResult, VariantResult
    from stablenew.pipeline.reproduction.comparison import Reproduction


def show_result(out: Output, result: "PipelineRunResult", reproduction: "Reproduction | None" = None) -> None:
    """The variants and their times, where the run folder is, and what a rerun proved."""
    out.json(result_to_dict(result) | ({"reproduction": reproduction.to_dict()} if reproduction else {}))
    _show_variants(out, result.variants)
    _warn(out, result)
    counts = f"{plural(len(result.variants), 'variant')} of {result.plan_size}, {plural(len(result.outputs), 'output')}"
    out.print(f"\n{result.status}: {counts}, {format_duration(result.duration_seconds)}")
    if result.run_path:
        out.print(f"run folder: {result.run_path}")
    if reproduction is not None:
        show_reproduction(out, reproduction)


def _show_variants(out: Output, variants: "Sequence[VariantResult]") -> None:
    out.table(
        [
            Column("#", is_right=True),
            Column("variant", least=16),
            "status",
            Column("outputs", rank=2, is_right=True),
            Column("seed", rank=1, is_right=True),
            Column("time", rank=3, is_right=True),
        ],
        (
            (
                str(variant.index),
                variant.label or "—",
                variant.status,
                str(len(variant.images)),
                str(variant.actual.get("seed", "")),
                format_duration(variant.duration_seconds),
            )
            for variant in variants
        ),
    )


def _warn(out: Output, result: "PipelineRunResult") -> None:
    """Print errors, and what ran other than it was asked for."""
    from stablenew.pipeline.substitutions import describe_substitutions

    for variant in result.variants:
        if variant.error is not None:
            out.warn(f"variant {variant.index} {variant.status}: {variant.error.message}")
    if result.error is not None and not any(variant.error for variant in result.variants):
        out.warn(f"{result.status}: {result.error.message}")
    substitutions = describe_substitutions((variant.requested, variant.actual) for variant in result.variants)
    notices = (notice for variant in result.variants for notice in variant.notices)
    for line in dict.fromkeys((*substitutions, *notices)):
        out.warn(line)


_SHOWN_IMAGES = 12


def show_reproduction(out: Output, reproduction: "Reproduction") -> None:
    """How many images are as they were, how much the others differ, and what changed."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in reproduction.count_verdicts().items())
    out.print(f"\nCompared with run {reproduction.parent_run_id}", f"  images: {counts or 'none to compare'}")
    others = [image for image in reproduction.images if image.verdict != "identical"]
    for image in others[:_SHOWN_IMAGES]:
        out.print(f"  variant {image.variant + 1}, {image.stage} {image.number + 1}: {image.describe()}")
    if len(others) > _SHOWN_IMAGES:
        out.print(f"  and {len(others) - _SHOWN_IMAGES} more; --json lists them all")
    for change in reproduction.changes:
        out.print(f"  changed: {change.describe()}")
    for reason in reproduction.unknown[:_SHOWN_IMAGES]:
        out.print(f"  not known: {reason}")
    out.print(f"  {reproduction.conclude()}")


def result_to_dict(result: "PipelineRunResult") -> dict[str, Any]:
    """A run's result as `--json` prints it."""
    return {
        "run_id": result.run_id,
        "status": result.status,
        "run_path": result.run_path,
        "recorded": result.run_path is not None and result.recording_error is None,
        "recording_error": result.recording_error,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "duration_seconds": result.duration_seconds,
        "plan_size": result.plan_size,
        "mode": result.mode,
        "variants": [_variant_to_dict(variant) for variant in result.variants],
    }


def _variant_to_dict(variant: "VariantResult") -> dict[str, Any]:
    from stablenew.formats.json_safe import json_safe

    return {
        "index": variant.index,
        "label": variant.label,
        "status": variant.status,
        "prompt": variant.prompt.positive,
        "overrides": json_safe(variant.overrides),
        "actual": json_safe(variant.actual),
        "duration_seconds": variant.duration_seconds,
        "error": variant.error.to_dict() if variant.error else None,
        "outputs": [reference.to_dict() for reference in variant.outputs],
    }


def exit_code(result: "PipelineRunResult") -> int:
    """0 when every variant was completed and recorded as asked."""
    if result.status == "cancelled":
        return INTERRUPTED
    return 0 if result.status == "completed" and not result.recording_error else FAILURE
