"""`stablenew learn next`: the batch of images that teaches most about which settings are best, as a learning plan."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stablenew.cli.console import Output, plural, shorten_ids
from stablenew.cli.history_command import read_query
from stablenew.cli.learn_command import open_dataset, show_value
from stablenew.cli.options import DatasetOption, EngineOption, PlanSettings, RunQuery
from stablenew.cli.table import Column
from stablenew.formats.digest import short_digest

if TYPE_CHECKING:
    from stablenew.formats.documents.learning_plan import LearningPlan
    from stablenew.learning.next_experiment import ImageName, NextExperiment, RaterConstancy

HELP = """Propose the images that teach most about the best settings, as a learning plan.

Run the plan, rate its images, and ask again, until it says that there is little left to gain."""
DEFAULT_BATCH: Final = 4


def next_batch(
    ctx: typer.Context,
    query: RunQuery = None,
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="SETTING=LOW..HIGH,...", help="What to tune: cfg=3..12,sampler=Euler|DPM++ 2M."),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, max=64, help="How many images to propose.")] = DEFAULT_BATCH,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A prompt; by default those of the images that are there.")
    ] = None,
    setting: PlanSettings = None,
    engine: EngineOption = None,
    url: Annotated[str | None, typer.Option(help="The address of the engine's server, with --run.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="The plan to write.")] = None,
    is_run: Annotated[bool, typer.Option("--run", help="Run the plan at once.")] = False,
    dataset: DatasetOption = None,
) -> int:
    """Propose a batch, write its plan, and run it with --run."""
    out: Output = ctx.obj
    from stablenew.cli.plan_command import run_file
    from stablenew.controller.experiments.next_round import build_round
    from stablenew.controller.experiments.plan_controller import save_plan
    from stablenew.learning.next_experiment import find_next
    from stablenew.pipeline.prompt_pack import Prompt
    from stablenew.pipeline.run_request import parse_assignments

    found = find_next(open_dataset(out, dataset, query), over or [], size=batch, rater=out.controller.feedback.rater)
    prompts = [Prompt(text) for text in prompt or ()]
    plan = build_round(found, prompts, parse_assignments(setting or [], is_dotted=False), engine)
    path = output or Path(f"next-{plan.plan_id}.plan.json")
    save_plan(plan, path)
    described = {"plan_id": plan.plan_id, "path": str(path)} | found.to_dict()
    _show(out, found, plan, path)
    again = _repeat(read_query(query), over or [], batch, prompt or [], setting or [], engine)
    if is_run:
        return run_file(out, path, engine=engine, url=url, then=again, described=described)
    out.json(described)
    _show_next_steps(out, path, again, has_over=bool(over))
    return 0


def _show_next_steps(out: Output, path: Path, again: str, *, has_over: bool) -> None:
    if not has_over:
        out.print("tuned is what images differ in; other settings with --over cfg=3..12,steps=12..40")
    steps = (f"stablenew plan run {shlex.quote(str(path))}", "stablenew serve", again)
    out.print("", "Next")
    out.facts(zip(steps, ("make them", "rate them there, or by stablenew rate RUN 0/0 STARS", "again"), strict=True))


def _repeat(
    query: str, over: list[str], batch: int, prompts: list[str], settings: list[str], engine: str | None
) -> str:
    """The same command for the next round, without the file that it wrote."""
    words = ["stablenew", "learn", "next", *shlex.split(query)]
    for option, values in (("--over", over), ("--prompt", prompts), ("--set", settings), ("--engine", [engine])):
        words += [word for value in values if value for word in (option, value)]
    return shlex.join(words + (["--batch", str(batch)] if batch != DEFAULT_BATCH else []))


def _show(out: Output, found: "NextExperiment", plan: "LearningPlan", path: Path) -> None:
    rows = zip(found.settings, found.is_random, strict=True)
    out.table(
        ["#", *[Column(range_.name.partition(".")[2], is_right=range_.is_interval) for range_ in found.tuned], "why"],
        [
            (
                str(number),
                *[show_value(settings[range_.name]) for range_ in found.tuned],
                "random" if is_random else "may be the best",
            )
            for number, (settings, is_random) in enumerate(rows)
        ],
    )
    if found.base.text:
        out.print(found.base.text)
    out.print(f"{path}: prompt {plan.prompts[0].positive!r}, seed {plan.seeds[0]}")
    if found.rate_first:
        _show_images(out, "not rated yet, and worth as much as new images:", found.rate_first)
    if found.rate_again:
        _show_images(
            out, "rate again, without a look at the stars they have, to show how sure stars are:", found.rate_again
        )
    for rater in found.constancy:
        out.print(_describe_constancy(rater))
    if found.left is None or found.best is None:
        out.print(f"{plural(found.rating_count, 'rating')} so far: the settings are spread over all that may be tried")
        return
    best = ", ".join(f"{name.partition('.')[2]} {show_value(value)}" for name, value in found.best.items())
    out.print(f"best known after {plural(found.rating_count, 'rating')}: {best}")
    out.print(f"still to gain: {found.left.text}")
    if found.is_done:
        out.print("probably little is left: you may stop here; `stablenew learn defaults` shows what was learned")


def _describe_constancy(rater: "RaterConstancy") -> str:
    count = plural(rater.repeat_count, "image")
    words = f"{rater.rater}: {count} rated again; stars differ by {rater.noise:.1f} by chance"
    if not rater.is_drifting:
        return words
    way = "higher" if rater.drift > 0 else "lower"
    return f"{words}, and become {abs(rater.drift):.1f} {way} over 100 ratings, which is allowed for"


def _show_images(out: Output, words: str, images: "Sequence[ImageName]") -> None:
    """Commands that rate images."""
    out.print(words)
    names = shorten_ids([image.run_id for image in images])
    for name, image in zip(names, images, strict=True):
        out.print(f"  stablenew rate {name} {short_digest(image.image_id)} STARS")
