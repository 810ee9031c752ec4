"""The next experiment as a learning plan: one prompt, one seed, and each of the proposed settings as a preset.

A round is one run. `start_round` queues it where the program stays, as behind the page.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from stablenew.controller.experiments.plan_controller import PlanController, build_plan
from stablenew.errors import ConfigError
from stablenew.formats.documents.learning_plan import LearningPlan
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.strict_json import JsonValue
from stablenew.learning.next_experiment import NextExperiment
from stablenew.learning.setting_limits import limits_of
from stablenew.pipeline.prompt_pack import Prompt

if TYPE_CHECKING:
    from stablenew.controller.app_controller import AppController
    from stablenew.controller.job_runner import Job

_FIRST_SEED: Final = 1_000


def build_round(
    experiment: NextExperiment,
    prompts: Sequence[Prompt] = (),
    overrides: Mapping[str, JsonValue] | None = None,
    engine: str | None = None,
) -> LearningPlan:
    """The plan of one round. Each round takes the next of the prompts and another seed.

    `prompts` are by default those of the rated images. Settings that are not tuned are as in most rated images, unless
    `overrides` says otherwise.

    Raises:
        ConfigError: there is no prompt, nothing new to make, or a setting does not fit.
    """
    known = list(prompts) or [Prompt(positive, negative) for positive, negative in experiment.prompts]
    if not known:
        raise ConfigError("there is no image yet to take a prompt from: name one, as with --prompt 'a hill at dawn'")
    round_number = experiment.rating_count // max(1, len(experiment.settings) + len(experiment.rate_first))
    presets = {
        ", ".join(f"{name.partition('.')[2]} {value}" for name, value in settings.items()): dict(settings)
        for settings in experiment.settings
    }
    return build_plan(
        f"round {round_number + 1}",
        PipelineConfig().with_overrides(_allowed(experiment.fixed) | dict(overrides or {})),
        [known[round_number % len(known)]],
        presets=list(presets.items()),
        seeds=[_FIRST_SEED + round_number],
        engine=engine,
    )


def _allowed(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What images had and a run may be asked for: other programs take numbers beyond our limits."""
    return {name: value for name, value in fixed.items() if limits_of(name).allow(value)}


def start_round(controller: "AppController", plan: LearningPlan, *, url: str | None = None) -> "Job":
    """Queue the run of a round, recorded. Its images are rated as soon as they are there.

    Raises:
        ConfigError: see `AppController.open_engine`.
        EngineError: the engine does not respond.
    """
    controller.open_engine(plan.engine, url)  # one that does not respond is reported now, not later
    plans = PlanController(controller, plan)
    (step,) = plan.steps
    config, variants = plans.build_config(step), plans.build_variants(step)
    return controller.jobs.start(config, plan=variants, engine=plan.engine, url=url, learning=True)
