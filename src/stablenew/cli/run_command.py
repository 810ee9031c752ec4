"""`stablenew run`: a prompt pack through the pipeline, with a bar while it goes on and a table at the end."""

import contextlib
import json
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import FINDINGS, INTERRUPTED, USAGE, Output, format_duration, plural

if TYPE_CHECKING:
    from stablenew.engines.engine import CancelToken, Engine
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.formats.pipeline_result import PipelineRunResult, VariantResult
    from stablenew.pipeline.prompt_pack import PromptPack
    from stablenew.pipeline.run_hooks import RunEvent
    from stablenew.pipeline.variant_plan import VariantPlan

LARGEST_UNASKED_PLAN = 1000
"""More variants than this run only when a limit says so."""


def run(
    ctx: typer.Context,
    pack: Annotated[Path, typer.Argument(help="A prompt pack: .txt, .json or .tsv.")],
    engine: Annotated[str | None, typer.Option(help="What makes the images; see the config for the default.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the engine's server is.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="STAGE.KEY=VALUE", help="A setting. Turns its stage on.")
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(metavar="STAGE.KEY=V,V", help="A setting that takes each value in turn.")
    ] = None,
    randomize: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="'cat => dog | fox', '__mood__: a | b' or 'slot: a | b'.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="fanout, sequential or random; the pack's when not given.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many variants.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed of every variant, and of random picks.")] = None,
    action: Annotated[str | None, typer.Option(metavar="LABEL", help="A name for what this run is for.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="T", help="A tag for the records; may be repeated.")] = None,
    record: Annotated[
        bool | None, typer.Option("--record/--no-record", help="Record this run, whatever learning_enabled says.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Also save the final images into this folder.")] = None,
    stop_on_error: Annotated[bool, typer.Option(help="Stop at the first variant that fails.")] = False,
) -> int:
    """Run a prompt pack and record it."""
    out: Output = ctx.obj
    from stablenew.app_config import AppConfig
    from stablenew.pipeline.prompt_pack import read_prompt_pack

    prompt_pack = read_prompt_pack(pack)
    config = build_config(prompt_pack, set_ or [], seed=seed, action=action, tags=tag or [])
    plan = build_plan(prompt_pack, randomize or [], sweep or [], mode=mode, limit=limit, seed=seed)
    if limit is None and len(plan) > LARGEST_UNASKED_PLAN:
        out.warn(f"the plan has {len(plan):,} variants; say --limit N, or --mode random --limit N for a sample")
        return USAGE
    is_recorded = AppConfig().learning_enabled if record is None else record
    _warn(out, pack, plan, is_kept=is_recorded or output is not None)
    result = run_plan(
        out,
        config,
        prompt_pack,
        plan,
        is_recorded=is_recorded,
        engine=engine,
        url=url,
        on_variant_error="stop" if stop_on_error else "continue",
        keep_images=output is not None,
    )
    if output is not None:
        save_images(result, output)
    show_result(out, result)
    return exit_code(result)


def build_plan(
    pack: "PromptPack",
    randomization: list[str],
    sweeps: list[str],
    *,
    mode: str | None,
    limit: int | None,
    seed: int | None,
) -> "VariantPlan":
    """The pack's plan with the command's axes, sweeps, mode and limit.

    Raises:
        PromptPackError: a line of the randomization is none.
        ConfigError: a sweep over a setting that does not exist, or an unknown mode.
    """
    from stablenew.pipeline.randomizer import SWEEP, Axis, parse_randomization
    from stablenew.pipeline.variant_plan import VariantPlan

    return VariantPlan.for_pack(
        pack,
        axes=parse_randomization("\n".join(randomization)),
        sweeps=[Axis(SWEEP, name, tuple(values)) for name, values in parse_sweeps(sweeps)],
        mode=mode,
        limit=limit,
        seed=seed if seed is not None else secrets.randbits(32),
    )


def _warn(out: Output, pack: Path, plan: "VariantPlan", *, is_kept: bool) -> None:
    from stablenew.pipeline.prompt_pack import unresolved_tokens

    for token in unresolved_tokens(plan.prompts, plan.axes):
        out.warn(f"{pack}: {token} has no values; it is sent as it stands")
    if not is_kept:
        out.warn(
            "learning is off, so nothing of this run will be kept; turn it on with "
            "`stablenew config set learning_enabled true`, or use --record or --output DIR"
        )


def build_config(
    pack: "PromptPack", assignments: list[str], *, seed: int | None, action: str | None, tags: list[str]
) -> "PipelineConfig":
    """The pack's preset with the command's settings on top.

    Raises:
        ConfigError: a setting that does not exist or does not fit.
    """
    from stablenew.formats.pipeline_config import PipelineConfig

    config = PipelineConfig(**pack.preset, one_click_action=action, learning_tags=tuple(tags))
    overrides = dict(_split_assignment(one) for one in assignments)
    parsed = {name: parse_value(text) for name, text in overrides.items()}
    if seed is not None:
        parsed["txt2img.seed"] = seed
    return config.with_overrides(parsed)


def parse_sweeps(sweeps: list[str]) -> list[tuple[str, list[Any]]]:
    """Setting and values of each `STAGE.KEY=V,V`."""
    pairs = (_split_assignment(one) for one in sweeps)
    return [(name, [parse_value(value) for value in text.split(",") if value.strip()]) for name, text in pairs]


def _split_assignment(text: str) -> tuple[str, str]:
    from stablenew.errors import ConfigError

    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise ConfigError(f"expected STAGE.KEY=VALUE, such as txt2img.steps=30, found {text!r}")
    return name.strip(), value


def parse_value(text: str) -> Any:
    """A value as JSON where it is (30, 7.5, true, null), else the text itself (Euler a)."""
    text = text.strip()
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text


def run_plan(
    out: Output,
    config: "PipelineConfig",
    pack: "PromptPack",
    plan: "VariantPlan",
    *,
    is_recorded: bool,
    engine: str | None = None,
    url: str | None = None,
    on_variant_error: str = "continue",
    keep_images: bool = False,
) -> "PipelineRunResult":
    """Run a plan with a progress bar; Ctrl-C asks it to stop, a second one insists."""
    from stablenew.controller.pipeline_controller import PipelineController
    from stablenew.engines.engine import CancelToken

    cancel = CancelToken()
    with saying_failures(out), out.progress() as progress:
        task = progress.add_task("starting", total=len(plan))

        def follow(event: "RunEvent") -> None:
            done = None if event.kind != "variant_finished" or event.variant is None else event.variant + 1
            progress.update(task, completed=done, description=_describe(event))

        controller = PipelineController(engine=open_chosen_engine(engine, url), runs_dir=out.root, on_event=follow)
        with stopping_on_interrupt(cancel, out):
            return controller.run(
                config,
                pack=pack,
                plan=plan,
                cancel=cancel,
                on_variant_error=on_variant_error,
                keep_images=keep_images,
                learning=is_recorded,
            )


def open_chosen_engine(name: str | None, url: str | None) -> "Engine":
    """The engine that the options name, else the one the settings name."""
    from stablenew.app_config import AppConfig
    from stablenew.engines.engine_registry import open_engine

    settings = AppConfig()
    return open_engine(name or settings.get("engine"), url=url or settings.get("engine_url") or None)


@contextlib.contextmanager
def saying_failures(out: Output) -> Iterator[None]:
    """Say at once what breaks beside the pipeline, recording say; the pipeline goes on."""
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
    stage = f" {event.stage}" if event.stage else ""
    number = f"variant {event.variant + 1}" if event.variant is not None else event.kind.replace("_", " ")
    return f"{number}{stage}"


@contextlib.contextmanager
def stopping_on_interrupt(cancel: "CancelToken", out: Output) -> Iterator[None]:
    """Turn the first Ctrl-C into a wish to stop, after which the second one is a KeyboardInterrupt again."""
    previous = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        cancel.cancel()
        signal.signal(signal.SIGINT, previous)
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
            name = f"{result.run_id}-{image.reference.path.rpartition('/')[2]}"
            if image.data is not None:
                (folder / name).write_bytes(image.data)


def show_result(out: Output, result: "PipelineRunResult") -> None:
    """The variants and their times, and where the run folder is."""
    out.json(result_to_dict(result))
    out.table(
        ["#", "variant", "status", ("outputs", {"justify": "right"}), ("seed", {"justify": "right"}), "time"],
        (
            (
                f"{variant.index + 1}/{variant.total}",
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
            out.warn(f"variant {variant.index + 1} {variant.status}: {variant.error.message}")
    counts = f"{plural(len(result.variants), 'variant')} of {result.plan_size}, {plural(len(result.outputs), 'output')}"
    out.print(f"\n{result.status}: {counts}, {format_duration(result.duration_seconds)}")
    if result.run_path:
        out.print(f"run folder: {result.run_path}")


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
    from stablenew.formats.i_json import json_safe

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
    return 0 if result.status == "completed" and not result.recording_error else FINDINGS
