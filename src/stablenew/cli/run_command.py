"""`stablenew run`: a prompt pack through the pipeline, with a bar while it goes on."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stablenew.cli.console import Output
from stablenew.cli.options import UrlOption
from stablenew.cli.run_result import exit_code, show_result

if TYPE_CHECKING:
    from stablenew.engines.engine import CancelToken
    from stablenew.formats.documents.pipeline_result import PipelineRunResult
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.pipeline.prompt_pack import PromptPack
    from stablenew.pipeline.recorded_plan import Plan
    from stablenew.pipeline.reproduction.comparison import Reproduction
    from stablenew.pipeline.run_options import RunEvent, RunOptions
    from stablenew.pipeline.run_request import RunRequest
    from stablenew.store.run import Run


_Again = Annotated[
    str | None, typer.Option(metavar="RUN", help="Run the variants of this run again instead of a pack.")
]
_Engine = Annotated[
    str | None, typer.Option(help="The engine; by default that of the settings, or with --again that of the run.")
]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STAGE.KEY=VALUE", help="Set a setting; this also turns its stage on."),
]
_Sweeps = Annotated[
    list[str] | None, typer.Option(metavar="STAGE.KEY=V,V", help="Run once with each value of a setting.")
]
_Choices = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="'cat => dog | fox', '__mood__: a | b' or 'slot: a | b'.")
]
_IsRecorded = Annotated[
    bool | None, typer.Option("--record/--no-record", help="Record this run, whatever learning_enabled says.")
]


def run(
    ctx: typer.Context,
    pack: Annotated[Path | None, typer.Argument(help="A prompt pack: .txt, .json or .tsv.")] = None,
    again: _Again = None,
    new_seeds: Annotated[bool, typer.Option(help="With --again: let the engine choose other seeds.")] = False,
    engine: _Engine = None,
    url: UrlOption = None,
    set_: _Settings = None,
    sweep: _Sweeps = None,
    randomize: _Choices = None,
    mode: Annotated[str | None, typer.Option(help="fanout, sequential or random; by default the pack's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run at most N variants.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed of every variant, and of random picks.")] = None,
    action: Annotated[str | None, typer.Option(metavar="LABEL", help="A label for the purpose of this run.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="T", help="A tag for the records; may be repeated.")] = None,
    record: _IsRecorded = None,
    output: Annotated[Path | None, typer.Option(help="Also save the final images into this folder.")] = None,
    stop_on_error: Annotated[bool, typer.Option(help="Stop at the first variant that fails.")] = False,
) -> int:
    """Run a prompt pack, or repeat a run, and record it."""
    out: Output = ctx.obj
    from stablenew.pipeline.run_options import CONTINUE, STOP, RunOptions
    from stablenew.pipeline.run_request import RunRequest

    if (pack is None) == (again is None):
        raise typer.BadParameter("expected either a prompt PACK or --again RUN")
    request = RunRequest(set_ or (), sweep or (), randomize or (), mode, limit, seed, action, tag or ())
    work = _plan_again(out, again, request, new_seeds=new_seeds) if again is not None else _plan_pack(pack, request)
    if work.earlier is not None:
        engine, url = out.controller.choose_engine_again(work.earlier, engine, url)
    is_recorded = out.controller.app_config.learning_enabled if record is None else record
    _warn(out, pack, work.plan, is_kept=is_recorded or output is not None)
    result = run_plan(
        out,
        work.config,
        work.pack,
        work.plan,
        is_recorded=is_recorded,
        engine=engine,
        url=url,
        options=RunOptions(
            on_variant_error=STOP if stop_on_error else CONTINUE,
            keep_images=output is not None or (work.earlier is not None and not is_recorded),
        ),
    )
    if output is not None:
        save_images(result, output)
    show_result(out, result, _compare(out, work, result))
    return exit_code(result)


class _Work(NamedTuple):
    """What is to run."""

    config: "PipelineConfig"
    plan: "Plan"
    pack: "PromptPack | None"
    earlier: "Run | None" = None
    """The run that is run again."""


def _plan_pack(path: Path | None, request: "RunRequest") -> _Work:
    from stablenew.pipeline.prompt_pack import read_prompt_pack
    from stablenew.pipeline.run_request import check_plan_size, plan_pack

    pack = read_prompt_pack(path or Path())
    config, plan = plan_pack(pack, request)
    check_plan_size(plan, request)
    return _Work(config, plan, pack)


def _plan_again(out: Output, name: str, request: "RunRequest", *, new_seeds: bool) -> _Work:
    from stablenew.pipeline.run_request import check_plan_size, plan_again

    earlier = out.controller.run_store.resolve(name)
    config, plan, pack = plan_again(earlier, request, has_new_seeds=new_seeds)
    check_plan_size(plan, request)
    return _Work(config, plan, pack, earlier)


_NOTHING_KEPT = (
    "learning is off, so nothing of this run will be kept; turn it on with "
    "`stablenew config set learning_enabled true`, or use --record or --output DIR"
)


def _warn(out: Output, pack: Path | None, plan: "Plan", *, is_kept: bool) -> None:
    """Print what probably nobody meant, before it runs."""
    from stablenew.pipeline.run_request import warnings_about

    for warning in warnings_about(plan):
        out.warn(f"{pack}: {warning}")
    if not is_kept:
        out.warn(_NOTHING_KEPT)


def _compare(out: Output, work: _Work, result: "PipelineRunResult") -> "Reproduction | None":
    """What running a run again proved about it."""
    from stablenew.pipeline.reproduction.comparison import count_choices
    from stablenew.pipeline.reproduction.run_facts import compare_result

    if work.earlier is None:
        return None
    if result.run_path is not None and result.recording_error is None:
        return out.controller.reproduction_of(out.controller.run_store.open(result.run_id))
    return compare_result(work.earlier, result, count_choices(work.plan.summary()))


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
