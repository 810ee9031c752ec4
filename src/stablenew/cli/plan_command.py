"""`stablenew plan`: experiments on purpose. One setting varied, two against each other, or presets compared."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import INTERRUPTED, Output, bar, plural
from stablenew.cli.options import EngineOption, PlanSettings, UrlOption
from stablenew.errors import FAILURE, ConfigError

if TYPE_CHECKING:
    from stablenew.controller.experiments.plan_controller import PlanController
    from stablenew.formats.strict_json import JsonValue
    from stablenew.learning.learning_runner import PlanStatus
    from stablenew.pipeline.prompt_pack import Prompt, PromptPack

app = typer.Typer(help="Learning plans: vary settings on purpose and compare.", no_args_is_help=True)

PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file of a plan.")]


@app.command()
def new(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write the plan to, such as cfg.plan.json.")],
    pack: Annotated[Path | None, typer.Argument(metavar="[PACK]", help="A prompt pack with the prompts.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="A prompt; may be repeated.")] = None,
    negative: Annotated[str, typer.Option(help="The negative prompt for every --prompt.")] = "",
    sweep: Annotated[
        list[str] | None, typer.Option(metavar="STAGE.KEY=V,V", help="The values to try; two sweeps make a grid.")
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(metavar="NAME:STAGE.KEY=V;STAGE.KEY=V", help="A preset to compare.")
    ] = None,
    setting: PlanSettings = None,
    seeds: Annotated[str, typer.Option(metavar="N,N", help="The seeds; each prompt runs with each.")] = "1,2,3",
    name: Annotated[str | None, typer.Option(help="The name of the plan; by default that of its file.")] = None,
    engine: EngineOption = None,
) -> int:
    """Create a plan. Nothing runs yet."""
    out: Output = ctx.obj
    from stablenew.controller.experiments.plan_controller import build_plan, save_plan
    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.pipeline.prompt_pack import read_prompt_pack
    from stablenew.pipeline.run_request import parse_assignments, parse_sweeps

    given = None if pack is None else read_prompt_pack(pack)
    prompts = _choose_prompts(given, prompt or [], negative)
    overrides = parse_assignments(setting or [], is_dotted=False)
    config = PipelineConfig(**(given.preset if given else {})).with_overrides(overrides)
    plan = build_plan(
        name or file.name.partition(".")[0],
        config,
        prompts,
        sweeps=parse_sweeps(sweep or []),
        presets=[_read_preset(text) for text in preset or []],
        seeds=_read_seeds(seeds),
        engine=engine,
    )
    save_plan(plan, file)
    out.json(plan.to_dict() | {"plan_id": plan.plan_id, "path": str(file)})
    images = len(plan.cells) * len(plan.steps)
    out.print(f"{file}: {plural(len(plan.steps), 'run')} of {plural(len(plan.cells), 'variant')}, {images:,} images")
    out.print(f"next: stablenew plan run {file}")
    return 0


def _choose_prompts(pack: "PromptPack | None", texts: list[str], negative: str) -> "list[Prompt]":
    from stablenew.controller.experiments.plan_controller import prompts_of
    from stablenew.pipeline.prompt_pack import Prompt

    prompts = [*(prompts_of(pack) if pack else ()), *(Prompt(text, negative) for text in texts)]
    if not prompts:
        raise typer.BadParameter("expected a prompt PACK, or --prompt TEXT")
    return prompts


def _read_preset(text: str) -> "tuple[str, dict[str, JsonValue]]":
    from stablenew.pipeline.run_request import parse_assignments

    name, colon, settings = text.partition(":")
    if not colon or not name:
        raise ConfigError(f"expected NAME:STAGE.KEY=VALUE, found {text!r}")
    parts = [part for part in settings.split(";") if part.strip()]
    return name.strip(), parse_assignments(parts, is_dotted=False)


def _read_seeds(text: str) -> list[int]:
    try:
        seeds = [int(seed) for seed in text.split(",") if seed.strip()]
    except ValueError:
        raise ConfigError(f"expected seeds such as 1,2,3, found {text!r}") from None
    if any(seed < 0 for seed in seeds):
        raise ConfigError("a plan needs seeds of its own: with -1 every image would differ in more than one thing")
    return list(dict.fromkeys(seeds))


def _open(out: Output, file: Path) -> "PlanController":
    from stablenew.controller.experiments.plan_controller import PlanController, load_plan

    return PlanController(out.controller, load_plan(file))


@app.command()
def run(
    ctx: typer.Context,
    file: PlanFile,
    engine: Annotated[str | None, typer.Option(help="Use another engine than the plan's.")] = None,
    url: UrlOption = None,
) -> int:
    """Run the rest of a plan. After a stop or a crash, `run` continues."""
    return run_file(ctx.obj, file, engine=engine, url=url)


def run_file(
    out: Output,
    file: Path,
    *,
    engine: str | None,
    url: str | None,
    then: str = "stablenew learn evidence",
    described: "Mapping[str, JsonValue]" = MappingProxyType({}),
) -> int:
    """Run what is left of the plan in a file, and show how far it is. Gives the exit code.

    `then` is the command for when its images are rated; `described` goes into the JSON.
    """
    from stablenew.cli.run_command import run_plan

    plans = _open(out, file)
    statuses = []
    runner = plans.build_runner(
        lambda config, variants: run_plan(
            out, config, None, variants, is_recorded=True, engine=engine or plans.plan.engine, url=url
        )
    )
    before = runner.status()
    for result in runner.iter_results():
        statuses.append(result.status)
        out.print(f"{result.run_id}  run {result.step + 1} of {len(plans.plan.steps)}: {result.status}")
        if result.status == "cancelled":
            break
    after = runner.status()
    out.json(dict(described) | _describe(plans, after) | {"ran": len(statuses)})
    if not before.pending:
        out.print("nothing is left to run")
    _show_status(out, plans, after, then)
    if statuses and statuses[-1] == "cancelled":
        return INTERRUPTED
    return 0 if after.is_done else FAILURE


@app.command()
def resume(ctx: typer.Context, file: PlanFile) -> int:
    """Continue a plan that was stopped: the same as `run`."""
    return run(ctx, file)


@app.command()
def status(ctx: typer.Context, file: PlanFile) -> int:
    """Show how far a plan is."""
    out: Output = ctx.obj
    plans = _open(out, file)
    found = plans.build_runner(_never).status()
    out.json(_describe(plans, found))
    _show_status(out, plans, found)
    return 0


def _never(*_: Any) -> Any:
    raise AssertionError("a status runs nothing")


def _describe(plans: "PlanController", found: "PlanStatus") -> dict[str, Any]:
    return {
        "plan_id": plans.plan.plan_id,
        "name": plans.plan.name,
        "tag": plans.plan.tag,
        "done": [run._asdict() for run in found.done],
        "undone": [run._asdict() for run in found.undone],
        "pending": [{"step": step.number, "prompt": step.prompt.positive, "seed": step.seed} for step in found.pending],
    }


def _show_status(
    out: Output, plans: "PlanController", found: "PlanStatus", then: str = "stablenew learn evidence"
) -> None:
    total = len(plans.plan.steps)
    out.print(f"{plans.plan.name}: {bar(len(found.done) / total)} {len(found.done)} of {plural(total, 'run')} done")
    if found.undone:
        out.table(["run", "of", ""], [(run.run_id, f"{run.step + 1}", run.status) for run in found.undone])
    if found.is_done:
        out.print(f"rate its images: `stablenew serve`, and search tag:{plans.plan.tag}", f"then: {then}")


@app.command()
def sheet(
    ctx: typer.Context,
    file: PlanFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PNG", help="The PNG to write.")],
    size: Annotated[int, typer.Option(min=64, max=1024, help="The size of a cell in pixels.")] = 256,
) -> int:
    """Draw every image of a plan as a labelled grid."""
    out: Output = ctx.obj
    from stablenew.disk.atomic_file import replace_file
    from stablenew.learning.plans.result_sheet import build_result_sheet

    plans = _open(out, file)
    cells = plans.read_cells()
    data = build_result_sheet(plans.plan, cells, cell_size=size)
    replace_file(output, data)
    expected = len(plans.plan.cells) * len(plans.plan.steps)
    out.json({"path": str(output), "images": len(cells), "cells": expected})
    out.print(f"{output}: {len(cells)} of {plural(expected, 'image')}")
    return 0
