"""`stablenew run`: a prompt pack through the pipeline, with a bar while it goes on and a table at the end."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import INTERRUPTED, Output, format_duration, plural
from stablenew.cli.table import Column
from stablenew.errors import FAILURE

if TYPE_CHECKING:
    from stablenew.engines.engine import CancelToken
    from stablenew.formats.documents.pipeline_result import PipelineRunResult, VariantResult
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.pipeline.prompt_pack import PromptPack
    from stablenew.pipeline.recorded_plan import Plan
    from stablenew.pipeline.reproduction.comparison import Reproduction
    from stablenew.pipeline.run_events import RunEvent
    from stablenew.pipeline.run_options import RunOptions
    from stablenew.pipeline.run_request import RunRequest
    from stablenew.store.run import Run


def run(
    ctx: typer.Context,
    pack: Annotated[Path | None, typer.Argument(help="A prompt pack: .txt, .json or .tsv.")] = None,
    again: Annotated[
        str | None, typer.Option(metavar="RUN", help="Run the variants of this run again instead of a pack.")
    ] = None,
    new_seeds: Annotated[bool, typer.Option(help="With --again: let the engine choose other seeds.")] = False,
    engine: Annotated[
        str | None,
        typer.Option(help="The engine; by default that of the settings, or with --again that of the run."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="The address of the engine's server.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STAGE.KEY=VALUE", help="Set a setting; this also turns its stage on."),
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(metavar="STAGE.KEY=V,V", help="Run once with each value of a setting.")
    ] = None,
    randomize: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="'cat => dog | fox', '__mood__: a | b' or 'slot: a | b'.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="fanout, sequential or random; by default the pack's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run at most N variants.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed of every variant, and of random picks.")] = None,
    action: Annotated[str | None, typer.Option(metavar="LABEL", help="A label for the purpose of this run.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="T", help="A tag for the records; may be repeated.")] = None,
    record: Annotated[
        bool | None, typer.Option("--record/--no-record", help="Record this run, whatever learning_enabled says.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Also save the final images into this folder.")] = None,
    stop_on_error: Annotated[bool, typer.Option(help="Stop at the first variant that fails.")] = False,
) -> int:
    """Run a prompt pack, or repeat a run, and record it."""
    out: Output = ctx.obj
    from stablenew.pipeline.run_options import CONTINUE, STOP, RunOptions
    from stablenew.pipeline.run_request import RunRequest, check_plan_size, warnings_about

    request = RunRequest(set_ or (), sweep or (), randomize or (), mode, limit, seed, action, tag or ())
    if (pack is None) == (again is None):
        raise typer.BadParameter("expected either a prompt PACK or --again RUN")
    earlier = out.controller.run_store.resolve(again) if again is not None else None
    prompt_pack, config, plan = _plan(pack, earlier, request, new_seeds=new_seeds)
    check_plan_size(plan, request)
    if earlier is not None:
        engine, url = out.controller.choose_engine_again(earlier, engine, url)
    is_recorded = out.controller.app_config.learning_enabled if record is None else record
    for warning in warnings_about(plan):
        out.warn(f"{pack}: {warning}")
    if not is_recorded and output is None:
        out.warn(_NOTHING_KEPT)
    result = run_plan(
        out,
        config,
        prompt_pack,
        plan,
        is_recorded=is_recorded,
        engine=engine,
        url=url,
        options=RunOptions(
            on_variant_error=STOP if stop_on_error else CONTINUE,
            keep_images=output is not None or (earlier is not None and not is_recorded),
        ),
    )
    if output is not None:
        save_images(result, output)
    show_result(out, result, _compare(out, earlier, plan, result) if earlier is not None else None)
    return exit_code(result)


def _compare(out: Output, earlier: "Run", plan: "Plan", result: "PipelineRunResult") -> "Reproduction | None":
    from stablenew.pipeline.reproduction.comparison import count_choices
    from stablenew.pipeline.reproduction.run_facts import compare_result

    if result.run_path is not None and result.recording_error is None:
        return out.controller.reproduction_of(out.controller.run_store.open(result.run_id))
    return compare_result(earlier, result, count_choices(plan.summary()))


_NOTHING_KEPT = (
    "learning is off, so nothing of this run will be kept; turn it on with "
    "`stablenew config set learning_enabled true`, or use --record or --output DIR"
)


def _plan(
    pack: Path | None, earlier: "Run | None", request: "RunRequest", *, new_seeds: bool
) -> "tuple[PromptPack | None, PipelineConfig, Plan]":
    from stablenew.pipeline.prompt_pack import read_prompt_pack
    from stablenew.pipeline.run_request import plan_again, plan_pack

    if earlier is not None:
        config, plan, prompt_pack = plan_again(earlier, request, has_new_seeds=new_seeds)
        return prompt_pack, config, plan
    chosen = read_prompt_pack(pack or Path())
    return chosen, *plan_pack(chosen, request)


def run_plan(
    out: Output,
    config: "PipelineConfig",
    pack: "PromptPack | None",
    plan: "Plan",
    *,
    is_recorded: bool,
    engine: str | None = None,
    url: str | None = None,
    options: "RunOptions | None" = None,
) -> "PipelineRunResult":
    """Run a plan with a progress bar. Ctrl-C asks it to stop, a second one stops it at once."""
    from stablenew.engines.engine import CancelToken
    from stablenew.pipeline.run_options import RunOptions

    cancel = CancelToken()
    options = options or RunOptions(keep_images=False)
    with saying_failures(out), out.progress() as progress:
        task = progress.add_task("starting", total=len(plan))

        def follow(event: "RunEvent") -> None:
            if event.kind == "variant_recorded":  # of one that is through; the bar shows the one after it
                return
            done = None if event.kind != "variant_finished" or event.variant is None else event.variant + 1
            progress.update(task, completed=done, description=_describe(event))

        with stopping_on_interrupt(cancel, out):
            return out.controller.run_pipeline(
                config,
                pack=pack,
                plan=plan,
                engine=engine,
                url=url,
                options=replace(options, cancel=cancel, on_event=follow, learning=is_recorded),
            )


@contextlib.contextmanager
def saying_failures(out: Output) -> Iterator[None]:
    """Print recording errors immediately; the run continues."""
    import logging

    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: out.warn(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("stablenew")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _describe(event: "RunEvent") -> str:
    """The stage that is at work; the bar counts the variants."""
    return event.stage or event.kind.replace("_", " ")


@contextlib.contextmanager
def stopping_on_interrupt(cancel: "CancelToken", out: Output) -> Iterator[None]:
    """Turn the first Ctrl-C into a request to stop; the second one is a KeyboardInterrupt again."""
    previous = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        cancel.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the previous one may ignore it, as in the background
        out.warn("stopping; what is finished is kept (Ctrl-C again to insist)")

    try:
        signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread: whoever runs us there handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def save_images(result: "PipelineRunResult", folder: Path) -> None:
    """Copy the final images into a folder, under the names they have in a run."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant in result.variants:
        finals = [image for image in variant.images if image.reference.role == "final"] or variant.images
        for image in finals:
            name = f"{result.run_id}-{image.reference.path_in_run.rpartition('/')[2]}"
            if image.data is not None:
                (folder / name).write_bytes(image.data)


def show_result(out: Output, result: "PipelineRunResult", reproduction: "Reproduction | None" = None) -> None:
    """The variants and their times, where the run folder is, and what a rerun proved."""
    out.json(result_to_dict(result) | ({"reproduction": reproduction.to_dict()} if reproduction else {}))
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
            for variant in result.variants
        ),
    )
    for variant in result.variants:
        if variant.error is not None:
            out.warn(f"variant {variant.index} {variant.status}: {variant.error.message}")
    if result.error is not None and not any(variant.error for variant in result.variants):
        out.warn(f"{result.status}: {result.error.message}")
    from stablenew.pipeline.substitutions import describe_substitutions

    substitutions = describe_substitutions((variant.requested, variant.actual) for variant in result.variants)
    notices = (notice for variant in result.variants for notice in variant.notices)
    for line in dict.fromkeys((*substitutions, *notices)):
        out.warn(line)
    counts = f"{plural(len(result.variants), 'variant')} of {result.plan_size}, {plural(len(result.outputs), 'output')}"
    out.print(f"\n{result.status}: {counts}, {format_duration(result.duration_seconds)}")
    if result.run_path:
        out.print(f"run folder: {result.run_path}")
    if reproduction is not None:
        show_reproduction(out, reproduction)


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
    from stablenew.formats.strict_json import json_safe

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
